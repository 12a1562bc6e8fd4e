// One request to a JWKS endpoint, bounded in time and size.
import type { JSONWebKeySet } from 'jose';
import { UnavailableError } from '../util/errors.ts';

/** Throws when there is no usable answer; the message is for the log. */
export type JwksFetcher = (endpoint: URL, signal: AbortSignal) => Promise<JSONWebKeySet>;

const TIMEOUT_MS = 5000;
const MAX_BODY_BYTES = 512 * 1024;

export async function fetchJwks(
  endpoint: URL,
  signal: AbortSignal,
  timeoutMs = TIMEOUT_MS,
): Promise<JSONWebKeySet> {
  const response = await request(endpoint, signal, timeoutMs);
  let parsed: unknown;
  try {
    parsed = JSON.parse(response);
  } catch {
    throw new UnavailableError('answered with something that is no JSON');
  }
  if (!isKeySet(parsed)) throw new UnavailableError('answered with something that is no JSON Web Key Set');
  return parsed;
}

async function request(endpoint: URL, closing: AbortSignal, timeoutMs: number): Promise<string> {
  const signal = AbortSignal.any([closing, AbortSignal.timeout(timeoutMs)]);
  try {
    // A redirect could lead to where the safety check would not have let us go.
    const response = await fetch(endpoint, {
      signal,
      redirect: 'error',
      headers: { accept: 'application/jwk-set+json, application/json' },
    });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new UnavailableError(`answered with status ${response.status}`);
    }
    const chunks: Uint8Array[] = [];
    let size = 0;
    // Leaving the loop early cancels the rest of the body.
    for await (const chunk of response.body) {
      size += chunk.length;
      if (size > MAX_BODY_BYTES)
        throw new UnavailableError(`answered with more than ${MAX_BODY_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString();
  } catch (error) {
    if (error instanceof UnavailableError) throw error;
    if (signal.aborted) throw new UnavailableError(`did not answer within ${timeoutMs} ms`, { cause: error });
    throw new UnavailableError(`could not be reached: ${rootMessage(error)}`, { cause: error });
  }
}

/** fetch says "fetch failed" and keeps the reason one or more causes deeper. */
function rootMessage(error: unknown): string {
  let deepest = error;
  while (deepest instanceof Error && deepest.cause instanceof Error) deepest = deepest.cause;
  return deepest instanceof Error ? deepest.message : 'unknown';
}

function isKeySet(value: unknown): value is JSONWebKeySet {
  return (
    typeof value === 'object' &&
    value !== null &&
    'keys' in value &&
    Array.isArray(value.keys) &&
    value.keys.every((key: unknown) => typeof key === 'object' && key !== null)
  );
}
