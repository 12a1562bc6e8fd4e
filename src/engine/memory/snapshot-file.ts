// The file in which the embedded engine keeps its state over a planned restart. Written whole or not at all, read once.
// Synchronous: it is read before anybody is served, and written when nobody is served any more.
//
//   magic, 8 bytes | u32 version | u64 length of the state | sum | state (store-state.ts)
//   sum = SHA-256(version, length, SHA-256(state))
import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { HoldfastError } from '../../util/errors.ts';

const MAGIC = Buffer.from('HFSTATE\n');
const VERSION = 1;
const FACTS_BYTES = 12;
const SUM_BYTES = 32;
const HEADER_BYTES = MAGIC.length + FACTS_BYTES + SUM_BYTES;
const PIECE_BYTES = 1024 * 1024;
const OWNER_ONLY = 0o600;
/** What a start or an end may spend on it, in memory and time: some seconds. */
const DEFAULT_MAX_BYTES = 2 ** 30;

/** The file is not what `writeSnapshot` writes; or there would be too much to write. */
export class SnapshotError extends HoldfastError {
  constructor(message: string) {
    super('HOLDFAST_SNAPSHOT', message);
  }
}

/**
 * Replaces the file, and returns its length when the disk has it. Throws SnapshotError when it would be larger than allowed, or
 * an error of the file system: then there is what was there before.
 */
export function writeSnapshot(path: string, pieces: Iterable<Buffer>, maxBytes = DEFAULT_MAX_BYTES): number {
  const unfinished = `${path}.unfinished`;
  const file = openSync(unfinished, 'w', OWNER_ONLY);
  let bytes: number;
  try {
    try {
      bytes = writeState(file, pieces, maxBytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
  syncDirectory(dirname(path));
  return bytes;
}

/**
 * Gives the state to `take`, in pieces that it must not keep. The last one comes only when all of them were whole. Throws
 * SnapshotError, what `take` throws, or an error of the file system, ENOENT among them.
 */
export function readSnapshot(
  path: string,
  take: (pieces: Iterable<Buffer>) => void,
  maxBytes = DEFAULT_MAX_BYTES,
): void {
  const file = openSync(path, 'r');
  try {
    take(stateIn(file, maxBytes));
  } finally {
    closeSync(file);
  }
}

function writeState(file: number, pieces: Iterable<Buffer>, maxBytes: number): number {
  let at = HEADER_BYTES;
  const stateSum = createHash('sha256');
  for (const piece of pieces) {
    if (at + piece.length > maxBytes) throw new SnapshotError(`it would have more than ${maxBytes} bytes`);
    writeAll(file, piece, at);
    stateSum.update(piece);
    at += piece.length;
  }
  const facts = Buffer.alloc(FACTS_BYTES);
  facts.writeUInt32BE(VERSION, 0);
  facts.writeBigUInt64BE(BigInt(at - HEADER_BYTES), 4);
  writeAll(file, Buffer.concat([MAGIC, facts, sumOf(facts, stateSum)]), 0);
  return at;
}

function* stateIn(file: number, maxBytes: number): Generator<Buffer> {
  const { size } = fstatSync(file);
  if (size > maxBytes) throw new SnapshotError(`it has more than ${maxBytes} bytes`);
  const header = Buffer.alloc(HEADER_BYTES);
  if (readSync(file, header, 0, HEADER_BYTES, 0) < HEADER_BYTES) throw new SnapshotError('it is cut short');
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw new SnapshotError('it is another kind of file');
  const facts = header.subarray(MAGIC.length, MAGIC.length + FACTS_BYTES);
  const version = facts.readUInt32BE(0);
  if (version !== VERSION) throw new SnapshotError(`it has version ${version}, not ${VERSION}`);
  if (facts.readBigUInt64BE(4) !== BigInt(size - HEADER_BYTES)) {
    throw new SnapshotError('it is not as long as it says');
  }
  const stateSum = createHash('sha256');
  let at = HEADER_BYTES;
  while (at < size) {
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, size - at));
    const read = readSync(file, piece, 0, piece.length, at);
    if (read === 0) throw new SnapshotError('it is cut short');
    at += read;
    stateSum.update(piece.subarray(0, read));
    if (at === size && !sumOf(facts, stateSum).equals(header.subarray(-SUM_BYTES))) {
      throw new SnapshotError('its checksum is wrong');
    }
    yield piece.subarray(0, read);
  }
}

function sumOf(facts: Buffer, stateSum: Hash): Buffer {
  return createHash('sha256').update(facts).update(stateSum.digest()).digest();
}

function writeAll(file: number, bytes: Buffer, at: number): void {
  for (let written = 0; written < bytes.length;) {
    written += writeSync(file, bytes, written, bytes.length - written, at + written);
  }
}

/** A rename survives a loss of power only when the directory is on the disk, too. */
function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
