// A rate limit that allows bursts: tokens come back with time, each use takes some.

export interface BucketRate {
  readonly perSecond: number;
  /** Most tokens that gather in a pause. */
  readonly burst: number;
}

/** Plain data, for limits that move with what they limit. Times are milliseconds on one clock. */
export interface BucketState {
  tokens: number;
  atMs: number;
}

export function fullBucket(rate: BucketRate, nowMs: number): BucketState {
  return { tokens: rate.burst, atMs: nowMs };
}

/** False when there is no whole token; then none is taken. */
export function takeToken(bucket: BucketState, rate: BucketRate, nowMs: number): boolean {
  refill(bucket, rate, nowMs);
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

/** Takes in any case, for what has happened already. Milliseconds until the debt is paid off; 0 without one. */
export function charge(bucket: BucketState, rate: BucketRate, nowMs: number, tokens: number): number {
  refill(bucket, rate, nowMs);
  bucket.tokens -= tokens;
  return bucket.tokens >= 0 ? 0 : (-bucket.tokens / rate.perSecond) * 1000;
}

function refill(bucket: BucketState, { perSecond, burst }: BucketRate, nowMs: number): void {
  // A state from another machine may lie in the future of this clock.
  const elapsedMs = Math.max(0, nowMs - bucket.atMs);
  bucket.tokens = Math.min(burst, bucket.tokens + (elapsedMs / 1000) * perSecond);
  bucket.atMs = nowMs;
}

export class TokenBucket {
  readonly #rate: BucketRate;
  readonly #state: BucketState;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#rate = { perSecond, burst };
    this.#state = fullBucket(this.#rate, nowMs);
  }

  take(nowMs: number): boolean {
    return takeToken(this.#state, this.#rate, nowMs);
  }
}
