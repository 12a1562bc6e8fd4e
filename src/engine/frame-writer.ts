// Lays frames side by side in large blocks, so that the frames of one event-loop turn leave in one write.
//
//   block:  [ sent | frames that wait ......... | free ]
//                  ^#from                       ^#at
//
// Large byte fields are not copied: they become segments of their own between two pieces of the block.

const BLOCK_BYTES = 64 * 1024;
const BY_REFERENCE_BYTES = 16 * 1024;
const MAX_UTF8_BYTES_PER_UNIT = 3;

export class FrameWriter {
  #block: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #from = 0;
  #at = 0;
  #segments: Buffer[] = [];
  #segmentBytes = 0;
  // Where the frame in the making started, to patch its length and to take it back.
  #headBlock: Buffer = this.#block;
  #headFrom = 0;
  #headAt = 0;
  #headSegments = 0;
  #headBytes = 0;

  /** Bytes that wait to be taken, those of a frame in the making included. */
  get pendingBytes(): number {
    return this.#segmentBytes + this.#at - this.#from;
  }

  begin(type: number, id: number): this {
    this.#reserve(9);
    this.#headBlock = this.#block;
    this.#headFrom = this.#from;
    this.#headAt = this.#at;
    this.#headSegments = this.#segments.length;
    this.#headBytes = this.#segmentBytes;
    this.#block[this.#at + 4] = type;
    this.#block.writeUInt32BE(id, this.#at + 5);
    this.#at += 9;
    return this;
  }

  /** Completes the frame and returns its size, the length field included. */
  end(): number {
    const bytes = this.pendingBytes - (this.#headBytes + this.#headAt - this.#headFrom);
    this.#headBlock.writeUInt32BE(bytes - 4, this.#headAt);
    return bytes;
  }

  /** Takes back the frame that was begun last. */
  cancel(): void {
    this.#block = this.#headBlock;
    this.#from = this.#headFrom;
    this.#at = this.#headAt;
    this.#segments.length = this.#headSegments;
    this.#segmentBytes = this.#headBytes;
  }

  u8(value: number): this {
    this.#reserve(1);
    this.#block[this.#at] = value;
    this.#at += 1;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#at = this.#block.writeUInt32BE(value, this.#at);
    return this;
  }

  f64(value: number): this {
    this.#reserve(8);
    this.#at = this.#block.writeDoubleBE(value, this.#at);
    return this;
  }

  string(text: string): this {
    this.#reserve(4 + text.length * MAX_UTF8_BYTES_PER_UNIT);
    const bytes = this.#block.write(text, this.#at + 4);
    this.#block.writeUInt32BE(bytes, this.#at);
    this.#at += 4 + bytes;
    return this;
  }

  bytes(buffer: Buffer): this {
    return this.u32(buffer.length).raw(buffer);
  }

  /** Bytes as they are: the last field of a frame, or a whole frame. The caller leaves them alone from now on. */
  raw(buffer: Buffer): this {
    if (buffer.length >= BY_REFERENCE_BYTES) {
      this.#cut();
      this.#segments.push(buffer);
      this.#segmentBytes += buffer.length;
    } else {
      this.#reserve(buffer.length);
      this.#at += buffer.copy(this.#block, this.#at);
    }
    return this;
  }

  /** Like `raw`, for a part of a buffer, sparing the view when it is small. */
  rawPart(buffer: Buffer, start: number, end: number): this {
    if (end - start >= BY_REFERENCE_BYTES) return this.raw(buffer.subarray(start, end));
    this.#reserve(end - start);
    this.#at += buffer.copy(this.#block, this.#at, start, end);
    return this;
  }

  /** Everything that waits, in order. Only between frames. */
  take(): readonly Buffer[] {
    this.#cut();
    const segments = this.#segments;
    this.#segments = [];
    this.#segmentBytes = 0;
    return segments;
  }

  /** Closes the current piece of the block. */
  #cut(): void {
    if (this.#at === this.#from) return;
    this.#segments.push(this.#block.subarray(this.#from, this.#at));
    this.#segmentBytes += this.#at - this.#from;
    this.#from = this.#at;
  }

  #reserve(bytes: number): void {
    if (this.#block.length - this.#at >= bytes) return;
    this.#cut();
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, bytes));
    this.#from = 0;
    this.#at = 0;
  }
}
