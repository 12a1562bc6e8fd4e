// One timer for the deadlines of all connections of a process, on a clock that does not run while the process is stalled.
import type { Clock } from './clock.ts';

/** Something with one next deadline; the fields belong to the wheel. */
export interface Timed {
  deadlineMs: number;
  /** Slot in the wheel, -1 outside of it. */
  wheelSlot: number;
  onDeadline(nowMs: number): void;
}

const TICK_MS = 100;
const SLOTS = 512;
/** A longer silence between two ticks was our own: it is not charged to anybody's deadline. */
const STALL_MS = 1000;

export class DeadlineWheel {
  readonly #clock: Clock;
  readonly #slots: Set<Timed>[] = Array.from({ length: SLOTS }, () => new Set());
  readonly #onStall: (stalledMs: number) => void;
  #timer: NodeJS.Timeout | undefined;
  #tick = 0;
  #nowMs: number;
  #lastMonotonicMs: number;

  constructor(deps: { readonly clock: Clock; readonly onStall?: (stalledMs: number) => void }) {
    this.#clock = deps.clock;
    this.#onStall = deps.onStall ?? (() => undefined);
    this.#lastMonotonicMs = deps.clock.monotonicMs();
    this.#nowMs = this.#lastMonotonicMs;
    this.#tick = Math.floor(this.#nowMs / TICK_MS);
  }

  /** Attentive time: CLOCK_MONOTONIC less what this process spent stalled. Exact to one tick (100 ms). */
  get nowMs(): number {
    return this.#nowMs;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.advance(), TICK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** `atMs` may lie in the past (fires on the next tick) or be Infinity (never). */
  schedule(timed: Timed, atMs: number): void {
    timed.deadlineMs = atMs;
    const slot = atMs === Infinity ? -1 : this.#slotFor(atMs);
    if (slot === timed.wheelSlot) return;
    if (timed.wheelSlot !== -1) this.#slots[timed.wheelSlot]?.delete(timed);
    timed.wheelSlot = slot;
    if (slot !== -1) this.#slots[slot]?.add(timed);
  }

  /** Called by the timer; tests call it with their own clock. */
  advance(): void {
    const monotonicMs = this.#clock.monotonicMs();
    const elapsedMs = monotonicMs - this.#lastMonotonicMs;
    this.#lastMonotonicMs = monotonicMs;
    if (elapsedMs > STALL_MS) this.#onStall(elapsedMs);
    this.#nowMs += Math.min(elapsedMs, STALL_MS);
    const until = Math.floor(this.#nowMs / TICK_MS);
    while (this.#tick < until) {
      this.#tick += 1;
      this.#fire(this.#tick % SLOTS);
    }
  }

  #fire(slot: number): void {
    const due = this.#slots[slot];
    if (due === undefined || due.size === 0) return;
    this.#slots[slot] = new Set();
    for (const timed of due) {
      timed.wheelSlot = -1;
      // A deadline beyond one turn of the wheel waits in its last slot and is laid again from there.
      if (timed.deadlineMs > this.#nowMs) this.schedule(timed, timed.deadlineMs);
      else timed.onDeadline(this.#nowMs);
    }
  }

  #slotFor(atMs: number): number {
    const tick = Math.ceil(atMs / TICK_MS);
    return Math.min(Math.max(tick, this.#tick + 1), this.#tick + SLOTS - 1) % SLOTS;
  }
}
