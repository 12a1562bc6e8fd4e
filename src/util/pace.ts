// How fast work may begin, from how late the event loop of those who do it is: additive-increase, multiplicative-decrease.
// Pure; whoever owns a token bucket asks here for its next rate.

export interface PacePolicy {
  readonly minPerSecond: number;
  /** Where it starts, and where it is no limit at all. */
  readonly maxPerSecond: number;
  /** Lag at which it becomes slower. */
  readonly lateMs: number;
  /** Lag below which it becomes faster. */
  readonly onTimeMs: number;
}

export interface Pace {
  readonly perSecond: number;
  /** Readings in a row that were late. */
  readonly late: number;
}

export interface PaceReading {
  readonly lagMs: number;
  /** What really began in the time of the reading. */
  readonly begunPerSecond: number;
}

/** One late reading may be anything: a pause of the machine, a collection of garbage. */
const LATE_READINGS = 2;
const SLOWER = 0.75;
const FASTER = 1.2;

export function startPace(policy: PacePolicy): Pace {
  return { perSecond: policy.maxPerSecond, late: 0 };
}

export function nextPace(pace: Pace, { lagMs, begunPerSecond }: PaceReading, policy: PacePolicy): Pace {
  if (lagMs > policy.lateMs) {
    const late = pace.late + 1;
    // Nothing has begun: whatever makes it late, it is not this.
    if (late < LATE_READINGS || begunPerSecond === 0) return { ...pace, late };
    // Counted from what it did: a pace that was never reached would need many steps to become a limit.
    const reached = Math.min(pace.perSecond, begunPerSecond);
    return { perSecond: Math.max(policy.minPerSecond, reached * SLOWER), late };
  }
  if (lagMs >= policy.onTimeMs) return { ...pace, late: 0 };
  return { perSecond: Math.min(policy.maxPerSecond, pace.perSecond * FASTER), late: 0 };
}
