// Delays between attempts: exponential with full jitter, so that many who failed together do not return together.

/** Uniform in [0, 1), as Math.random: injected, so that tests own it. */
export type Random = () => number;

export interface BackoffPolicy {
  /** Ceiling of the first delay. */
  readonly minMs: number;
  /** Ceiling of every delay. */
  readonly maxMs: number;
}

/** Delay before attempt number `attempt` (0 is the first retry), for one `roll` in [0, 1). */
export function backoffMs(policy: BackoffPolicy, attempt: number, roll: number): number {
  // 2 ** 31 ms is already 24 days: the clamp only keeps the power finite.
  const ceilingMs = Math.min(policy.maxMs, policy.minMs * 2 ** Math.min(attempt, 31));
  return Math.floor(roll * ceilingMs);
}
