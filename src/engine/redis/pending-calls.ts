// Calls of one connection that Redis owes an answer: how many bytes they hold, and which have waited too long. Answers come
// in the order of calls, so any answer proves that nothing before it is stuck.
import type { Clock } from '../../util/clock.ts';
import { UnavailableError } from '../../util/errors.ts';
import { Overdue } from '../overdue.ts';

export interface Call {
  readonly sinceMs: number;
  readonly bytes: number;
  readonly fail: (error: UnavailableError) => void;
}

export class PendingCalls {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #calls = new Set<Call>();
  readonly #overdue: Overdue<Call>;
  #bytes = 0;
  #failed = 0;
  #stalled = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#overdue = new Overdue({
      clock,
      waiting: () => this.#calls,
      giveUp: () => this.#giveUpAll(),
    });
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
    this.#overdue.watch();
    return call;
  }

  /** Redis answered, or the connection ended. */
  settled(call: Call): void {
    this.#calls.delete(call);
    this.#bytes -= call.bytes;
    this.#overdue.heard();
    this.#stalled = false;
  }

  close(): void {
    this.#overdue.stop();
  }

  /**
   * The oldest is late: those behind it cannot be answered before it. Nor may they wait, for what follows them is refused from
   * now on, and whoever is told of both must hear of them first.
   */
  #giveUpAll(): void {
    this.#stalled = true;
    for (const call of this.#calls) {
      this.#calls.delete(call);
      this.#failed += 1;
      call.fail(new UnavailableError('Redis does not answer'));
    }
  }
}
