// Follows the frames that a client sends, before ws takes them, and holds what ws has not delivered yet: the pieces of an
// unfinished message. Written to another ws server, they put it where this one stands (RFC 6455 §5.2, §5.4).

import type { Duplex } from 'node:stream';

const MASK_BYTES = 4;
const MAX_HEADER_BYTES = 14;
const SHORT_HEADER_BYTES = 2;
const LENGTH_IS_16_BITS = 126;
const LENGTH_IS_64_BITS = 127;
const FIN = 0x80;
const FIRST_CONTROL_OPCODE = 8;
const CLOSE_OPCODE = 8;

export class FrameTracker {
  /** Messages of the peer that are whole. */
  messages = 0;
  /** Whole frames of an unfinished message; ws unmasks its own in place, so these are copies. */
  #fragments: Buffer[] | undefined;
  /** Of the frame that is still coming. ws leaves these alone until they are whole. */
  #pieces: Buffer[] | undefined;
  #pieceBytes = 0;
  /** Of that frame, its header included; 0 while the header is not whole. */
  #frameBytes = 0;
  #isOver = false;

  push(chunk: Buffer): void {
    if (this.#isOver) return;
    let at = 0;
    if (this.#pieceBytes > 0) at = this.#goOn(chunk);
    while (at < chunk.length && !this.#isOver) {
      const bytes = frameBytes(chunk, at);
      if (bytes === 0 || bytes > chunk.length - at) {
        this.#keep(chunk.subarray(at));
        this.#frameBytes = bytes;
        return;
      }
      this.#whole(chunk[at] ?? 0, [chunk.subarray(at, at + bytes)]);
      at += bytes;
    }
  }

  /** Nothing that it has seen is still to come from ws, which gave out `delivered` messages. */
  isIdle(delivered: number): boolean {
    return (
      this.messages === delivered && this.#pieceBytes === 0 && this.#fragments === undefined && !this.#isOver
    );
  }

  /** ws reads nothing more: whatever the peer still sends is of no interest, and not kept. */
  stop(): void {
    this.#isOver = true;
    this.#fragments = undefined;
    this.#pieces = undefined;
  }

  /** What a server that knows nothing of this connection has to read first. */
  tail(): Buffer {
    return Buffer.concat([...(this.#fragments ?? []), ...(this.#pieces ?? [])]);
  }

  /** Takes what belongs to the frame in progress and returns how much that was. */
  #goOn(chunk: Buffer): number {
    let at = 0;
    if (this.#frameBytes === 0) {
      const header = Buffer.concat([...(this.#pieces ?? []), chunk.subarray(0, MAX_HEADER_BYTES)]);
      const bytes = frameBytes(header, 0);
      if (bytes === 0) {
        this.#keep(chunk);
        return chunk.length;
      }
      this.#frameBytes = bytes;
    }
    const missing = this.#frameBytes - this.#pieceBytes;
    at = Math.min(missing, chunk.length);
    this.#keep(chunk.subarray(0, at));
    if (at < missing) return at;
    const pieces = this.#pieces ?? [];
    this.#pieces = undefined;
    this.#pieceBytes = 0;
    this.#frameBytes = 0;
    this.#whole(pieces[0]?.[0] ?? 0, pieces);
    return at;
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return;
    (this.#pieces ??= []).push(piece);
    this.#pieceBytes += piece.length;
  }

  #whole(firstByte: number, pieces: readonly Buffer[]): void {
    const opcode = firstByte & 0x0f;
    if (opcode === CLOSE_OPCODE) this.stop();
    // Control frames are answered as they come.
    if (opcode >= FIRST_CONTROL_OPCODE) return;
    if ((firstByte & FIN) === 0) {
      (this.#fragments ??= []).push(Buffer.concat(pieces));
      return;
    }
    this.messages += 1;
    this.#fragments = undefined;
  }
}

/** To be called before ws gets the socket: it has to see each chunk first. */
export function track(socket: Duplex): FrameTracker {
  const tracker = new FrameTracker();
  // 'on' would let the socket flow, and what ws puts back of the bytes behind the upgrade would pass before ws listens.
  socket.prependListener('data', (chunk: Buffer) => tracker.push(chunk));
  return tracker;
}

/** Size of the frame that begins there; 0 when its header is not whole. */
function frameBytes(chunk: Buffer, at: number): number {
  const available = chunk.length - at;
  if (available < SHORT_HEADER_BYTES) return 0;
  const second = chunk[at + 1] ?? 0;
  const mask = (second & 0x80) === 0 ? 0 : MASK_BYTES;
  const length = second & 0x7f;
  if (length < LENGTH_IS_16_BITS) return SHORT_HEADER_BYTES + mask + length;
  if (length === LENGTH_IS_64_BITS) {
    if (available < SHORT_HEADER_BYTES + 8) return 0;
    return SHORT_HEADER_BYTES + 8 + mask + Number(chunk.readBigUInt64BE(at + SHORT_HEADER_BYTES));
  }
  if (available < SHORT_HEADER_BYTES + 2) return 0;
  return SHORT_HEADER_BYTES + 2 + mask + chunk.readUInt16BE(at + SHORT_HEADER_BYTES);
}
