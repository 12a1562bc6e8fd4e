// Reads single claims out of a parsed token payload; a claim of the wrong type makes the token invalid. Null counts as
// absent. Payload claims are taken from the raw text, so that their bytes survive (integers above 2^53, key order).
import type { ChannelOptions } from '../protocol/channel-options.ts';
import { stripNewlines } from '../protocol/json-span.ts';
import { type Fields, isFields } from '../util/fields.ts';
import { InvalidTokenError } from './token-errors.ts';

/** Options of the namespace that a token changes for one subscription. Only what it names is present. */
export type ChannelOverride = Partial<
  Pick<ChannelOptions, 'presence' | 'joinLeave' | 'forcePushJoinLeave' | 'forcePositioning' | 'forceRecovery'>
>;

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const OVERRIDES = [
  ['presence', 'presence'],
  ['join_leave', 'joinLeave'],
  ['force_push_join_leave', 'forcePushJoinLeave'],
  ['force_positioning', 'forcePositioning'],
  ['force_recovery', 'forceRecovery'],
] as const satisfies readonly (readonly [string, keyof ChannelOverride])[];

/** Empty when absent. */
export function stringClaim(claims: Fields, name: string): string {
  const value = own(claims, name);
  if (value === undefined) return '';
  if (typeof value !== 'string') throw wrongType(name, 'a string');
  return value;
}

/** Unix seconds in the token, milliseconds here; undefined when absent. */
export function timeClaimMs(claims: Fields, name: string): number | undefined {
  const value = own(claims, name);
  if (value === undefined) return undefined;
  if (
    typeof value !== 'number' ||
    !Number.isFinite(value) ||
    value < 0 ||
    value * 1000 > Number.MAX_SAFE_INTEGER
  ) {
    throw wrongType(name, 'a Unix time in seconds');
  }
  return Math.floor(value * 1000);
}

export function stringsClaim(claims: Fields, name: string): readonly string[] {
  const value = own(claims, name) ?? [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
    throw wrongType(name, 'an array of strings');
  }
  return value;
}

export function objectClaim(claims: Fields, name: string): Fields {
  const value = own(claims, name) ?? {};
  if (!isFields(value)) throw wrongType(name, 'an object');
  return value;
}

/** Bytes of `b64<name>` when it is there, else the raw JSON text of `name`. `spans` are the raw members of `claims`. */
export function payloadClaim(
  claims: Fields,
  spans: ReadonlyMap<string, string>,
  name: string,
): Buffer | undefined {
  const base64 = stringClaim(claims, `b64${name}`);
  if (base64 !== '') {
    if (!BASE64.test(base64)) throw wrongType(`b64${name}`, 'base64');
    return withoutNewlines(Buffer.from(base64, 'base64'));
  }
  if (own(claims, name) === undefined) return undefined;
  const text = spans.get(name);
  return text === undefined ? undefined : Buffer.from(stripNewlines(text));
}

export function overrideClaim(claims: Fields): ChannelOverride {
  const overrides = objectClaim(claims, 'override');
  const result: { -readonly [K in keyof ChannelOverride]: ChannelOverride[K] } = {};
  for (const [wireName, name] of OVERRIDES) {
    const override = own(overrides, wireName);
    if (override === undefined) continue;
    const value = isFields(override) ? (own(override, 'value') ?? false) : undefined;
    if (typeof value !== 'boolean') throw wrongType(`override.${wireName}`, '{"value": true or false}');
    result[name] = value;
  }
  return result;
}

/** JSON that came as base64 may hold line breaks, which would end the frame of a JSON client; other bytes stay. */
function withoutNewlines(bytes: Buffer): Buffer {
  if (!bytes.includes(0x0a) && !bytes.includes(0x0d)) return bytes;
  const text = bytes.toString();
  try {
    JSON.parse(text);
  } catch {
    return bytes;
  }
  return Buffer.from(stripNewlines(text));
}

function own(object: Fields, name: string): unknown {
  return Object.hasOwn(object, name) ? (object[name] ?? undefined) : undefined;
}

function wrongType(name: string, expected: string): InvalidTokenError {
  return new InvalidTokenError(`token claim "${name}" must be ${expected}`);
}
