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
