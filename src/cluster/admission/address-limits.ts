// New connections of each client address: a bucket for each, as many as fit.
import { addressKey } from '../../util/client-address.ts';
import { type BucketRate, type BucketState, fullBucket, takeToken } from '../../util/token-bucket.ts';

/** About 100 bytes each. An address that is forgotten has a full bucket again. */
const MAX_ADDRESSES = 100_000;

export class AddressLimits {
  /** Least recently used first. */
  readonly #buckets = new Map<string, BucketState>();

  get size(): number {
    return this.#buckets.size;
  }

  /** False when this address has had too many. One that nobody knows has no limit. */
  take(address: string, rate: BucketRate, nowMs: number): boolean {
    const key = addressKey(address);
    if (key === '') return true;
    const bucket = this.#buckets.get(key) ?? fullBucket(rate, nowMs);
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > MAX_ADDRESSES) {
      const oldest = this.#buckets.keys().next();
      if (oldest.done !== true) this.#buckets.delete(oldest.value);
    }
    return takeToken(bucket, rate, nowMs);
  }
}
