// Turns a JWT into typed claims, or into the error that its bearer earns (client protocol §14). One for a worker.
import type { JWSHeaderParameters } from 'jose';
import { decodeProtectedHeader } from 'jose/decode/protected_header';
import { compactVerify } from 'jose/jws/compact/verify';
import type { Clock } from '../util/clock.ts';
import { ConfigError } from '../util/errors.ts';
import { TokenCache } from './token-cache.ts';
import {
  type CheckedClaims,
  type ClaimRules,
  type ConnectionClaims,
  type SubscriptionClaims,
  type ValidityWindow,
  connectionClaims,
  subscriptionClaims,
} from './token-claims.ts';
import type { TokenConfig, TokenVerifierConfig } from './token-config.ts';
import { InvalidTokenError, TokenExpiredError } from './token-errors.ts';
import { type RemoteKeys, TokenKeys } from './token-keys.ts';
import type { VerificationGate } from './verification-gate.ts';

export interface TokenVerifierDeps {
  readonly clock: Clock;
  /** Sets behind `jwks_public_endpoint`; undefined where none is configured. */
  readonly connectionKeys?: RemoteKeys | undefined;
  readonly subscriptionKeys?: RemoteKeys | undefined;
  /** Where each verification waits for its turn; undefined: there is no limit. */
  readonly gate?: Pick<VerificationGate, 'enter'> | undefined;
}

interface Verified<C> extends CheckedClaims<C> {
  /** Unix milliseconds after which the signature must be verified again (key rotation). */
  readonly trustedUntilMs: number;
}

type ReadClaims<C> = (payload: string, rules: ClaimRules) => CheckedClaims<C>;

const MAX_CACHED_TOKENS = 10_000;

export class TokenVerifier {
  readonly #connection: KindVerifier<ConnectionClaims>;
  readonly #subscription: KindVerifier<SubscriptionClaims>;

  /** Throws ConfigError when a key or a pattern cannot be used. */
  constructor(deps: TokenVerifierDeps, config: TokenVerifierConfig) {
    const skipSignature = config.insecureSkipTokenSignatureVerify;
    const kind = <C>(read: ReadClaims<C>, remote: RemoteKeys | undefined, rules: TokenConfig) =>
      new KindVerifier(
        {
          clock: deps.clock,
          keys: new TokenKeys({ clock: deps.clock, remote }, rules),
          read,
          gate: deps.gate,
        },
        rules,
        { skipSignature },
      );
    this.#connection = kind(connectionClaims, deps.connectionKeys, config.connection);
    this.#subscription =
      config.subscription === undefined
        ? kind(subscriptionClaims, deps.connectionKeys, config.connection)
        : kind(subscriptionClaims, deps.subscriptionKeys, config.subscription);
  }

  /**
   * Throws TokenExpiredError, InvalidTokenError, or UnavailableError while no JWKS could be fetched yet or too many others
   * wait. `returning`: the client was here before, and goes first.
   */
  async verifyConnection(token: string, returning = false): Promise<ConnectionClaims> {
    return this.#connection.verify(token, returning);
  }

  /** As verifyConnection. That user, channel and client fit the connection is for the caller to check. */
  async verifySubscription(token: string): Promise<SubscriptionClaims> {
    // Of somebody who is in already.
    return this.#subscription.verify(token, true);
  }
}

class KindVerifier<C> {
  readonly #clock: Clock;
  readonly #keys: TokenKeys;
  readonly #read: ReadClaims<C>;
  readonly #rules: ClaimRules;
  readonly #gate: Pick<VerificationGate, 'enter'> | undefined;
  readonly #skipSignature: boolean;
  readonly #cache = new TokenCache<Verified<C>>(MAX_CACHED_TOKENS);

  constructor(
    deps: {
      clock: Clock;
      keys: TokenKeys;
      read: ReadClaims<C>;
      gate: Pick<VerificationGate, 'enter'> | undefined;
    },
    config: TokenConfig,
    options: { skipSignature: boolean },
  ) {
    this.#clock = deps.clock;
    this.#keys = deps.keys;
    this.#read = deps.read;
    this.#gate = deps.gate;
    this.#rules = claimRules(config);
    this.#skipSignature = options.skipSignature;
  }

  async verify(token: string, returning: boolean): Promise<C> {
    const known = this.#cache.get(token);
    if (known !== undefined && this.#clock.wallMs() < known.trustedUntilMs) {
      assertCurrent(known.window, this.#clock.wallMs());
      return known.claims;
    }
    this.#cache.delete(token);
    const { payload, trustedUntilMs } = this.#skipSignature
      ? unverified(token)
      : await this.#authenticate(token, returning);
    const checked = this.#read(payload, this.#rules);
    // An expired token is remembered too: it stays expired, and a storm of them costs as little.
    this.#cache.set(token, { ...checked, trustedUntilMs });
    assertCurrent(checked.window, this.#clock.wallMs());
    return checked.claims;
  }

  async #authenticate(
    token: string,
    returning: boolean,
  ): Promise<{ payload: string; trustedUntilMs: number }> {
    const header = protectedHeader(token);
    await this.#gate?.enter(returning);
    const candidates = await this.#keys.candidates(header);
    for (const { key, trustedUntilMs } of candidates) {
      try {
        const { payload } = await compactVerify(token, key, { algorithms: [header.alg ?? ''] });
        return { payload: utf8(payload), trustedUntilMs };
      } catch {
        // Another key may fit; jose's error could quote the token.
      }
    }
    throw new InvalidTokenError('token signature does not match');
  }
}

function protectedHeader(token: string): JWSHeaderParameters {
  try {
    return decodeProtectedHeader(token);
  } catch {
    throw new InvalidTokenError('token is not a JWT');
  }
}

/** `insecure_skip_token_signature_verify`: somebody before us has verified it, or nobody needs to. */
function unverified(token: string): { payload: string; trustedUntilMs: number } {
  protectedHeader(token);
  const payload = token.split('.')[1] ?? '';
  return { payload: utf8(Buffer.from(payload, 'base64url')), trustedUntilMs: Infinity };
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new InvalidTokenError('token payload is not UTF-8');
  }
}

function assertCurrent({ notBeforeMs, expiresMs }: ValidityWindow, nowMs: number): void {
  if (nowMs >= expiresMs) throw new TokenExpiredError('token is expired');
  if (nowMs < notBeforeMs) throw new TokenExpiredError('token is not valid yet');
}

function claimRules(config: TokenConfig): ClaimRules {
  return {
    audience: matcher('audience', config.audience, config.audienceRegex),
    issuer: matcher('issuer', config.issuer, config.issuerRegex),
    userIdClaim: config.userIdClaim,
  };
}

function matcher(option: string, exact: string, regex: string): ((value: string) => boolean) | undefined {
  if (exact !== '' && regex !== '') {
    throw new ConfigError(`client token options ${option} and ${option}_regex exclude each other: set one`);
  }
  if (exact !== '') return (value) => value === exact;
  if (regex === '') return undefined;
  let pattern: RegExp;
  try {
    pattern = new RegExp(regex);
  } catch {
    throw new ConfigError(`client token option ${option}_regex is not a regular expression: ${regex}`);
  }
  return (value) => pattern.test(value);
}
