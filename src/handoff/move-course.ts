// How one order to move connections goes: what was moved, who is left alone for a while, and when there is no point in going on.
import type { Clock } from '../util/clock.ts';

/** One after the other that did not arrive: something is wrong with the whole of it. */
const MAX_FAILURES_IN_A_ROW = 5;

export class MoveCourse<Item extends object> {
  readonly #clock: Clock;
  /** Without any progress for so long, what is left stays. */
  readonly #patienceMs: number;
  /** Items that were held in vain: they are left alone for a while before they are held again. */
  readonly #restUntilMs = new WeakMap<Item, number>();
  #moved = 0;
  /** At the end of the last round. */
  #movedBefore = 0;
  #failuresInARow = 0;
  #lastProgressMs: number;
  /** The latest reason why something else than its own work kept one here. */
  #obstacle = '';
  #stopped: string | undefined;
  #isRefused = false;

  constructor(clock: Clock, patienceMs: number) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    this.#lastProgressMs = clock.monotonicMs();
  }

  get moved(): number {
    return this.#moved;
  }

  /** Why nothing more is to be moved; the first reason stays. */
  get stopped(): string | undefined {
    return this.#stopped;
  }

  get isStopped(): boolean {
    return this.#stopped !== undefined;
  }

  /** It was stopped because what was sent did not arrive. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  stop(reason: string): void {
    this.#stopped ??= reason;
  }

  hindered(reason: string): void {
    this.#obstacle = reason;
  }

  arrived(): void {
    this.#failuresInARow = 0;
    this.#moved += 1;
  }

  returned(): void {
    this.#failuresInARow += 1;
    if (this.#failuresInARow < MAX_FAILURES_IN_A_ROW || this.isStopped) return;
    this.stop(`connections do not arrive: ${this.#obstacle}`);
    this.#isRefused = true;
  }

  rest(item: Item, ms: number): void {
    this.#restUntilMs.set(item, this.#clock.monotonicMs() + ms);
  }

  isResting(item: Item): boolean {
    return this.#clock.monotonicMs() < (this.#restUntilMs.get(item) ?? 0);
  }

  /** Patience is counted from here, and from the end of every round that moved something. */
  begins(): void {
    this.#lastProgressMs = this.#clock.monotonicMs();
    this.#movedBefore = this.#moved;
  }

  /** Everything that is left was tried once. */
  roundEnded(): void {
    if (this.#moved > this.#movedBefore) return this.begins();
    if (this.#clock.monotonicMs() - this.#lastProgressMs <= this.#patienceMs) return;
    this.stop(`what is left cannot be moved now${this.#obstacle === '' ? '' : `: ${this.#obstacle}`}`);
  }
}
