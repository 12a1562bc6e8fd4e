// Calls of one connection that Redis owes an answer: how many bytes they hold, and which have waited too long. Answers come
// in the order of calls, so any answer proves that nothing before it is stuck.
import type { Clock } from '../../util/clock.ts';
import { UnavailableError } from '../../util/errors.ts';

/** Without any answer for so long. With the time between checks below the second that Broker promises. */
const TIMEOUT_MS = 750;
const CHECK_MS = 200;
/** Even when Redis is busy with other things. */
const MAX_TIMEOUT_MS = 5000;

export interface Call {
  readonly sinceMs: number;
  readonly bytes: number;
  readonly fail: (error: UnavailableError) => void;
}

export class PendingCalls {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #calls = new Set<Call>();
  #bytes = 0;
  #failed = 0;
  #stalled = false;
  #heardMs = -Infinity;
  #checkAtMs = 0;
  #checking: NodeJS.Timeout | undefined;
  #confirming: NodeJS.Immediate | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#calls.size;
  }
  /** Of calls without an answer, those that were given up included: they still wait to be sent. */
  get bytes(): number {
    return this.#bytes;
  }
  /** Given up. */
  get failed(): number {
    return this.#failed;
  }
  /** Calls were given up, and nothing has been heard since. */
  get stalled(): boolean {
    return this.#stalled;
  }

  add(bytes: number, fail: Call['fail']): Call {
    const call = { sinceMs: this.#clock.monotonicMs(), bytes, fail };
    this.#calls.add(call);
    this.#bytes += bytes;
    this.#checkLater();
    return call;
  }

  /** Redis answered, or the connection ended. */
  settled(call: Call): void {
    this.#calls.delete(call);
    this.#bytes -= call.bytes;
    this.#heardMs = this.#clock.monotonicMs();
    this.#stalled = false;
  }

  close(): void {
    clearTimeout(this.#checking);
    clearImmediate(this.#confirming);
    this.#checking = undefined;
    this.#confirming = undefined;
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
    if (this.#calls.size === 0 || this.#checking !== undefined || this.#confirming !== undefined) return;
    this.#checkAtMs = this.#clock.monotonicMs() + CHECK_MS;
    this.#checking = setTimeout(() => {
      this.#check();
    }, CHECK_MS);
  }

  #failLate(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const call of this.#calls) {
      if (!this.#isLate(call, nowMs)) return;
      this.#calls.delete(call);
      this.#failed += 1;
      this.#stalled = true;
      call.fail(new UnavailableError('Redis does not answer'));
    }
  }

  #isOldestLate(nowMs: number): boolean {
    for (const call of this.#calls) return this.#isLate(call, nowMs);
    return false;
  }

  /** A Redis that works through what is before this call is not late. */
  #isLate({ sinceMs }: Call, nowMs: number): boolean {
    return nowMs - Math.max(sinceMs, this.#heardMs) >= TIMEOUT_MS || nowMs - sinceMs >= MAX_TIMEOUT_MS;
  }
}
