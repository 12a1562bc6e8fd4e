// Public keys of token issuers from a JWKS endpoint: cached, fetched again when they age or a key is unknown, and kept
// when the endpoint is away. One for each configured endpoint of a worker.
import type { CryptoKey, JWSHeaderParameters, LocalJWKSet } from 'jose';
import { JWKSMultipleMatchingKeys } from 'jose/errors';
import { createLocalJWKSet } from 'jose/jwks/local';
import type { Clock } from '../util/clock.ts';
import { ConfigError, UnavailableError } from '../util/errors.ts';
import { type JwksFetcher, fetchJwks } from './jwks-fetch.ts';
import type { KeyCandidate, RemoteKeys } from './token-keys.ts';

/** Told of every attempt, for the log and the metrics. Must not throw. */
export interface JwksObserver {
  jwksFetched(facts: { readonly keys: number }): void;
  /** `keysAgeMs` is the age of the set that stays in use; undefined while there is none. */
  jwksFailed(facts: { readonly reason: string; readonly keysAgeMs: number | undefined }): void;
}

export interface JwksDeps {
  readonly clock: Clock;
  readonly observer: JwksObserver;
  readonly fetch?: JwksFetcher | undefined;
}

export interface JwksConfig {
  readonly jwksPublicEndpoint: string;
  readonly insecureSkipJwksEndpointSafetyCheck: boolean;
}

/** Older than this, a set is fetched again behind the back of whoever asks; twice as old, they wait for it. */
const MAX_AGE_MS = 600_000;
/** Least time between attempts: tokens with invented key ids must not become requests to the issuer. */
const COOLDOWN_MS = 10_000;
/** The same while there is no set at all, and everybody is waiting. */
const FIRST_COOLDOWN_MS = 1000;
/** Keys tried for one token without a key id. */
const MAX_CANDIDATES = 16;

interface KeySet {
  readonly select: LocalJWKSet;
  readonly fetchedAtMs: number;
}

export class JwksKeys implements RemoteKeys {
  readonly #clock: Clock;
  readonly #observer: JwksObserver;
  readonly #fetch: JwksFetcher;
  readonly #endpoint: URL;
  readonly #closing = new AbortController();
  #set: KeySet | undefined;
  #pending: Promise<void> | undefined;
  #lastAttemptMs = -Infinity;

  /** Throws ConfigError when the endpoint is no URL or could be tampered with on its way. */
  constructor(deps: JwksDeps, config: JwksConfig) {
    this.#clock = deps.clock;
    this.#observer = deps.observer;
    this.#fetch = deps.fetch ?? fetchJwks;
    this.#endpoint = safeEndpoint(config);
  }

  /** Fetches now, so that the first client need not wait. Failure is told to the observer and tried again on demand. */
  async warmUp(): Promise<void> {
    await this.#refresh();
  }

  /** Keys that fit the header; may be none. Throws UnavailableError while no set was ever fetched. */
  async candidates(header: JWSHeaderParameters): Promise<readonly KeyCandidate[]> {
    const set = await this.#current();
    let keys = await matching(set.select, header);
    if (keys.length === 0) {
      // Perhaps the issuer has begun to sign with a new key.
      if (this.#pending !== undefined || this.#sinceAttemptMs() >= COOLDOWN_MS) await this.#refresh();
      if (this.#set !== undefined && this.#set !== set) keys = await matching(this.#set.select, header);
    }
    const trustedUntilMs = this.#clock.wallMs() + MAX_AGE_MS;
    return keys.map((key) => ({ key, trustedUntilMs }));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#pending;
  }

  async #current(): Promise<KeySet> {
    if (this.#set === undefined) {
      if (this.#pending !== undefined || this.#sinceAttemptMs() >= FIRST_COOLDOWN_MS) await this.#refresh();
    } else {
      const ageMs = this.#clock.monotonicMs() - this.#set.fetchedAtMs;
      if (ageMs >= MAX_AGE_MS && this.#sinceAttemptMs() >= COOLDOWN_MS) {
        const refreshed = this.#refresh();
        if (ageMs >= 2 * MAX_AGE_MS) await refreshed;
      }
    }
    if (this.#set === undefined) throw new UnavailableError('the JWKS endpoint could not be reached yet');
    return this.#set;
  }

  #sinceAttemptMs(): number {
    return this.#clock.monotonicMs() - this.#lastAttemptMs;
  }

  /** One attempt for all who wait. Never rejects. */
  async #refresh(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#pending ??= this.#attempt().finally(() => {
      this.#pending = undefined;
    });
    await this.#pending;
  }

  async #attempt(): Promise<void> {
    this.#lastAttemptMs = this.#clock.monotonicMs();
    try {
      const jwks = await this.#fetch(this.#endpoint, this.#closing.signal);
      if (this.#closing.signal.aborted) return;
      const select = createLocalJWKSet(jwks);
      // A set without keys is a mistake at the issuer: it would lock everybody out.
      if (jwks.keys.length === 0) throw new UnavailableError('the set holds no keys');
      this.#set = { select, fetchedAtMs: this.#clock.monotonicMs() };
      this.#observer.jwksFetched({ keys: jwks.keys.length });
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      const keysAgeMs =
        this.#set === undefined ? undefined : this.#clock.monotonicMs() - this.#set.fetchedAtMs;
      this.#observer.jwksFailed({ reason: error instanceof Error ? error.message : 'unknown', keysAgeMs });
    }
  }
}

async function matching(select: LocalJWKSet, header: JWSHeaderParameters): Promise<readonly CryptoKey[]> {
  try {
    return [await select(header)];
  } catch (error) {
    if (!(error instanceof JWKSMultipleMatchingKeys)) return [];
    const keys: CryptoKey[] = [];
    for await (const key of error) {
      keys.push(key);
      if (keys.length === MAX_CANDIDATES) break;
    }
    return keys;
  }
}

function safeEndpoint(config: JwksConfig): URL {
  const text = config.jwksPublicEndpoint;
  if (!URL.canParse(text)) throw new ConfigError(`jwks_public_endpoint is not a URL: ${text}`);
  const url = new URL(text);
  const isHttp = url.protocol === 'http:';
  if (!isHttp && url.protocol !== 'https:') {
    throw new ConfigError('jwks_public_endpoint must be an https address');
  }
  if (isHttp && !isLoopback(url.hostname) && !config.insecureSkipJwksEndpointSafetyCheck) {
    throw new ConfigError(
      'jwks_public_endpoint must be https, or whoever is on the way can sign tokens' +
        ' (insecure_skip_jwks_endpoint_safety_check allows it all the same)',
    );
  }
  return url;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
