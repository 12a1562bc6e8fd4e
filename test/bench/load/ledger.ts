// What one connection received, against what was published: every stream (one publisher in one channel) must arrive as
// 1, 2, 3 ... without a hole, a repeat or a swap.
import { channelOfKey } from './payload.ts';

/** Bounds the memory of a stream that lost much; what lies beyond counts as lost and never as late. */
const MAX_REMEMBERED_HOLES = 10_000;

/** Shared by the ledgers of one process. */
export interface Tally {
  /** Different publications received. */
  delivered: number;
  repeated: number;
  /** Arrived after a later one of the same stream. */
  reordered: number;
  /** Of a channel that the connection has not subscribed to, or damaged. */
  stray: number;
}

export function emptyTally(): Tally {
  return { delivered: 0, repeated: 0, reordered: 0, stray: 0 };
}

interface Stream {
  readonly key: number;
  received: number;
  /** Sequence expected next. */
  next: number;
  holes: Set<number> | undefined;
}

export class Ledger {
  readonly #tally: Tally;
  readonly #channels: readonly number[];
  readonly #streams: Stream[] = [];

  /** `channels` may grow while the connection subscribes to more. */
  constructor(tally: Tally, channels: readonly number[]) {
    this.#tally = tally;
    this.#channels = channels;
  }

  record(key: number, sequence: number): void {
    const stream = this.#stream(key);
    if (stream === undefined || !(sequence > 0)) {
      this.#tally.stray++;
      return;
    }
    if (sequence === stream.next) {
      stream.next++;
      stream.received++;
      this.#tally.delivered++;
      return;
    }
    this.#irregular(stream, sequence);
  }

  /** Publications that should have come and did not. `published` counts them by stream. */
  lost(published: ReadonlyMap<number, number>): number {
    let lost = 0;
    for (const [key, count] of published) {
      if (!this.#channels.includes(channelOfKey(key))) continue;
      lost += count - (this.#streams.find((stream) => stream.key === key)?.received ?? 0);
    }
    return lost;
  }

  #stream(key: number): Stream | undefined {
    for (const stream of this.#streams) if (stream.key === key) return stream;
    if (!this.#channels.includes(channelOfKey(key))) return undefined;
    const stream: Stream = { key, received: 0, next: 1, holes: undefined };
    this.#streams.push(stream);
    return stream;
  }

  #irregular(stream: Stream, sequence: number): void {
    if (sequence > stream.next) {
      stream.holes ??= new Set();
      const last = Math.min(sequence, stream.next + MAX_REMEMBERED_HOLES - stream.holes.size);
      for (let hole = stream.next; hole < last; hole++) stream.holes.add(hole);
      stream.next = sequence + 1;
      stream.received++;
      this.#tally.delivered++;
    } else if (stream.holes?.delete(sequence) === true) {
      stream.received++;
      this.#tally.delivered++;
      this.#tally.reordered++;
    } else {
      this.#tally.repeated++;
    }
  }
}
