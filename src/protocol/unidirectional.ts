// What is special about clients that never send a command (client protocol §21).
import { isFields } from '../util/fields.ts';
import type { CloseCause } from './close-causes.ts';
import { applicationCause, CloseCauses } from './close-causes.ts';
import { stripNewlines } from './json-span.ts';
import { type ReplyError, ReplyErrors } from './reply-errors.ts';

const NOTHING = Buffer.alloc(0);

/**
 * The payload of such a client's only message as the frame of a connect command. What is no JSON object becomes an empty
 * frame, which no connection accepts.
 */
export function connectFrame(payload: Buffer): Buffer {
  const text = payload.toString('utf8');
  if (text.trim() === '') return Buffer.from('{"id":1,"connect":{}}');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return NOTHING;
  }
  return isFields(parsed) ? Buffer.from(`{"id":1,"connect":${stripNewlines(text)}}`) : NOTHING;
}

export interface CodeTransform {
  /** Code of the error. */
  readonly code: number;
  readonly to: { readonly code: number; readonly reason: string };
}

const CAUSES: ReadonlyMap<number, CloseCause> = new Map([
  [ReplyErrors.tokenExpired.code, CloseCauses.expired],
  [ReplyErrors.expired.code, CloseCauses.expired],
  [ReplyErrors.tooManyRequests.code, CloseCauses.tooManyRequests],
  [ReplyErrors.permissionDenied.code, CloseCauses.permissionDenied],
]);

/** How a connect command that fails ends the connection, as nobody would read an error reply. */
export function unidirectionalCause(
  error: ReplyError,
  transforms: readonly CodeTransform[] = [],
): CloseCause {
  const transform = transforms.find(({ code }) => code === error.code);
  if (transform !== undefined) return applicationCause(transform.to.code, transform.to.reason);
  return CAUSES.get(error.code) ?? CloseCauses.internalError;
}
