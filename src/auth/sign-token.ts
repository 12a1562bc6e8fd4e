// Makes HMAC tokens for the command line (`holdfast token`, `sub-token`), benchmarks and tests.
import { CompactSign } from 'jose/jws/compact/sign';

export type HmacAlgorithm = 'HS256' | 'HS384' | 'HS512';

export interface ConnectionTokenFields {
  /** Empty for an anonymous user. */
  readonly user: string;
  /** Unix milliseconds; undefined for a token that never expires. */
  readonly expiresAtMs?: number | undefined;
  readonly issuedAtMs?: number | undefined;
  /** Raw JSON text, taken over as it is. */
  readonly info?: string | undefined;
  /** Raw JSON text. */
  readonly meta?: string | undefined;
  readonly channels?: readonly string[] | undefined;
  readonly audience?: string | undefined;
  readonly issuer?: string | undefined;
}

export interface SubscriptionTokenFields {
  readonly user: string;
  readonly channel: string;
  readonly expiresAtMs?: number | undefined;
  readonly issuedAtMs?: number | undefined;
  /** Raw JSON text. */
  readonly info?: string | undefined;
  /** Raw JSON text. */
  readonly data?: string | undefined;
  readonly audience?: string | undefined;
  readonly issuer?: string | undefined;
}

export async function signConnectionToken(
  fields: ConnectionTokenFields,
  secret: string,
  alg: HmacAlgorithm = 'HS256',
): Promise<string> {
  const { channels } = fields;
  return sign(
    [
      ...commonMembers(fields),
      ['channels', channels === undefined || channels.length === 0 ? undefined : JSON.stringify(channels)],
      ['info', rawJson('info', fields.info)],
      ['meta', rawJson('meta', fields.meta)],
    ],
    secret,
    alg,
  );
}

export async function signSubscriptionToken(
  fields: SubscriptionTokenFields,
  secret: string,
  alg: HmacAlgorithm = 'HS256',
): Promise<string> {
  return sign(
    [
      ...commonMembers(fields),
      ['channel', JSON.stringify(fields.channel)],
      ['info', rawJson('info', fields.info)],
      ['data', rawJson('data', fields.data)],
    ],
    secret,
    alg,
  );
}

type Member = readonly [name: string, json: string | undefined];

function commonMembers(fields: ConnectionTokenFields | SubscriptionTokenFields): readonly Member[] {
  return [
    ['sub', JSON.stringify(fields.user)],
    ['exp', seconds(fields.expiresAtMs)],
    ['iat', seconds(fields.issuedAtMs)],
    ['aud', fields.audience === undefined ? undefined : JSON.stringify(fields.audience)],
    ['iss', fields.issuer === undefined ? undefined : JSON.stringify(fields.issuer)],
  ];
}

async function sign(members: readonly Member[], secret: string, alg: HmacAlgorithm): Promise<string> {
  if (secret === '') throw new RangeError('a token cannot be signed without a secret');
  const payload = members.flatMap(([name, json]) =>
    json === undefined ? [] : [`${JSON.stringify(name)}:${json}`],
  );
  const encoder = new TextEncoder();
  return new CompactSign(encoder.encode(`{${payload.join(',')}}`))
    .setProtectedHeader({ alg, typ: 'JWT' })
    .sign(encoder.encode(secret));
}

function seconds(timeMs: number | undefined): string | undefined {
  return timeMs === undefined ? undefined : String(Math.floor(timeMs / 1000));
}

function rawJson(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    JSON.parse(text);
  } catch {
    throw new SyntaxError(`${name} of a token must be JSON`);
  }
  return text;
}
