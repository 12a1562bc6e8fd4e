// Reads the fields of one frame. Every read is checked against the end of the frame; byte fields are views, not copies.
import { WireError } from './wire-error.ts';

const NOTHING = Buffer.alloc(0);

export class FrameReader {
  #buffer: Buffer = NOTHING;
  #start = 0;
  #at = 0;
  #end = 0;
  type = 0;
  id = 0;

  /** Points at the frame whose length field is at `start`; the caller has checked that it is whole and not too short. */
  reset(buffer: Buffer, start: number, end: number): void {
    this.#buffer = buffer;
    this.#start = start;
    this.#end = end;
    this.type = buffer[start + 4] ?? 0;
    this.id = buffer.readUInt32BE(start + 5);
    this.#at = start + 9;
  }

  /** Reads fields that are not a frame of their own. */
  static over(fields: Buffer): FrameReader {
    const reader = new FrameReader();
    reader.#buffer = fields;
    reader.#end = fields.length;
    return reader;
  }

  /** The whole frame, length field included, for forwarding. */
  get buffer(): Buffer {
    return this.#buffer;
  }
  get start(): number {
    return this.#start;
  }
  get end(): number {
    return this.#end;
  }

  get done(): boolean {
    return this.#at === this.#end;
  }

  u8(): number {
    const at = this.#advance(1);
    return this.#buffer[at] ?? 0;
  }

  u32(): number {
    return this.#buffer.readUInt32BE(this.#advance(4));
  }

  f64(): number {
    return this.#buffer.readDoubleBE(this.#advance(8));
  }

  string(): string {
    const length = this.u32();
    const at = this.#advance(length);
    return this.#buffer.toString('utf8', at, at + length);
  }

  bytes(): Buffer {
    const length = this.u32();
    const at = this.#advance(length);
    return this.#buffer.subarray(at, at + length);
  }

  /** What is left, read. */
  rest(): Buffer {
    const left = this.remaining();
    this.#at = this.#end;
    return left;
  }

  /** What is left, still to be read. */
  remaining(): Buffer {
    return this.#buffer.subarray(this.#at, this.#end);
  }

  #advance(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#end - at) throw new WireError(`frame of type ${String(this.type)} is cut short`);
    this.#at = at + bytes;
    return at;
  }
}
