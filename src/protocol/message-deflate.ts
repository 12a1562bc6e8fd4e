// Compresses one WebSocket message (RFC 7692) by itself, with no memory of those before it: so every client that takes
// compressed messages gets the same bytes, and a connection can go on in another process.
import { constants, deflateRawSync } from 'node:zlib';
import type { DeflateSettings } from './wire-format.ts';

/** What a sync flush ends with and the receiver adds again (§7.2.1). */
const TAIL_BYTES = 4;

/** Undefined when the message is better sent as it is. */
export function deflateMessage(message: Buffer, settings: DeflateSettings): Buffer | undefined {
  if (message.length < settings.minBytes) return undefined;
  const deflated = deflateRawSync(message, {
    level: settings.level,
    finishFlush: constants.Z_SYNC_FLUSH,
  });
  const bytes = deflated.length - TAIL_BYTES;
  return bytes < message.length ? deflated.subarray(0, bytes) : undefined;
}
