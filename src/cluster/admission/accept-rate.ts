// How many new connections a second this host can take: counted while some of them had to wait, and before that ever
// happened estimated from how busy its workers were with those that came.

/** What the workers say of the last moment, added up. */
export interface BusyReport {
  readonly opened: number;
  /** Share of its time that the event loop was not idle, 0 to 1. */
  readonly busyShare: number;
}

const WINDOW_MS = 500;
/** A window that took longer holds a pause of the machine. */
const MAX_WINDOW_MS = 2 * WINDOW_MS;
/** Of the newest window. */
const WEIGHT = 0.3;
/** Fewer say nothing: it was something else that kept the worker busy. */
const MIN_OPENED = 10;
const MIN_BUSY_SHARE = 0.2;

export class AcceptRate {
  readonly #nowMs: () => number;
  #queuedSinceMs: number | undefined;
  #taken = 0;
  #measured: number | undefined;
  readonly #estimates = new Map<number, number>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Undefined until there was something to learn from. */
  get perSecond(): number | undefined {
    if (this.#measured !== undefined) return this.#measured;
    if (this.#estimates.size === 0) return undefined;
    return [...this.#estimates.values()].reduce((sum, perSecond) => sum + perSecond, 0);
  }

  /** Counted while others waited for their turn; undefined as long as nobody had to. */
  get measured(): number | undefined {
    return this.#measured;
  }

  /** A worker has taken one; `others` wait. */
  taken(others: boolean): void {
    const nowMs = this.#nowMs();
    if (!others) {
      this.#queuedSinceMs = undefined;
      return;
    }
    if (this.#queuedSinceMs === undefined) {
      this.#queuedSinceMs = nowMs;
      this.#taken = 0;
      return;
    }
    this.#taken += 1;
    const elapsedMs = nowMs - this.#queuedSinceMs;
    if (elapsedMs < WINDOW_MS) return;
    if (elapsedMs <= MAX_WINDOW_MS) this.#learn((this.#taken * 1000) / elapsedMs);
    this.#queuedSinceMs = nowMs;
    this.#taken = 0;
  }

  /** `slot`: of the worker; `overMs`: the time that the report is about. */
  busy(slot: number, { opened, busyShare }: BusyReport, overMs: number): void {
    if (opened < MIN_OPENED || busyShare < MIN_BUSY_SHARE) return;
    const perSecond = (opened * 1000) / overMs / busyShare;
    const before = this.#estimates.get(slot);
    this.#estimates.set(slot, before === undefined ? perSecond : mixed(before, perSecond));
  }

  #learn(perSecond: number): void {
    this.#measured = this.#measured === undefined ? perSecond : mixed(this.#measured, perSecond);
  }
}

function mixed(before: number, now: number): number {
  return before + (now - before) * WEIGHT;
}
