// Patches between two payloads of a channel in the Fossil format (client protocol §16):
//   <target length>\n  then  <count>@<offset>,  (copy from the previous payload)  or  <count>:<bytes>  (insert)
//   and last  <checksum>;   with all numbers in base 64.
import { isUtf8 } from 'node:buffer';

export interface DeltaOptions {
  /**
   * The patch will travel as a JSON string: it must not cut characters, and both ends must hold the same text. A
   * payload that is no UTF-8 then has no patch.
   */
  readonly asText: boolean;
}

/** Undefined when there is no patch smaller than `next` itself. */
export function fossilDelta(previous: Buffer, next: Buffer, { asText }: DeltaOptions): Buffer | undefined {
  if (asText && !(isUtf8(previous) && isUtf8(next))) return undefined;
  const patch = new PatchWriter(next, asText);
  const shorter = Math.min(previous.length, next.length);
  const prefix = commonPrefix(previous, 0, next, 0, shorter);
  const suffix = commonSuffix(previous, previous.length, next, next.length, shorter - prefix);
  patch.copy(0, 0, prefix);
  // Most edits are small and in one place: then nothing is left to search for.
  const middleEnd = next.length - suffix;
  if (middleEnd - prefix >= BLOCK_BYTES && previous.length >= BLOCK_BYTES) {
    copyMatches(patch, previous, next, prefix, middleEnd);
  }
  patch.copy(previous.length - suffix, middleEnd, suffix);
  return patch.finish();
}

const BLOCK_BYTES = 16;
/** Blocks tried for one place: bounds the work for payloads that repeat themselves. */
const MAX_CANDIDATES = 32;
/** A match of this length is good enough to look for no better one. */
const LONG_MATCH_BYTES = 1024;

/**
 * Slides a window over next[from, to) and copies where it meets a block of `previous`:
 *
 *   next   ....written|  literal so far  |=== window ===| ...
 *                              <- extended ->
 */
function copyMatches(patch: PatchWriter, previous: Buffer, next: Buffer, from: number, to: number): void {
  const index = new BlockIndex(previous);
  let at = from;
  let window = new RollingHash(next, at);
  while (at + BLOCK_BYTES <= to) {
    const match = index.longestMatch(next, window.value, at, patch.written, to);
    if (match !== undefined && patch.copy(match.offset, match.start, match.length)) {
      at = patch.written;
      if (at + BLOCK_BYTES <= to) window = new RollingHash(next, at);
    } else {
      if (at + BLOCK_BYTES < to) window.slide();
      at += 1;
    }
  }
}

interface Match {
  /** In the previous payload. */
  readonly offset: number;
  /** In the next payload. */
  readonly start: number;
  readonly length: number;
}

/** Finds 16-byte blocks of the previous payload by their hash; blocks with one bucket form a chain. */
class BlockIndex {
  readonly #source: Buffer;
  readonly #heads: Int32Array;
  readonly #nexts: Int32Array;

  constructor(source: Buffer) {
    const blocks = Math.floor(source.length / BLOCK_BYTES);
    this.#source = source;
    this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(blocks + 1))).fill(-1);
    this.#nexts = new Int32Array(blocks);
    for (let block = blocks - 1; block >= 0; block -= 1) {
      const bucket = this.#bucket(new RollingHash(source, block * BLOCK_BYTES).value);
      this.#nexts[block] = this.#heads[bucket] ?? -1;
      this.#heads[bucket] = block;
    }
  }

  /** Longest match through the window at `at`, within next[lowest, highest). */
  longestMatch(next: Buffer, hash: number, at: number, lowest: number, highest: number): Match | undefined {
    const source = this.#source;
    let best: Match | undefined;
    let block = this.#heads[this.#bucket(hash)] ?? -1;
    for (let tries = 0; block !== -1 && tries < MAX_CANDIDATES; tries += 1) {
      const offset = block * BLOCK_BYTES;
      const forward = commonPrefix(source, offset, next, at, Math.min(source.length - offset, highest - at));
      if (forward >= BLOCK_BYTES) {
        const back = commonSuffix(source, offset, next, at, Math.min(offset, at - lowest));
        if (best === undefined || back + forward > best.length) {
          best = { offset: offset - back, start: at - back, length: back + forward };
        }
        if (best.length >= LONG_MATCH_BYTES) break;
      }
      block = this.#nexts[block] ?? -1;
    }
    return best;
  }

  #bucket(hash: number): number {
    // The low half of the hash is a plain sum: mixed, so that texts of few letters spread.
    return (Math.imul(hash, 0x9e37_79b1) >>> 8) & (this.#heads.length - 1);
  }
}

/** Two sums over a window that can move by one byte (as in rsync and Fossil). */
class RollingHash {
  readonly #bytes: Buffer;
  #start: number;
  #sum = 0;
  #weighted = 0;

  constructor(bytes: Buffer, start: number) {
    this.#bytes = bytes;
    this.#start = start;
    for (let index = 0; index < BLOCK_BYTES; index += 1) {
      const byte = bytes[start + index] ?? 0;
      this.#sum += byte;
      this.#weighted += (BLOCK_BYTES - index) * byte;
    }
  }

  get value(): number {
    return (this.#weighted << 12) ^ this.#sum;
  }

  slide(): void {
    const leaving = this.#bytes[this.#start] ?? 0;
    const entering = this.#bytes[this.#start + BLOCK_BYTES] ?? 0;
    this.#start += 1;
    this.#sum += entering - leaving;
    this.#weighted += this.#sum - BLOCK_BYTES * leaving;
  }
}

/** Collects commands into as many bytes as the target has: a patch that needs more is not wanted. */
class PatchWriter {
  /** Bytes of the target that the commands so far make; what follows up to the next copy is inserted. */
  written = 0;
  readonly #target: Buffer;
  readonly #asText: boolean;
  readonly #out: Buffer;
  #length = 0;

  constructor(target: Buffer, asText: boolean) {
    this.#target = target;
    this.#asText = asText;
    this.#out = Buffer.allocUnsafe(target.length);
    this.#text(`${digits(target.length)}\n`);
  }

  /** False when the copy would cost more than it saves; then nothing is written. */
  copy(offset: number, start: number, length: number): boolean {
    let from = start;
    let to = start + length;
    if (this.#asText) {
      // Only whole characters may be left to insert on either side.
      while (from < to && isContinuation(this.#target[from])) from += 1;
      while (to > from && isContinuation(this.#target[to])) to -= 1;
    }
    const command = `${digits(to - from)}@${digits(offset + from - start)},`;
    // An insert in two parts costs its second count too.
    if (to - from <= command.length + 2) return false;
    this.#insertUpTo(from);
    this.#text(command);
    this.written = to;
    return true;
  }

  finish(): Buffer | undefined {
    this.#insertUpTo(this.#target.length);
    this.#text(`${digits(checksum(this.#target))};`);
    return this.#length < this.#target.length ? Buffer.from(this.#out.subarray(0, this.#length)) : undefined;
  }

  #insertUpTo(end: number): void {
    if (end <= this.written) return;
    this.#text(`${digits(end - this.written)}:`);
    this.#target.copy(this.#out, this.#length, this.written, end);
    this.#length += end - this.written;
    this.written = end;
  }

  #text(text: string): void {
    // Past the end nothing is written, and the length tells that it did not fit.
    if (this.#length + text.length <= this.#out.length) this.#out.write(text, this.#length, 'latin1');
    this.#length += text.length;
  }
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** How many bytes from `a[aStart]` and `b[bStart]` on are the same, up to `max`. */
function commonPrefix(a: Buffer, aStart: number, b: Buffer, bStart: number, max: number): number {
  let length = 0;
  while (length < max && a[aStart + length] === b[bStart + length]) length += 1;
  return length;
}

/** How many bytes before `a[aEnd]` and `b[bEnd]` are the same, up to `max`. */
function commonSuffix(a: Buffer, aEnd: number, b: Buffer, bEnd: number, max: number): number {
  let length = 0;
  while (length < max && a[aEnd - 1 - length] === b[bEnd - 1 - length]) length += 1;
  return length;
}

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~';

function digits(value: number): string {
  let text = '';
  let rest = value;
  do {
    text = DIGITS.charAt(rest % 64) + text;
    rest = Math.floor(rest / 64);
  } while (rest > 0);
  return text;
}

/** Sum of big-endian 32-bit words, the last one filled up with zeros. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  const whole = bytes.length & ~3;
  for (let at = 0; at < whole; at += 4) sum = (sum + bytes.readUInt32BE(at)) >>> 0;
  let last = 0;
  for (let at = whole; at < whole + 4 && whole < bytes.length; at += 1) last = (last << 8) | (bytes[at] ?? 0);
  return (sum + (last >>> 0)) >>> 0;
}
