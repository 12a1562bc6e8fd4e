// A clock that a test moves by hand.
import type { Clock } from '../../src/util/clock.ts';
import type { DeadlineWheel } from '../../src/util/deadline-wheel.ts';

export class FakeClock implements Clock {
  #monotonicMs: number;
  #wallMs: number;

  constructor(monotonicMs = 1_000_000, wallMs = Date.now()) {
    this.#monotonicMs = monotonicMs;
    this.#wallMs = wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  advance(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
  }

  /** As when somebody sets the time of the machine. */
  setWall(wallMs: number): void {
    this.#wallMs = wallMs;
  }
}

/** Lets time pass for a wheel as its timer would: in small steps, so that none of them is taken for a stall. */
export function passTime(clock: FakeClock, wheel: DeadlineWheel, ms: number): void {
  for (let left = ms; left > 0; left -= 100) {
    clock.advance(Math.min(left, 100));
    wheel.advance();
  }
}
