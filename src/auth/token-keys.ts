// Chooses the keys that may verify a token. The algorithm decides the kind of key, so that a public key is never taken
// for an HMAC secret, and `none` finds nothing.
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { CryptoKey, JWSHeaderParameters } from 'jose';
import type { Clock } from '../util/clock.ts';
import { ConfigError } from '../util/errors.ts';
import type { TokenConfig } from './token-config.ts';
import { InvalidTokenError, NoTokenKeyError } from './token-errors.ts';

export interface KeyCandidate {
  readonly key: Uint8Array | KeyObject | CryptoKey;
  /** Unix milliseconds after which what this key verified must be verified again. */
  readonly trustedUntilMs: number;
}

/** Keys that come from elsewhere and may change: the JWKS endpoint. */
export interface RemoteKeys {
  candidates(header: JWSHeaderParameters): Promise<readonly KeyCandidate[]>;
}

interface AlgorithmFamily {
  readonly kind: 'hmac' | 'rsa' | 'ecdsa' | 'eddsa';
  readonly algorithms: readonly string[];
}

const FAMILIES: readonly AlgorithmFamily[] = [
  { kind: 'hmac', algorithms: ['HS256', 'HS384', 'HS512'] },
  { kind: 'rsa', algorithms: ['RS256', 'RS384', 'RS512'] },
  { kind: 'ecdsa', algorithms: ['ES256', 'ES384', 'ES512'] },
  { kind: 'eddsa', algorithms: ['EdDSA'] },
];

export class TokenKeys {
  readonly #clock: Clock;
  readonly #hmac: Uint8Array | undefined;
  readonly #previousHmac: Uint8Array | undefined;
  readonly #previousHmacUntilMs: number;
  readonly #rsa: KeyObject | undefined;
  readonly #ecdsa: KeyObject | undefined;
  readonly #remote: RemoteKeys | undefined;

  constructor(deps: { clock: Clock; remote: RemoteKeys | undefined }, config: TokenConfig) {
    this.#clock = deps.clock;
    this.#remote = deps.remote;
    this.#hmac = secret(config.hmacSecretKey);
    this.#previousHmac = secret(config.hmacPreviousSecretKey);
    this.#previousHmacUntilMs = config.hmacPreviousSecretKeyValidUntilMs || Infinity;
    this.#rsa = publicKey(config.rsaPublicKey, 'rsa', 'rsa_public_key');
    this.#ecdsa = publicKey(config.ecdsaPublicKey, 'ec', 'ecdsa_public_key');
  }

  /** Never empty. Throws InvalidTokenError, or UnavailableError when remote keys were never reached. */
  async candidates(header: JWSHeaderParameters): Promise<readonly KeyCandidate[]> {
    const family = FAMILIES.find(({ algorithms }) => algorithms.includes(header.alg ?? ''));
    if (family === undefined) throw new InvalidTokenError('token algorithm is not supported');
    // With an endpoint, public keys come from there alone. A shared secret never does.
    if (family.kind !== 'hmac' && this.#remote !== undefined) {
      const fitting = await this.#remote.candidates(header);
      if (fitting.length === 0) throw new InvalidTokenError('no key of the JWKS endpoint fits the token');
      return fitting;
    }
    const keys = [...this.#staticKeys(family.kind)];
    if (keys.length > 0) return keys;
    throw new NoTokenKeyError(
      `no key is configured for ${family.kind} tokens: see client.token in the config`,
    );
  }

  *#staticKeys(kind: AlgorithmFamily['kind']): Iterable<KeyCandidate> {
    if (kind === 'hmac') {
      if (this.#hmac !== undefined) yield { key: this.#hmac, trustedUntilMs: Infinity };
      if (this.#previousHmac !== undefined && this.#clock.wallMs() < this.#previousHmacUntilMs) {
        yield { key: this.#previousHmac, trustedUntilMs: this.#previousHmacUntilMs };
      }
    } else if (kind === 'rsa' && this.#rsa !== undefined) {
      yield { key: this.#rsa, trustedUntilMs: Infinity };
    } else if (kind === 'ecdsa' && this.#ecdsa !== undefined) {
      yield { key: this.#ecdsa, trustedUntilMs: Infinity };
    }
  }
}

function secret(text: string): Uint8Array | undefined {
  return text === '' ? undefined : new TextEncoder().encode(text);
}

function publicKey(pem: string, type: 'rsa' | 'ec', option: string): KeyObject | undefined {
  if (pem === '') return undefined;
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    throw new ConfigError(`client token option ${option} is not a public key in PEM form`);
  }
  if (key.asymmetricKeyType !== type) {
    throw new ConfigError(
      `client token option ${option} holds a key of type ${key.asymmetricKeyType ?? 'unknown'}, needed: ${type}`,
    );
  }
  // The library refuses these at every token, as if the signature were wrong: better said once, at the start.
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (type === 'rsa' && (modulusLength ?? 0) < MIN_RSA_BITS) {
    throw new ConfigError(`client token option ${option} is too short: needed are ${MIN_RSA_BITS} bits`);
  }
  if (type === 'ec' && !CURVES.includes(namedCurve ?? '')) {
    throw new ConfigError(`client token option ${option} is on a curve that tokens do not use`);
  }
  return key;
}

const MIN_RSA_BITS = 2048;
/** P-256, P-384 and P-521 as OpenSSL names them. */
const CURVES = ['prime256v1', 'secp384r1', 'secp521r1'];
