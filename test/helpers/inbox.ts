// A queue that a test reads from by predicate: what arrives early waits, so nothing is missed.
import { deferred } from './deferred.ts';
import { DEADLINE_MS, within } from './wait-for.ts';

interface Waiter<T> {
  readonly matches: (item: T) => boolean;
  readonly take: (item: T) => void;
  readonly fail: (error: Error) => void;
}

export class Inbox<T> {
  /** Arrived and not taken yet, in order. */
  readonly items: T[] = [];
  #waiters: Waiter<T>[] = [];
  #end: string | undefined;

  put(item: T): void {
    const index = this.#waiters.findIndex(({ matches }) => matches(item));
    if (index === -1) {
      this.items.push(item);
      return;
    }
    const [waiter] = this.#waiters.splice(index, 1);
    waiter?.take(item);
  }

  /** Nothing more arrives, for this reason: whoever waits, or comes to wait, hears it at once. */
  end(reason: string): void {
    this.#end = reason;
    for (const { fail } of this.#waiters) fail(new Error(reason));
  }

  /** Takes the first item that matches, now or when it arrives. */
  async next(
    what: string,
    matches: (item: T) => boolean = () => true,
    deadlineMs: number = DEADLINE_MS,
  ): Promise<T> {
    const index = this.items.findIndex(matches);
    const [found] = index === -1 ? [] : this.items.splice(index, 1);
    if (found !== undefined) return found;
    if (this.#end !== undefined) throw new Error(`${this.#end}, before ${what}`);
    const { promise, resolve, reject } = deferred<T>();
    const waiter = { matches, take: resolve, fail: reject };
    this.#waiters.push(waiter);
    try {
      return await within(what, promise, deadlineMs);
    } finally {
      this.#waiters = this.#waiters.filter((each) => each !== waiter);
    }
  }
}
