// Numbers what a publisher sends to channels without storing it, so that receivers notice what is missing, and know after a
// move what a subscriber has had.
import { createHash } from 'node:crypto';

/** Where something that has no place in a stream comes from. */
export interface Origin {
  /** One worker process, since its start; negative when its numbers may have gaps. */
  readonly publisher: number;
  /** Ascends in each channel. */
  readonly number: number;
}

/** Channels remembered, at most twice as many. One that is forgotten begins anew, above everything before. */
const MAX_CHANNELS = 50_000;
const ID_BYTES = 6;
/** Numbers of one generation follow each other without gaps. */
const GENERATION = 2 ** 32;

export class Numbering {
  #recent = new Map<string, number>();
  #older = new Map<string, number>();
  #generation = 0;

  next(channel: string): number {
    const last = this.#recent.get(channel) ?? this.#older.get(channel) ?? this.#generation * GENERATION;
    const number = last + 1;
    if (this.#recent.size >= MAX_CHANNELS && !this.#recent.has(channel)) {
      this.#older = this.#recent;
      this.#recent = new Map<string, number>();
      this.#generation += 1;
    }
    this.#recent.set(channel, number);
    return number;
  }
}

/** The publisher that a process is: its node id, short enough to go with every message. */
export function publisherOf(node: string): number {
  return createHash('sha256').update(node).digest().readUIntBE(0, ID_BYTES);
}

/** How many are missing between the last one heard of a publisher in a channel and this one. */
export function missingBetween(last: number, number: number): number {
  if (number <= last + 1 || Math.floor(last / GENERATION) !== Math.floor(number / GENERATION)) return 0;
  return number - last - 1;
}
