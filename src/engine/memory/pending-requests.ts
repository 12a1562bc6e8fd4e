// Requests of a worker that wait for the engine's answer, and how long they may.
import type { Clock } from '../../util/clock.ts';
import { HoldfastError, UnavailableError } from '../../util/errors.ts';
import type { FrameReader } from '../frame-reader.ts';
import type { FrameWriter } from '../frame-writer.ts';

/** Without any frame of the engine for so long. With the time between checks below the second that Broker promises. */
const TIMEOUT_MS = 750;
const CHECK_MS = 200;
/** Even when the engine is busy with other things. */
const MAX_TIMEOUT_MS = 5000;

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
  readonly sinceMs: number;
  readonly answered: (frame: FrameReader) => void;
  readonly part: (frame: FrameReader) => void;
  readonly fail: (error: Error) => void;
}

export class PendingRequests {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #requests = new Map<number, Pending>();
  #lastId = 0;
  #failed = 0;
  #heardMs = -Infinity;
  #checkAtMs = 0;
  #checking: NodeJS.Timeout | undefined;
  #confirming: NodeJS.Immediate | undefined;

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
    this.#checkLater();
  }

  /** The engine lives: it sent something. */
  heard(): void {
    this.#heardMs = this.#clock.monotonicMs();
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
    clearImmediate(this.#confirming);
    this.#checking = undefined;
    this.#confirming = undefined;
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
    this.#checking = undefined;
    const nowMs = this.#clock.monotonicMs();
    // A process that was stalled itself has no right to call others silent.
    if (nowMs >= this.#checkAtMs + CHECK_MS) this.#heardMs = nowMs;
    if (!this.#isOldestLate(nowMs)) {
      this.#checkLater();
      return;
    }
    // Perhaps the answer is there and was not read yet: only what is late after the sockets were read has failed.
    this.#confirming = setImmediate(() => {
      this.#confirming = undefined;
      this.#failLate();
      this.#checkLater();
    });
  }

  #checkLater(): void {
    if (this.#requests.size === 0 || this.#checking !== undefined || this.#confirming !== undefined) return;
    this.#checkAtMs = this.#clock.monotonicMs() + CHECK_MS;
    this.#checking = setTimeout(() => {
      this.#check();
    }, CHECK_MS);
  }

  #failLate(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [id, request] of this.#requests) {
      if (!this.#isLate(request, nowMs)) break;
      this.#requests.delete(id);
      request.fail(new UnavailableError('the engine does not answer'));
    }
  }

  #isOldestLate(nowMs: number): boolean {
    for (const request of this.#requests.values()) return this.#isLate(request, nowMs);
    return false;
  }

  /** An engine that works through what is before this request is not late. */
  #isLate({ sinceMs }: Pending, nowMs: number): boolean {
    return nowMs - Math.max(sinceMs, this.#heardMs) >= TIMEOUT_MS || nowMs - sinceMs >= MAX_TIMEOUT_MS;
  }
}
