// From the payload text of an authentic token to typed claims (client protocol §14.1, §14.2). Times are Unix milliseconds.
import { memberSpans } from '../protocol/json-span.ts';
import { type Fields, isFields } from '../util/fields.ts';
import {
  type ChannelOverride,
  objectClaim,
  overrideClaim,
  payloadClaim,
  stringClaim,
  stringsClaim,
  timeClaimMs,
} from './claim-types.ts';
import { InvalidTokenError } from './token-errors.ts';

export interface TokenSubscription {
  readonly info: Buffer | undefined;
  readonly data: Buffer | undefined;
  readonly override: ChannelOverride;
}

export interface ConnectionClaims {
  /** Empty for an anonymous user. */
  readonly user: string;
  /** When the connection ends unless refreshed; 0 means never. May lie in the past when `expire_at` says so (error 110). */
  readonly expiresAtMs: number;
  readonly issuedAtMs: number | undefined;
  readonly tokenId: string;
  readonly info: Buffer | undefined;
  readonly meta: Buffer | undefined;
  /** Server-side subscriptions by channel: `channels` and `subs` together. */
  readonly subs: ReadonlyMap<string, TokenSubscription>;
}

export interface SubscriptionClaims {
  readonly user: string;
  readonly channel: string;
  /** Legacy: when not empty it must equal the id of the connection. */
  readonly client: string;
  /** When the subscription ends unless refreshed; 0 means never. */
  readonly expiresAtMs: number;
  readonly issuedAtMs: number | undefined;
  readonly tokenId: string;
  readonly info: Buffer | undefined;
  readonly data: Buffer | undefined;
  readonly override: ChannelOverride;
}

/** What is asked of a token besides its own claims. */
export interface ClaimRules {
  /** Undefined when any audience will do; else one of the token's must match. */
  readonly audience: ((audience: string) => boolean) | undefined;
  readonly issuer: ((issuer: string) => boolean) | undefined;
  /** Claim that names the user instead of `sub`; empty for `sub`. */
  readonly userIdClaim: string;
}

/** Bounds within which a token may be used at all. */
export interface ValidityWindow {
  readonly notBeforeMs: number;
  readonly expiresMs: number;
}

export interface CheckedClaims<C> {
  readonly claims: C;
  readonly window: ValidityWindow;
}

const NO_OPTIONS: TokenSubscription = Object.freeze({ info: undefined, data: undefined, override: {} });

export function connectionClaims(payload: string, rules: ClaimRules): CheckedClaims<ConnectionClaims> {
  const claims = parse(payload);
  // A subscription token is public to more parties than a connection token: it must not open connections.
  if (Object.hasOwn(claims, 'channel')) {
    throw new InvalidTokenError('token claim "channel" must not be in a connection token');
  }
  const common = commonClaims(claims, rules);
  const spans = memberSpans(payload);
  return {
    window: common.window,
    claims: {
      user: common.user,
      expiresAtMs: common.expiresAtMs,
      issuedAtMs: common.issuedAtMs,
      tokenId: common.tokenId,
      info: payloadClaim(claims, spans, 'info'),
      meta: payloadClaim(claims, spans, 'meta'),
      subs: serverSubscriptions(claims, spans),
    },
  };
}

export function subscriptionClaims(payload: string, rules: ClaimRules): CheckedClaims<SubscriptionClaims> {
  const claims = parse(payload);
  const common = commonClaims(claims, rules);
  const channel = stringClaim(claims, 'channel');
  if (channel === '')
    throw new InvalidTokenError('token claim "channel" is missing from a subscription token');
  const spans = memberSpans(payload);
  return {
    window: common.window,
    claims: {
      user: common.user,
      channel,
      client: stringClaim(claims, 'client'),
      expiresAtMs: common.expiresAtMs,
      issuedAtMs: common.issuedAtMs,
      tokenId: common.tokenId,
      info: payloadClaim(claims, spans, 'info'),
      data: payloadClaim(claims, spans, 'data'),
      override: overrideClaim(claims),
    },
  };
}

function parse(payload: string): Fields {
  let claims: unknown;
  try {
    claims = JSON.parse(payload);
  } catch {
    throw new InvalidTokenError('token payload is not JSON');
  }
  if (!isFields(claims)) throw new InvalidTokenError('token payload is not a JSON object');
  return claims;
}

function commonClaims(claims: Fields, rules: ClaimRules) {
  const audience = claims['aud'];
  const audiences = typeof audience === 'string' ? [audience] : stringsClaim(claims, 'aud');
  if (rules.audience !== undefined && !audiences.some(rules.audience)) {
    throw new InvalidTokenError('token claim "aud" is not for this gateway');
  }
  const issuer = stringClaim(claims, 'iss');
  if (rules.issuer !== undefined && !rules.issuer(issuer)) {
    throw new InvalidTokenError('token claim "iss" is not a trusted issuer');
  }
  const subject = stringClaim(claims, 'sub');
  const expiresMs = timeClaimMs(claims, 'exp');
  const expireAtMs = timeClaimMs(claims, 'expire_at');
  return {
    user: rules.userIdClaim === '' ? subject : stringClaim(claims, rules.userIdClaim),
    expiresAtMs: expireAtMs ?? expiresMs ?? 0,
    issuedAtMs: timeClaimMs(claims, 'iat'),
    tokenId: stringClaim(claims, 'jti'),
    window: {
      notBeforeMs: timeClaimMs(claims, 'nbf') ?? -Infinity,
      expiresMs: expiresMs ?? Infinity,
    },
  };
}

function serverSubscriptions(
  claims: Fields,
  spans: ReadonlyMap<string, string>,
): ReadonlyMap<string, TokenSubscription> {
  const subs = new Map<string, TokenSubscription>();
  for (const channel of stringsClaim(claims, 'channels')) subs.set(named(channel), NO_OPTIONS);
  const options = Object.entries(objectClaim(claims, 'subs'));
  if (options.length === 0) return subs;
  const optionSpans = memberSpans(spans.get('subs') ?? '');
  for (const [channel, value] of options) {
    const option = value ?? {};
    if (!isFields(option))
      throw new InvalidTokenError('token claim "subs" must hold an object for each channel');
    const inner = memberSpans(optionSpans.get(channel) ?? '');
    subs.set(named(channel), {
      info: payloadClaim(option, inner, 'info'),
      data: payloadClaim(option, inner, 'data'),
      override: overrideClaim(option),
    });
  }
  return subs;
}

function named(channel: string): string {
  if (channel === '') throw new InvalidTokenError('token names a channel without a name');
  return channel;
}
