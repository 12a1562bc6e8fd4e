// Counts of values in buckets whose width grows with the value: below 1 % error from 1 µs to hours in a fixed 30 kB.

const SUB_BITS = 7;
const SUB_BUCKETS = 1 << SUB_BITS;
const MAX_EXPONENT = 27;
const BUCKETS = (MAX_EXPONENT + 2) * SUB_BUCKETS;

export interface HistogramState {
  readonly counts: readonly [bucket: number, count: number][];
  readonly max: number;
}

export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;
  #max = 0;

  static merged(states: readonly HistogramState[]): Histogram {
    const histogram = new Histogram();
    for (const state of states) histogram.#add(state);
    return histogram;
  }

  get total(): number {
    return this.#total;
  }

  get max(): number {
    return this.#max;
  }

  /** Ignores NaN, the time of a damaged message. */
  record(value: number): void {
    if (Number.isNaN(value)) return;
    const bounded = value < 0 ? 0 : value;
    const bucket = bucketOf(bounded);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total++;
    if (bounded > this.#max) this.#max = bounded;
  }

  /** The middle of the bucket below which `fraction` of the values lie; 0 without values. */
  percentile(fraction: number): number {
    let left = Math.ceil(this.#total * fraction);
    if (left <= 0) return 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket] ?? 0;
      if (left <= 0) return Math.min(middleOf(bucket), this.#max);
    }
    return this.#max;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#total = 0;
    this.#max = 0;
  }

  state(): HistogramState {
    const counts: [number, number][] = [];
    this.#counts.forEach((count, bucket) => {
      if (count > 0) counts.push([bucket, count]);
    });
    return { counts, max: this.#max };
  }

  #add(state: HistogramState): void {
    for (const [bucket, count] of state.counts) {
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
      this.#total += count;
    }
    if (state.max > this.#max) this.#max = state.max;
  }
}

// Values below 2 * SUB_BUCKETS have a bucket each; above, every doubling is divided into SUB_BUCKETS.
function bucketOf(value: number): number {
  const whole = Math.floor(value);
  if (whole < SUB_BUCKETS) return whole;
  const exponent = Math.min(31 - Math.clz32(Math.min(whole, 0x7fffffff)) - SUB_BITS, MAX_EXPONENT);
  const sub = Math.min(Math.floor(whole / 2 ** exponent), 2 * SUB_BUCKETS - 1);
  return (exponent + 1) * SUB_BUCKETS + (sub - SUB_BUCKETS);
}

function middleOf(bucket: number): number {
  if (bucket < SUB_BUCKETS) return bucket;
  const exponent = Math.floor(bucket / SUB_BUCKETS) - 1;
  const sub = (bucket % SUB_BUCKETS) + SUB_BUCKETS;
  return (sub + 0.5) * 2 ** exponent;
}
