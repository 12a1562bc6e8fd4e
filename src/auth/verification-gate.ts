// How many tokens a second a worker verifies: a signature costs as much as a hundred deliveries, and thousands at once would
// hold up everybody who is here. Who finds the bucket empty waits, those who come back first; bounded in number and time.
import { UnavailableError } from '../util/errors.ts';
import { nextPace, type Pace, type PacePolicy, type PaceReading, startPace } from '../util/pace.ts';
import { type BucketRate, type BucketState, fullBucket, takeToken } from '../util/token-bucket.ts';

export interface VerificationGateDeps {
  readonly nowMs: () => number;
  readonly onPassed: (how: 'at_once' | 'waited' | 'refused') => void;
}

export interface VerificationGateOptions {
  /** Of this worker; 0: measured. */
  readonly perSecond: number;
}

interface Waiting {
  readonly pass: () => void;
  readonly refuse: () => void;
  readonly untilTick: number;
}

/** No worker verifies more than this alone; 255 µs each was measured. */
const POLICY: PacePolicy = { minPerSecond: 200, maxPerSecond: 10_000, lateMs: 80, onTimeMs: 40 };
const MAX_WAITING = 10_000;
const TICK_MS = 10;
/** Well within the 5 s that clients wait for an answer. Counted, so that a pause of the process is nobody's wait. */
const MAX_TICKS = 200;
/** Of a measured pace that was lowered, what may begin at once. */
const BURST_S = 0.1;

export class VerificationGate {
  readonly #deps: VerificationGateDeps;
  readonly #options: VerificationGateOptions;
  readonly #returning = new Set<Waiting>();
  readonly #others = new Set<Waiting>();
  #pace: Pace = startPace(POLICY);
  #bucket: BucketState;
  #timer: NodeJS.Timeout | undefined;
  #tick = 0;
  #begun = 0;

  constructor(deps: VerificationGateDeps, options: VerificationGateOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#bucket = fullBucket(this.#rate, deps.nowMs());
  }

  get waiting(): number {
    return this.#returning.size + this.#others.size;
  }

  /** Resolves when a verification may begin; rejects with UnavailableError when it would take too long. */
  async enter(returning: boolean): Promise<void> {
    const { nowMs, onPassed } = this.#deps;
    if (this.waiting === 0 && takeToken(this.#bucket, this.#rate, nowMs())) {
      this.#begun += 1;
      onPassed('at_once');
      return;
    }
    if (this.waiting >= MAX_WAITING) {
      onPassed('refused');
      throw tooMany();
    }
    await new Promise<void>((resolve, reject) => {
      const waiting = {
        pass: resolve,
        refuse: () => reject(tooMany()),
        untilTick: this.#tick + MAX_TICKS,
      };
      (returning ? this.#returning : this.#others).add(waiting);
      this.#timer ??= setTimeout(this.#onTick, TICK_MS);
    });
  }

  /** How the event loop did lately. */
  adapt({ lagMs, overMs }: { readonly lagMs: number; readonly overMs: number }): void {
    const reading: PaceReading = { lagMs, begunPerSecond: (this.#begun * 1000) / Math.max(1, overMs) };
    this.#begun = 0;
    this.#pace = nextPace(this.#pace, reading, POLICY);
    this.#bucket.tokens = Math.min(this.#bucket.tokens, this.#rate.burst);
  }

  /** Refuses who waits. May be called twice. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const waiting of this.#leaving(Infinity)) waiting.refuse();
  }

  get #rate(): BucketRate {
    const { perSecond: configured } = this.#options;
    if (configured > 0) return { perSecond: configured, burst: configured };
    const { perSecond } = this.#pace;
    const isFree = perSecond >= POLICY.maxPerSecond;
    return { perSecond, burst: isFree ? perSecond : perSecond * BURST_S };
  }

  readonly #onTick = (): void => {
    this.#timer = undefined;
    this.#tick += 1;
    const nowMs = this.#deps.nowMs();
    while (this.waiting > 0 && takeToken(this.#bucket, this.#rate, nowMs)) {
      this.#begun += 1;
      this.#deps.onPassed('waited');
      this.#next()?.pass();
    }
    for (const waiting of this.#leaving(this.#tick)) {
      this.#deps.onPassed('refused');
      waiting.refuse();
    }
    if (this.waiting > 0) this.#timer = setTimeout(this.#onTick, TICK_MS);
  };

  #next(): Waiting | undefined {
    for (const queue of [this.#returning, this.#others]) {
      for (const waiting of queue) {
        queue.delete(waiting);
        return waiting;
      }
    }
    return undefined;
  }

  *#leaving(tick: number): Generator<Waiting> {
    for (const queue of [this.#returning, this.#others]) {
      for (const waiting of queue) {
        if (waiting.untilTick > tick) break;
        queue.delete(waiting);
        yield waiting;
      }
    }
  }
}

function tooMany(): UnavailableError {
  return new UnavailableError('too many tokens wait to be verified');
}
