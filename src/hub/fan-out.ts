// Takes what channels have to deliver to their subscribers, in slices: a large channel does not hold up the small ones
// nor the event loop, and the order within each channel stays.
import type { Flusher } from '../connection/flusher.ts';
import type { Subscription } from '../connection/subscription.ts';
import type { Batch } from './batch.ts';
import type { HubChannel, PassDeps } from './channel.ts';
import type { Codecs } from './channel-item.ts';

/** Longest time before other work of the event loop gets its turn. */
const SLICE_MS = 1;
/** Subscribers served between two looks at the clock, and written in one go. */
const QUANTUM = 64;

export interface FanOutDeps {
  readonly flusher: Flusher;
  readonly codecs: Codecs;
  readonly serve: (subscription: Subscription, batch: Batch) => void;
  /** A batch has reached all its subscribers; of publications only. */
  readonly onPassDone: (publishedAtWallMs: number, subscribers: number) => void;
}

export class FanOut {
  readonly #flusher: Flusher;
  readonly #pass: PassDeps;
  /** Channels that have something since the last turn: before those that are being worked on. */
  #fresh: HubChannel[] = [];
  #queue: HubChannel[] = [];
  /** The last turn did not reach every channel: then those that waited come first. */
  #isBehind = false;
  #pendingBytes = 0;

  constructor(deps: FanOutDeps) {
    this.#flusher = deps.flusher;
    const { codecs, serve, onPassDone } = deps;
    const onTaken = (bytes: number): void => {
      this.#pendingBytes -= bytes;
    };
    this.#pass = { codecs, serve, onPassDone, onTaken };
    this.#flusher.feedFrom(this.#onTurnEnd);
  }

  /** The channel has something to deliver. What is added in one event-loop turn goes out together at its end. */
  enqueue(channel: HubChannel): void {
    if (channel.queued) return;
    channel.queued = true;
    this.#fresh.push(channel);
    this.#flusher.wake();
  }

  /** Bytes that wait in all channels together. */
  addPendingBytes(bytes: number): number {
    this.#pendingBytes += bytes;
    return this.#pendingBytes;
  }

  readonly #onTurnEnd = (): boolean => {
    const waiting = this.#queue.length + this.#fresh.length;
    if (waiting === 0) return false;
    const queue = this.#takeQueue();
    const flusher = this.#flusher;
    const untilMs = performance.now() + SLICE_MS;
    let room = QUANTUM;
    let done = 0;
    while (done < queue.length) {
      const channel = queue[done];
      done += 1;
      if (channel === undefined) continue;
      room -= channel.step(room, this.#pass);
      // Channels take turns: one that is not done goes to the end of the queue.
      if (channel.hasWork) queue.push(channel);
      else channel.queued = false;
      if (room > 0) continue;
      room = QUANTUM;
      if (!flusher.flush(untilMs) || performance.now() >= untilMs) break;
    }
    this.#isBehind = done < waiting;
    this.#queue = done === queue.length ? [] : queue.slice(done);
    // Serving one may have brought something to another: a subscriber that has to go is announced to those who stay.
    return this.#queue.length > 0 || this.#fresh.length > 0;
  };

  #takeQueue(): HubChannel[] {
    const fresh = this.#fresh;
    const queue = this.#queue;
    this.#fresh = [];
    // As nearly always.
    if (queue.length === 0) return fresh;
    return this.#isBehind ? [...queue, ...fresh] : [...fresh, ...queue];
  }
}
