// A client's message as nearly all of them come: in one frame that is all there, and plain. ws reads all others.
import { isUtf8 } from 'node:buffer';

const FIN_TEXT = 0x81;
const FIN_BINARY = 0x82;
const MASKED = 0x80;
const LENGTH_BITS = 0x7f;
const LENGTH_IS_16_BITS = 126;
const LENGTH_IS_64_BITS = 127;
const SHORT_HEADER_BYTES = 6;
const LONG_HEADER_BYTES = 8;

/**
 * The message of the frame that begins at `at`, unmasked where it stands; undefined, and nothing is changed, when there is
 * anything special about that frame, or a part of it beyond `end`. Source: RFC 6455 §5.2.
 */
export function wholeMessage(bytes: Buffer, at: number, end: number, maxBytes: number): Buffer | undefined {
  const first = bytes[at];
  const second = bytes[at + 1] ?? 0;
  if ((first !== FIN_TEXT && first !== FIN_BINARY) || (second & MASKED) === 0) return undefined;
  let length = second & LENGTH_BITS;
  let headerBytes = SHORT_HEADER_BYTES;
  if (length >= LENGTH_IS_16_BITS) {
    if (length === LENGTH_IS_64_BITS || end - at < LONG_HEADER_BYTES) return undefined;
    headerBytes = LONG_HEADER_BYTES;
    length = bytes.readUInt16BE(at + 2);
    // Written longer than it had to be.
    if (length < LENGTH_IS_16_BITS) return undefined;
  }
  const from = at + headerBytes;
  const to = from + length;
  if (to > end || length > maxBytes) return undefined;
  mask(bytes, from, to);
  const message = bytes.subarray(from, to);
  if (first === FIN_BINARY || isUtf8(message)) return message;
  mask(bytes, from, to);
  return undefined;
}

/** Bytes of the frame of such a message. */
export function wholeFrameBytes(message: Buffer): number {
  return message.length + (message.length < LENGTH_IS_16_BITS ? SHORT_HEADER_BYTES : LONG_HEADER_BYTES);
}

/** By the four bytes before it; done twice, it is undone. */
function mask(bytes: Buffer, from: number, to: number): void {
  const key = from - 4;
  for (let i = from; i < to; i += 1) {
    bytes[i] = (bytes[i] ?? 0) ^ (bytes[key + ((i - from) & 3)] ?? 0);
  }
}
