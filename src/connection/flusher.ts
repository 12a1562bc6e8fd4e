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

  /** The caller sees to it that one is added once until it is flushed. */
  add(flushable: Flushable): void {
    this.#dirty.push(flushable);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#onTurnEnd);
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
    if (this.flush(performance.now() + SLICE_MS)) return;
    this.#scheduled = true;
    setImmediate(this.#onTurnEnd);
  };
}
