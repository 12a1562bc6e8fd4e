// Notices which requests an engine has not answered in time. An engine that works through what came before a request is
// not late, and a process that was stalled itself has no right to call others silent.
import type { Clock } from '../util/clock.ts';

/** Without any answer for so long. With the time between checks below the second that Broker promises. */
const TIMEOUT_MS = 750;
const CHECK_MS = 200;
/** Even when the engine is busy with other things. */
const MAX_TIMEOUT_MS = 5000;

export interface Waiting {
  readonly sinceMs: number;
}

export interface OverdueDeps<T> {
  readonly clock: Clock;
  /** What waits, oldest first. */
  readonly waiting: () => Iterable<T>;
  /** Called for what waits too long: it waits no longer when this returns. */
  readonly giveUp: (late: T) => void;
}

export class Overdue<T extends Waiting> {
  readonly #deps: OverdueDeps<T>;
  #heardMs = -Infinity;
  #checkAtMs = 0;
  #isHeld = false;
  #checking: NodeJS.Timeout | undefined;
  #confirming: NodeJS.Immediate | undefined;

  constructor(deps: OverdueDeps<T>) {
    this.#deps = deps;
  }

  /** The engine lives: it sent something. */
  heard(): void {
    this.#heardMs = this.#deps.clock.monotonicMs();
  }

  /** The engine has said that it answers later (true), or that it goes on (false). */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.heard();
  }

  /** Something waits. */
  watch(): void {
    if (this.#checking !== undefined || this.#confirming !== undefined) return;
    this.#checkAtMs = this.#deps.clock.monotonicMs() + CHECK_MS;
    this.#checking = setTimeout(() => {
      this.#check();
    }, CHECK_MS);
  }

  /** Until `watch` is called again. */
  stop(): void {
    clearTimeout(this.#checking);
    clearImmediate(this.#confirming);
    this.#checking = undefined;
    this.#confirming = undefined;
  }

  #check(): void {
    this.#checking = undefined;
    const nowMs = this.#deps.clock.monotonicMs();
    if (this.#isHeld || nowMs >= this.#checkAtMs + CHECK_MS) this.#heardMs = nowMs;
    const oldest = this.#oldest();
    if (oldest === undefined) return;
    if (!this.#isLate(oldest, nowMs)) {
      this.watch();
      return;
    }
    // Perhaps the answer is there and was not read yet: only what is late after the sockets were read has failed.
    this.#confirming = setImmediate(() => {
      this.#confirming = undefined;
      this.#giveUpLate();
      if (this.#oldest() !== undefined) this.watch();
    });
  }

  #giveUpLate(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const item of this.#deps.waiting()) {
      if (!this.#isLate(item, nowMs)) return;
      this.#deps.giveUp(item);
    }
  }

  #oldest(): T | undefined {
    for (const item of this.#deps.waiting()) return item;
    return undefined;
  }

  #isLate({ sinceMs }: T, nowMs: number): boolean {
    return nowMs - Math.max(sinceMs, this.#heardMs) >= TIMEOUT_MS || nowMs - sinceMs >= MAX_TIMEOUT_MS;
  }
}
