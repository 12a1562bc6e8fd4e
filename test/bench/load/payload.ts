// The data of one benchmark publication: a JSON object of a fixed size that carries who sent it, where, as which of its
// channel and when, in digits of fixed width, so that a receiver reads it from the bytes without parsing JSON.
//
//   {"k":"@PPPCCCCCCSSSSSSSSTTTTTTTTTTTTTTT@","pad":"xxxxxxxx"}
//         | publisher 3, channel 6, sequence 8, time in µs of the machine's monotonic clock 15

const AT = 0x40;
const ZERO = 0x30;
const PUBLISHER_DIGITS = 3;
const CHANNEL_DIGITS = 6;
const SEQUENCE_DIGITS = 8;
const TIME_DIGITS = 15;
const DIGITS = PUBLISHER_DIGITS + CHANNEL_DIGITS + SEQUENCE_DIGITS + TIME_DIGITS;
const HEAD = '{"k":"@';
const MIDDLE = '@","pad":"';
const TAIL = '"}';

/** From the first `@` to the last, both included. */
export const MARK_BYTES = DIGITS + 2;
const MIN_PAYLOAD_BYTES = HEAD.length + DIGITS + MIDDLE.length + TAIL.length;

/** Publisher and channel in one number: a stream of sequence numbers that counts from 1. */
export function streamKey(publisher: number, channel: number): number {
  return publisher * 1_000_000 + channel;
}

export function channelOfKey(key: number): number {
  return key % 1_000_000;
}

export function encodePayload(key: number, sequence: number, timeUs: number, sizeBytes: number): string {
  const digits =
    String(key).padStart(PUBLISHER_DIGITS + CHANNEL_DIGITS, '0') +
    String(sequence).padStart(SEQUENCE_DIGITS, '0') +
    String(Math.floor(timeUs)).padStart(TIME_DIGITS, '0');
  if (digits.length !== DIGITS) throw new RangeError(`a number does not fit the payload: ${digits}`);
  return HEAD + digits + MIDDLE + 'x'.repeat(Math.max(0, sizeBytes - MIN_PAYLOAD_BYTES)) + TAIL;
}

/** Index of the mark's first byte within [start, end), or -1: then the message is no publication of the benchmark. */
export function findMark(bytes: Buffer, start: number, end: number): number {
  const last = end - MARK_BYTES;
  for (let i = start; i <= last; i++) {
    if (bytes[i] === AT && bytes[i + MARK_BYTES - 1] === AT) return i;
  }
  return -1;
}

function digitsAt(bytes: Buffer, start: number, count: number): number {
  let value = 0;
  for (let i = start; i < start + count; i++) {
    const digit = (bytes[i] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** The fields of a mark; NaN where the bytes are damaged. */
export function keyAt(bytes: Buffer, mark: number): number {
  return digitsAt(bytes, mark + 1, PUBLISHER_DIGITS + CHANNEL_DIGITS);
}

export function sequenceAt(bytes: Buffer, mark: number): number {
  return digitsAt(bytes, mark + 1 + PUBLISHER_DIGITS + CHANNEL_DIGITS, SEQUENCE_DIGITS);
}

export function timeUsAt(bytes: Buffer, mark: number): number {
  return digitsAt(bytes, mark + 1 + PUBLISHER_DIGITS + CHANNEL_DIGITS + SEQUENCE_DIGITS, TIME_DIGITS);
}
