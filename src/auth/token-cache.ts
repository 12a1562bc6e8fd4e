// Remembers what verified tokens said, so that a reconnect storm does not verify each of them again. Bounded, least
// recently used goes first; kept under the token's digest, so that no token stays in memory for it.
import { createHash } from 'node:crypto';

/** Longer tokens are verified each time: the cache stays below about 4 KiB x maxEntries. */
const MAX_TOKEN_CHARS = 4096;

export class TokenCache<Value> {
  readonly #maxEntries: number;
  readonly #entries = new Map<string, Value>();

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(token: string): Value | undefined {
    if (token.length > MAX_TOKEN_CHARS) return undefined;
    const digest = digestOf(token);
    const value = this.#entries.get(digest);
    if (value === undefined) return undefined;
    // A Map keeps insertion order: back to the end.
    this.#entries.delete(digest);
    this.#entries.set(digest, value);
    return value;
  }

  set(token: string, value: Value): void {
    if (token.length > MAX_TOKEN_CHARS || this.#maxEntries <= 0) return;
    const digest = digestOf(token);
    this.#entries.delete(digest);
    this.#entries.set(digest, value);
    if (this.#entries.size <= this.#maxEntries) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }

  delete(token: string): void {
    this.#entries.delete(digestOf(token));
  }
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}
