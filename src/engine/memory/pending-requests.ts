// Requests of a worker that wait for the engine's answer, and how long they may.
import type { Clock } from '../../util/clock.ts';
import { HoldfastError, UnavailableError } from '../../util/errors.ts';
import type { FrameReader } from '../frame-reader.ts';
import type { FrameWriter } from '../frame-writer.ts';
import { Overdue } from '../overdue.ts';

const MAX_ID = 0xffffffff;

export interface Request<T> {
  readonly write: (frame: FrameWriter, id: number) => unknown;
  /** Called in the order of frames, before the next frame is looked at. */
  readonly read: (frame: FrameReader) => T;
  /** For each part of a list, before `read`. */
  readonly part?: (frame: FrameReader) => void;
  /** Called once instead of `read`, also in order. */
  readonly failed?: (error: Error) => void;
  /** Called instead of `failed` when it cannot even be sent, at once. Absent: `failed` is. */
  readonly refused?: (error: Error) => void;
}

interface Pending {
  readonly id: number;
  readonly sinceMs: number;
  readonly answered: (frame: FrameReader) => void;
  readonly part: (frame: FrameReader) => void;
  readonly fail: (error: Error) => void;
}

export class PendingRequests {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #requests = new Map<number, Pending>();
  readonly #overdue: Overdue<Pending>;
  #lastId = 0;
  #failed = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#overdue = new Overdue({
      clock,
      waiting: () => this.#requests.values(),
      giveUp: ({ id }) => this.#take(id)?.fail(new UnavailableError('the engine does not answer')),
    });
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
      id,
      sinceMs: this.#clock.monotonicMs(),
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
    this.#overdue.watch();
  }

  /** The engine lives: it sent something. */
  heard(): void {
    this.#overdue.heard();
  }

  /** The engine has asked for a pause (true), or it is over (false): meanwhile only the longest deadline counts. */
  hold(isHeld: boolean): void {
    this.#overdue.hold(isHeld);
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
    this.#overdue.stop();
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const request of requests) request.fail(error);
  }

  #take(id: number): Pending | undefined {
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    return request;
  }
}
