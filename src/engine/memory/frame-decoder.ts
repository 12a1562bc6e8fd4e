// Finds frames in what a socket delivers. A frame that lies in one chunk is not copied; one that is spread over chunks is
// joined once, when its last byte is there.
import type { FrameReader } from '../frame-reader.ts';
import { HEADER_BYTES, MAX_FRAME_BYTES } from './wire.ts';
import { WireError } from '../wire-error.ts';

const NOTHING = Buffer.alloc(0);
const LENGTH_BYTES = 4;

export class FrameDecoder {
  readonly #reader: FrameReader;
  readonly #maxFrameBytes: number;
  #current: Buffer = NOTHING;
  #at = 0;
  #later: Buffer[] = [];
  #laterBytes = 0;

  /** `reader` is pointed at each frame in turn. */
  constructor(reader: FrameReader, maxFrameBytes = MAX_FRAME_BYTES) {
    this.#reader = reader;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Bytes that came and belong to no frame that was read yet. */
  get bufferedBytes(): number {
    return this.#current.length - this.#at + this.#laterBytes;
  }

  push(chunk: Buffer): void {
    if (this.#at === this.#current.length && this.#later.length === 0) {
      this.#current = chunk;
      this.#at = 0;
      return;
    }
    this.#later.push(chunk);
    this.#laterBytes += chunk.length;
  }

  /** Points the reader at the next whole frame; false when there is none yet. */
  next(): boolean {
    if (!this.#have(LENGTH_BYTES)) return false;
    const length = this.#current.readUInt32BE(this.#at);
    if (length < HEADER_BYTES - LENGTH_BYTES || length > this.#maxFrameBytes) {
      throw new WireError(`frame length ${String(length)} is out of range`);
    }
    if (!this.#have(LENGTH_BYTES + length)) return false;
    const start = this.#at;
    this.#at += LENGTH_BYTES + length;
    this.#reader.reset(this.#current, start, this.#at);
    return true;
  }

  /** True when the current buffer holds so many bytes, joining what came later when that is enough and needed. */
  #have(bytes: number): boolean {
    if (this.#current.length - this.#at >= bytes) return true;
    if (this.bufferedBytes < bytes) return false;
    this.#current = Buffer.concat([this.#current.subarray(this.#at), ...this.#later]);
    this.#at = 0;
    this.#later = [];
    this.#laterBytes = 0;
    return true;
  }
}
