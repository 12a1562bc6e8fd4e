// How many connections are closed at one moment, and by which workers: pure.

export interface SliceFacts {
  readonly remaining: number;
  /** The pace that is meant. */
  readonly perSecond: number;
  readonly elapsedMs: number;
  /** A part of a connection that is due from before. */
  readonly owed: number;
  /** Until all must be closed; null when nothing presses. */
  readonly leftMs: number | null;
}

export interface Slice {
  readonly count: number;
  readonly owed: number;
  /** Faster than meant when time presses. */
  readonly perSecond: number;
}

/** After a stall of the primary itself, what is overdue is not closed at once. */
const MAX_ELAPSED_MS = 500;

export function nextSlice({ remaining, perSecond, elapsedMs, owed, leftMs }: SliceFacts): Slice {
  if (leftMs !== null && leftMs <= 0) return { count: remaining, owed: 0, perSecond };
  const neededPerSecond = leftMs === null ? 0 : (remaining / leftMs) * 1000;
  const pace = Math.max(perSecond, neededPerSecond);
  const due = owed + (pace * Math.min(elapsedMs, MAX_ELAPSED_MS)) / 1000;
  const count = Math.min(remaining, Math.floor(due));
  return { count, owed: due - Math.floor(due), perSecond: pace };
}

/** Shares `count` out in proportion to what each has: all are done at the same time. */
export function shareOut(count: number, has: readonly number[]): number[] {
  const total = has.reduce((sum, each) => sum + each, 0);
  if (total === 0) return has.map(() => 0);
  const wanted = Math.min(count, total);
  let given = 0;
  let seen = 0;
  // By running sums: nobody gets more than it has, and the shares add up.
  return has.map((each) => {
    seen += each;
    const share = Math.round((wanted * seen) / total) - given;
    given += share;
    return share;
  });
}
