// What waits to be written to one peer: complete frames, first in first out, bounded in bytes and count. Frames are shared
// by all their receivers, so that a frame in a thousand outboxes is in memory once.
import type { Transport } from './transport.ts';

/** control: pings and the last words of a connection; they never count against the limit. */
export type FrameClass = 'control' | 'reply' | 'publication';

export interface OutboxLimits {
  /** Unsent bytes, those that the transport holds included. */
  readonly maxBytes: number;
  readonly maxFrames: number;
}

/** Sums over all outboxes of a process. */
export interface OutboxCounters {
  readonly sums: { messagesOut: number; bytesOut: number; queuedBytes: number };
  /** Frames thrown away with their connection. */
  readonly dropped: { value: number };
}

/** Most that goes to the transport at once, so that a trickling reader shows progress once per so many bytes. */
const WRITE_CHUNK_BYTES = 16_384;

export class Outbox {
  readonly #limits: OutboxLimits;
  readonly #counters: OutboxCounters;
  // Queued is `only`, or `frames` once there is more than one: nearly all connections are nearly always idle, and most
  // that are not hold one frame until the end of the turn.
  #only: Buffer | undefined;
  #frames: Buffer[] | undefined;
  #bytes = 0;
  #blocked = false;
  #hasEnded = false;
  /** Since somebody asked, or never did. */
  #hasDrained = true;

  constructor(limits: OutboxLimits, counters: OutboxCounters) {
    this.#limits = limits;
    this.#counters = counters;
  }

  /** Bytes queued here; what the transport holds comes on top. */
  get queuedBytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#only === undefined && this.#frames === undefined;
  }

  /** The transport has asked for a pause. */
  get isBlocked(): boolean {
    return this.#blocked;
  }

  /** Whether a pause has ended since this was asked last: while none does, its peer reads nothing. The first answer is yes. */
  takeProgress(): boolean {
    const hasDrained = this.#hasDrained;
    this.#hasDrained = false;
    return hasDrained;
  }

  /** False when the limit is passed: the peer is a slow consumer, and the frame was not taken. */
  push(frame: Buffer, frameClass: FrameClass, transport: Transport): boolean {
    if (this.#hasEnded) return true;
    if (frameClass !== 'control' && this.#isOver(frame.length, transport)) return false;
    if (this.#frames !== undefined) this.#frames.push(frame);
    else if (this.#only === undefined) this.#only = frame;
    else {
      this.#frames = [this.#only, frame];
      this.#only = undefined;
    }
    this.#bytes += frame.length;
    this.#counters.sums.queuedBytes += frame.length;
    return true;
  }

  /** Writes until empty or until the transport asks for a pause; `drained` ends the pause. */
  flush(transport: Transport): void {
    while (!this.#blocked) {
      const chunk = this.#frames === undefined ? this.#takeOnly() : this.#take(this.#frames);
      if (chunk === undefined) return;
      this.#counters.sums.bytesOut += chunk.length;
      if (!transport.write(chunk)) this.#blocked = true;
    }
  }

  drained(transport: Transport): void {
    this.#blocked = false;
    this.#hasDrained = true;
    this.flush(transport);
  }

  /** Gives what is queued to somebody who will write it. */
  takeAll(): readonly Buffer[] {
    const frames = this.#frames ?? (this.#only === undefined ? [] : [this.#only]);
    this.#counters.sums.queuedBytes -= this.#bytes;
    this.#reset();
    return frames;
  }

  /** Throws away what is queued, and whatever comes later. */
  end(): void {
    this.#hasEnded = true;
    this.#counters.dropped.value += this.#count;
    this.#counters.sums.queuedBytes -= this.#bytes;
    this.#reset();
  }

  #isOver(addedBytes: number, transport: Transport): boolean {
    return (
      this.#count >= this.#limits.maxFrames ||
      this.#bytes + addedBytes + transport.pendingBytes > this.#limits.maxBytes
    );
  }

  get #count(): number {
    if (this.#frames !== undefined) return this.#frames.length;
    return this.#only === undefined ? 0 : 1;
  }

  #takeOnly(): Buffer | undefined {
    const only = this.#only;
    if (only === undefined) return undefined;
    this.#counters.sums.messagesOut += 1;
    this.#counters.sums.queuedBytes -= this.#bytes;
    this.#reset();
    return only;
  }

  /** The next frames as one buffer; a single frame goes out as it is, uncopied. */
  #take(frames: Buffer[]): Buffer {
    let bytes = 0;
    let count = 0;
    for (const { length } of frames) {
      if (count > 0 && bytes + length > WRITE_CHUNK_BYTES) break;
      bytes += length;
      count += 1;
    }
    this.#counters.sums.messagesOut += count;
    this.#counters.sums.queuedBytes -= bytes;
    if (count === frames.length) this.#reset();
    else this.#bytes -= bytes;
    // What is written is let go at once, also from an outbox that is never quite empty.
    const taken = count === frames.length ? frames : frames.splice(0, count);
    const only = count === 1 ? taken[0] : undefined;
    return only ?? Buffer.concat(taken, bytes);
  }

  #reset(): void {
    this.#only = undefined;
    this.#frames = undefined;
    this.#bytes = 0;
  }
}
