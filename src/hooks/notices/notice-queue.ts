// Events that wait to be told, oldest first, bounded in number and bytes: the oldest make room for the newest.

export interface NoticeQueueLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
}

export class NoticeQueue {
  readonly #limits: NoticeQueueLimits;
  // Those before #head are taken already:  [ - - - a b c d ]
  //                                         0     ^head   ^length
  #events: string[] = [];
  #head = 0;
  #bytes = 0;

  constructor(limits: NoticeQueueLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#events.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Returns how many were dropped for it; an event that is larger than the whole queue is dropped itself. */
  push(event: string): number {
    this.#events.push(event);
    this.#bytes += Buffer.byteLength(event);
    let dropped = 0;
    while (this.size > this.#limits.maxEvents || this.#bytes > this.#limits.maxBytes) {
      dropped += this.take(1).length;
    }
    return dropped;
  }

  /** The oldest, at most so many. */
  take(count: number): string[] {
    const taken = this.#events.slice(this.#head, this.#head + count);
    for (const event of taken) this.#bytes -= Buffer.byteLength(event);
    this.#head += taken.length;
    // Half of the array is gone: copying the rest costs one step for each event that was taken.
    if (this.#head * 2 >= this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }

  /** Those that were taken last, before all others. */
  putBack(events: readonly string[]): void {
    this.#events = [...events, ...this.#events.slice(this.#head)];
    this.#head = 0;
    for (const event of events) this.#bytes += Buffer.byteLength(event);
  }
}
