// Requests of a worker that wait for the engine's answer, each with the same time to live.
import type { Clock } from '../../util/clock.ts';
import { HoldfastError, UnavailableError } from '../../util/errors.ts';
import type { FrameReader } from './frame-reader.ts';
import type { FrameWriter } from './frame-writer.ts';

/** Together below the second that the Broker interface promises. */
const TIMEOUT_MS = 750;
const CHECK_MS = 200;

const MAX_ID = 0xffffffff;

export interface Request<T> {
  readonly write: (frame: FrameWriter, id: number) => unknown;
  /** Called in the order of frames, before the next frame is looked at. */
  readonly read: (frame: FrameReader) => T;
  /** For each part of a list, before `read`. */
  readonly part?: (frame: FrameReader) => void;
  /** Called once instead of `read`, also in order. */
  readonly failed?: (error: Error) => void;
}

interface Pending {
  readonly deadlineMs: number;
  readonly answered: (frame: FrameReader) => void;
  readonly part: (frame: FrameReader) => void;
  readonly fail: (error: Error) => void;
}

export class PendingRequests {
  readonly #clock: Clock;
  /** In the order of deadlines. */
  readonly #requests = new Map<number, Pending>();
  #lastId = 0;
  #failed = 0;
  #checking: NodeJS.Timeout | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#requests.size;
  }
  get failed(): number {
    return this.#failed;
  }

  nextId(): number {
    this.#lastId = this.#lastId === MAX_ID ? 1 : this.#lastId + 1;
    return this.#lastId;
  }

  add<T>(id: number, request: Request<T>, resolve: (value: T) => void, reject: (error: Error) => void): void {
    this.#requests.set(id, {
      deadlineMs: this.#clock.monotonicMs() + TIMEOUT_MS,
      answered: (frame) => {
        let value: T;
        try {
          value = request.read(frame);
        } catch (error) {
          const failure = new UnavailableError('the engine answers nonsense', { cause: error });
          request.failed?.(failure);
          reject(failure);
          throw error;
        }
        resolve(value);
      },
      part: (frame) => {
        request.part?.(frame);
      },
      fail: (error) => {
        this.#failed += 1;
        request.failed?.(error);
        reject(error);
      },
    });
    this.#checking ??= setTimeout(() => {
      this.#check();
    }, CHECK_MS);
  }

  /** An answer to nothing that waits came too late and is left aside. */
  answer(frame: FrameReader): void {
    this.#take(frame.id)?.answered(frame);
  }

  part(frame: FrameReader): void {
    this.#requests.get(frame.id)?.part(frame);
  }

  fail(frame: FrameReader): void {
    this.#take(frame.id)?.fail(new HoldfastError('HOLDFAST_ENGINE', frame.string()));
  }

  failAll(error: Error): void {
    clearTimeout(this.#checking);
    this.#checking = undefined;
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const request of requests) request.fail(error);
  }

  #take(id: number): Pending | undefined {
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    return request;
  }

  #check(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [id, request] of this.#requests) {
      if (nowMs < request.deadlineMs) break;
      this.#requests.delete(id);
      request.fail(new UnavailableError('the engine does not answer'));
    }
    this.#checking =
      this.#requests.size === 0
        ? undefined
        : setTimeout(() => {
            this.#check();
          }, CHECK_MS);
  }
}
