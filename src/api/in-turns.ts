// Many small jobs of one request: some at a time, so that neither the engine's queue nor the event loop is filled by it.
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Their results, in order. `run` must not reject. */
export async function inTurns<T, R>(
  items: readonly T[],
  atOnce: number,
  run: (item: T, at: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += atOnce) {
    if (from > 0) await nextTurn();
    const some = items.slice(from, from + atOnce);
    results.push(...(await Promise.all(some.map((item, at) => run(item, from + at)))));
  }
  return results;
}

/** Of one request, on their way to the engine: a quarter of what may wait there. */
const MAX_BYTES_AT_ONCE = 4 * 1024 * 1024;
const MAX_PUBLICATIONS_AT_ONCE = 256;

/** How many publications of the same payload may be under way. */
export function publicationsAtOnce(payloadBytes: number): number {
  return Math.min(MAX_PUBLICATIONS_AT_ONCE, Math.ceil(MAX_BYTES_AT_ONCE / Math.max(1, payloadBytes)));
}
