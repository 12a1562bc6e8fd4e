// Writes outboxes at the end of the event-loop turn in which they got something, so that all frames of one turn leave in
// one write.

export interface Flushable {
  flush(): void;
}

/** Longest time spent writing before other work of the loop gets its turn. */
const SLICE_MS = 4;
const CHECK_EVERY = 64;

export class Flusher {
  #dirty: Flushable[] = [];
  #head = 0;
  #scheduled = false;
  #held = false;

  /** The caller sees to it that one is added once until it is flushed. */
  add(flushable: Flushable): void {
    this.#dirty.push(flushable);
    if (!this.#held) this.#schedule();
  }

  /**
   * The caller adds many in this turn and flushes by itself before `release`: no turn of the event loop is asked for
   * meanwhile, which would cost a poll of the kernel each time.
   */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    if (this.#dirty.length > 0) this.#schedule();
  }

  /** Writes now, up to `untilMs` on performance.now()'s clock. True when nothing is left. */
  flush(untilMs: number): boolean {
    const dirty = this.#dirty;
    while (this.#head < dirty.length) {
      dirty[this.#head]?.flush();
      this.#head += 1;
      if (this.#head % CHECK_EVERY === 0 && performance.now() >= untilMs) return false;
    }
    if (dirty.length > 0) this.#dirty = [];
    this.#head = 0;
    return true;
  }

  readonly #onTurnEnd = (): void => {
    this.#scheduled = false;
    if (!this.flush(performance.now() + SLICE_MS)) this.#schedule();
  };

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#onTurnEnd);
  }
}
