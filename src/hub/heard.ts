// How far one worker has heard a channel: the last number of each publisher, and the place in the stream. Two workers that
// compare it know exactly what one of them has delivered and the other has not.
import { missingBetween, type Origin } from '../engine/numbering.ts';
import type { StreamPosition } from '../protocol/publication.ts';
import type { ChannelEvent } from './channel-item.ts';

/** As plain data. */
export interface HeardState {
  readonly numbers: readonly (readonly [publisher: number, number: number])[];
  readonly top: StreamPosition | undefined;
}

/** Publishers come and go with every deploy; the oldest are forgotten first. */
const MAX_PUBLISHERS = 1024;

export class Heard {
  /** Of the newest publication with an offset. */
  #top: StreamPosition | undefined;
  // Most channels have one publisher at most.
  #onlyPublisher = 0;
  #onlyNumber = 0;
  #numbers: Map<number, number> | undefined;

  constructor({ numbers, top }: HeardState = NOTHING) {
    for (const [publisher, number] of numbers) this.#note({ publisher, number });
    this.#top = top;
  }

  get state(): HeardState {
    const only: [number, number][] =
      this.#onlyPublisher === 0 ? [] : [[this.#onlyPublisher, this.#onlyNumber]];
    return { numbers: this.#numbers === undefined ? only : [...this.#numbers], top: this.#top };
  }

  /** Returns how many of its publisher are missing before this one. */
  note(event: ChannelEvent): number {
    if (event.origin !== undefined) return this.#note(event.origin);
    if (event.kind === 'publication' && event.publication.offset > 0) {
      this.#top = { offset: event.publication.offset, epoch: event.epoch };
    }
    return 0;
  }

  has(event: ChannelEvent): boolean {
    if (event.origin !== undefined) {
      const last = this.#last(event.origin.publisher);
      return last !== undefined && event.origin.number <= last;
    }
    if (event.kind !== 'publication' || this.#top === undefined) return false;
    return event.epoch === this.#top.epoch && event.publication.offset <= this.#top.offset;
  }

  /** Everything that the other one has. */
  covers({ state: { numbers, top } }: Heard): boolean {
    const hasTop =
      top === undefined ||
      (this.#top !== undefined && this.#top.epoch === top.epoch && this.#top.offset >= top.offset);
    return hasTop && numbers.every(([publisher, number]) => (this.#last(publisher) ?? 0) >= number);
  }

  #note({ publisher, number }: Origin): number {
    const last = this.#last(publisher);
    this.#set(publisher, number);
    return last === undefined || publisher < 0 ? 0 : missingBetween(last, number);
  }

  #last(publisher: number): number | undefined {
    if (this.#numbers !== undefined) return this.#numbers.get(publisher);
    return publisher === this.#onlyPublisher ? this.#onlyNumber : undefined;
  }

  #set(publisher: number, number: number): void {
    if (this.#numbers === undefined) {
      if (this.#onlyPublisher === 0 || this.#onlyPublisher === publisher) {
        this.#onlyPublisher = publisher;
        this.#onlyNumber = number;
        return;
      }
      this.#numbers = new Map([[this.#onlyPublisher, this.#onlyNumber]]);
    }
    this.#numbers.set(publisher, number);
    if (this.#numbers.size <= MAX_PUBLISHERS) return;
    for (const oldest of this.#numbers.keys()) {
      this.#numbers.delete(oldest);
      return;
    }
  }
}

const NOTHING: HeardState = { numbers: [], top: undefined };
