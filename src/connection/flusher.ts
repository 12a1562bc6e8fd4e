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
  #isTurnEnd = false;
  #source: (() => boolean) | undefined;

  /**
   * `source` is called at the end of each turn that was woken, before anything is written, and may add and flush by itself;
   * true: it wants to be called again after other work of the loop. So what it adds joins what was added before.
   */
  feedFrom(source: () => boolean): void {
    this.#source = source;
  }

  /** The source has something. */
  wake(): void {
    if (this.#scheduled || this.#isTurnEnd) return;
    this.#scheduled = true;
    setImmediate(this.#onTurnEnd);
  }

  /** The caller sees to it that one is added once until it is flushed. */
  add(flushable: Flushable): void {
    this.#dirty.push(flushable);
    this.wake();
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
    // What is added meanwhile is written at this end: no turn of the loop is asked for, each of which polls the kernel.
    this.#isTurnEnd = true;
    let isDone = false;
    try {
      const hasMore = this.#source?.() ?? false;
      isDone = this.flush(performance.now() + SLICE_MS) && !hasMore;
    } finally {
      this.#isTurnEnd = false;
    }
    if (!isDone) this.wake();
  };
}
