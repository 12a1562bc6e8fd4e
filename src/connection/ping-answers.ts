// What the pings of a peer (frames of its transport, not commands) are owed: made with the first of them, as few peers
// ever send one.
import { type BucketRate, fullBucket, takeToken } from '../util/token-bucket.ts';

/** Far beyond what keeps a path open or measures it; a peer that sends more wants to keep us busy. */
const PING_RATE: BucketRate = { perSecond: 200, burst: 1000 };

export class PingAnswers {
  readonly #bucket;
  /** The newest pong for a peer that does not read: it stands for those before it (RFC 6455 §5.5.3). */
  #held: Buffer | undefined;

  constructor(nowMs: number) {
    this.#bucket = fullBucket(PING_RATE, nowMs);
  }

  /** False when there were too many. */
  mayAnswer(nowMs: number): boolean {
    return takeToken(this.#bucket, PING_RATE, nowMs);
  }

  hold(pong: Buffer): void {
    this.#held = pong;
  }

  takeHeld(): Buffer | undefined {
    const held = this.#held;
    this.#held = undefined;
    return held;
  }
}
