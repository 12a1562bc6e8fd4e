// The key of the server API: where a request may carry it, and a comparison whose time says nothing about it.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export interface ApiKeyConfig {
  /** Undefined or empty: nobody has it. */
  readonly key: string | undefined;
  /** Development only: everybody may. */
  readonly insecure: boolean;
}

export class ApiKeyCheck {
  readonly #digest: Buffer | undefined;
  readonly #insecure: boolean;

  constructor(config: ApiKeyConfig) {
    this.#digest = config.key === undefined || config.key === '' ? undefined : digestOf(config.key);
    this.#insecure = config.insecure;
  }

  /** `query` is the raw query string, with or without its question mark. */
  permits(headers: IncomingHttpHeaders, query: string): boolean {
    if (this.#insecure) return true;
    const given = presentedKey(headers, query);
    // Digests have one length, so that not even the length of the key can be told from the time.
    return (
      this.#digest !== undefined && given !== undefined && timingSafeEqual(digestOf(given), this.#digest)
    );
  }
}

/** The first of the three places counts that has one (server API §1). */
function presentedKey(headers: IncomingHttpHeaders, query: string): string | undefined {
  const own = headers['x-api-key'];
  if (own !== undefined) return typeof own === 'string' ? own : own[0];
  const words = headers.authorization?.split(' ');
  if (words?.length === 2 && words[0]?.toLowerCase() === 'apikey') return words[1];
  return new URLSearchParams(query).get('api_key') ?? undefined;
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
