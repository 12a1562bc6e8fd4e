// When to rebalance without being asked: one pure function, called at every look. A run that did not help (what loads the
// worker does not come from its connections, or comes back at once) is tried again after longer and longer pauses.
import type { RebalancePlan } from './rebalance-plan.ts';

export interface RebalanceWatch {
  /** Looks that pass without a run. */
  readonly skip: number;
  readonly futileInRow: number;
  /** Found by the last run; undefined when it has been judged. */
  readonly imbalanceBefore: number | undefined;
}

export const initialWatch: RebalanceWatch = { skip: 0, futileInRow: 0, imbalanceBefore: undefined };

/** A run after which more than this is left of the imbalance was in vain. */
const FUTILE_REST = 0.7;
const MAX_DOUBLINGS = 5;

/** Returns what to remember, and whether to run now. */
export function lookAt(
  watch: RebalanceWatch,
  { imbalance, moves }: Pick<RebalancePlan, 'imbalance' | 'moves'>,
): readonly [RebalanceWatch, boolean] {
  if (moves.length === 0) return [initialWatch, false];
  const { skip, imbalanceBefore: before } = watch;
  if (skip > 0) return [{ ...watch, skip: skip - 1 }, false];
  if (before !== undefined && imbalance > before * FUTILE_REST) {
    const futileInRow = Math.min(watch.futileInRow + 1, MAX_DOUBLINGS);
    return [{ skip: 2 ** futileInRow - 1, futileInRow, imbalanceBefore: undefined }, false];
  }
  const futileInRow = before === undefined ? watch.futileInRow : 0;
  return [{ skip: 0, futileInRow, imbalanceBefore: imbalance }, true];
}
