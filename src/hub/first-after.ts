// Picks one page of a long unsorted list, in slices that leave the event loop to others.
import { setImmediate as nextTurn } from 'node:timers/promises';

export interface PageWishes<T> {
  /** Undefined: not wanted. */
  readonly keyOf: (item: T) => string | undefined;
  /** Only what sorts after it, by UTF-16 code units. */
  readonly after: string;
  /** 0: all, unsorted. */
  readonly limit: number;
}

const SLICE_MS = 4;
const CHECK_EVERY = 256;

/** The `limit` items that sort first; the list may change while it is read. Of items with one key the last one counts. */
export async function firstAfter<T>(items: Iterable<T>, wishes: PageWishes<T>): Promise<T[]> {
  const { keyOf, after, limit } = wishes;
  let kept = new Map<string, T>();
  let end: string | undefined;
  let untilMs = performance.now() + SLICE_MS;
  let seen = 0;
  for (const item of items) {
    seen += 1;
    if (seen % CHECK_EVERY === 0 && performance.now() >= untilMs) {
      await nextTurn();
      untilMs = performance.now() + SLICE_MS;
    }
    const key = keyOf(item);
    if (key === undefined || key <= after || (end !== undefined && key > end)) continue;
    kept.set(key, item);
    // Sorted now and then, and cut: the work stays near linear, the memory at twice a page.
    if (limit > 0 && kept.size >= 2 * limit) {
      const page = firstOf(kept, limit);
      end = page.at(-1)?.[0];
      kept = new Map(page);
    }
  }
  return limit > 0 ? firstOf(kept, limit).map(([, item]) => item) : [...kept.values()];
}

function firstOf<T>(entries: ReadonlyMap<string, T>, limit: number): (readonly [string, T])[] {
  return [...entries].toSorted(([one], [other]) => (one < other ? -1 : 1)).slice(0, limit);
}
