import { type KeyObject, generateKeyPairSync } from 'node:crypto';
import { CompactSign } from 'jose';
import t from 'tap';
import { signConnectionToken, signSubscriptionToken } from '../../../src/auth/sign-token.ts';
import {
  NO_TOKEN_CONFIG,
  type TokenConfig,
  type TokenVerifierConfig,
} from '../../../src/auth/token-config.ts';
import { InvalidTokenError, NoTokenKeyError, TokenExpiredError } from '../../../src/auth/token-errors.ts';
import { TokenVerifier } from '../../../src/auth/token-verifier.ts';
import { ConfigError } from '../../../src/util/errors.ts';

const SECRET = 'correct horse battery staple';
const NOW_MS = 1_700_000_000_000;
const NOW_S = NOW_MS / 1000;

function setUp(token: Partial<TokenConfig> = {}, rest: Partial<TokenVerifierConfig> = {}) {
  const clock = { nowMs: NOW_MS, monotonicMs: () => clock.nowMs, wallMs: () => clock.nowMs };
  const connection = { ...NO_TOKEN_CONFIG, hmacSecretKey: SECRET, ...token };
  const config = { connection, subscription: undefined, insecureSkipTokenSignatureVerify: false, ...rest };
  return { clock, verifier: new TokenVerifier({ clock }, config) };
}

async function sign(
  payload: string | object,
  key: string | KeyObject = SECRET,
  header: { alg: string; [name: string]: unknown } = { alg: 'HS256' },
): Promise<string> {
  const bytes = new TextEncoder().encode(typeof payload === 'string' ? payload : JSON.stringify(payload));
  const signKey = typeof key === 'string' ? new TextEncoder().encode(key) : key;
  return new CompactSign(bytes).setProtectedHeader(header).sign(signKey);
}

const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString();
const base64url = (text: string) => Buffer.from(text).toString('base64url');

t.test('every claim of a connection token', async (t) => {
  const { verifier } = setUp();
  const token = await sign(
    `{"sub":"42","exp":${NOW_S + 60},"iat":${NOW_S},"jti":"j1","info":{"id":9007199254740993,
      "name":"Ж"},"meta":[1,
      2],"channels":["news","both"],"subs":{"both":{"info":{"b":12345678901234567890},"data":"x",
      "override":{"presence":{"value":true},"force_recovery":{"value":false}}},"__proto__":{},"n":null}}`,
  );
  const claims = await verifier.verifyConnection(token);
  t.equal(claims.user, '42');
  t.equal(claims.expiresAtMs, NOW_MS + 60_000);
  t.equal(claims.issuedAtMs, NOW_MS);
  t.equal(claims.tokenId, 'j1');
  t.equal(claims.info?.toString(), '{"id":9007199254740993,      "name":"Ж"}');
  t.equal(claims.meta?.toString(), '[1,      2]');
  t.same([...claims.subs.keys()], ['news', 'both', '__proto__', 'n']);
  t.same(claims.subs.get('news'), { info: undefined, data: undefined, override: {} });
  t.equal(claims.subs.get('both')?.info?.toString(), '{"b":12345678901234567890}');
  t.equal(claims.subs.get('both')?.data?.toString(), '"x"');
  t.same(claims.subs.get('both')?.override, { presence: true, forceRecovery: false });
});

t.test('every claim of a subscription token', async (t) => {
  const { verifier } = setUp();
  const token = await sign({
    sub: '42',
    channel: '$room',
    client: 'c1',
    exp: NOW_S + 60,
    info: { a: 1 },
    b64data: Buffer.from([0xff, 0x0a, 0x00]).toString('base64'),
    override: {
      join_leave: { value: true },
      force_push_join_leave: { value: true },
      force_positioning: { value: true },
    },
  });
  const claims = await verifier.verifySubscription(token);
  t.equal(claims.user, '42');
  t.equal(claims.channel, '$room');
  t.equal(claims.client, 'c1');
  t.equal(claims.expiresAtMs, NOW_MS + 60_000);
  t.equal(claims.info?.toString(), '{"a":1}');
  t.same(claims.data, Buffer.from([0xff, 0x0a, 0x00]), 'binary stays as it is');
  t.same(claims.override, { joinLeave: true, forcePushJoinLeave: true, forcePositioning: true });
});

t.test('base64 payloads win over plain ones and lose line breaks when they are JSON', async (t) => {
  const { verifier } = setUp();
  const b64info = Buffer.from('{\n"a": 1\r\n}').toString('base64');
  const claims = await verifier.verifyConnection(await sign({ info: { b: 2 }, b64info }));
  t.equal(claims.info?.toString(), '{"a": 1}');
});

t.test('an anonymous token that never expires', async (t) => {
  const { verifier } = setUp();
  const claims = await verifier.verifyConnection(await sign({}));
  t.equal(claims.user, '');
  t.equal(claims.expiresAtMs, 0);
  t.equal(claims.info, undefined);
  t.equal(claims.subs.size, 0);
});

t.test('expiry', async (t) => {
  const { verifier, clock } = setUp();
  const verify = async (claims: object) => verifier.verifyConnection(await sign(claims));
  await t.rejects(
    verify({ exp: NOW_S }),
    TokenExpiredError,
    'exp is the first moment at which it is expired',
  );
  await t.rejects(verify({ exp: 0 }), TokenExpiredError);
  await t.rejects(verify({ nbf: NOW_S + 1 }), TokenExpiredError);
  await t.rejects(
    verify({ exp: NOW_S - 1, expire_at: NOW_S + 50 }),
    TokenExpiredError,
    'expire_at saves nothing',
  );
  t.equal((await verify({ nbf: NOW_S })).user, '');
  t.equal((await verify({ exp: NOW_S + 5, expire_at: 0 })).expiresAtMs, 0, 'never');
  t.equal((await verify({ exp: NOW_S + 5, expire_at: NOW_S + 50 })).expiresAtMs, NOW_MS + 50_000);
  t.equal(
    (await verify({ expire_at: NOW_S - 50 })).expiresAtMs,
    NOW_MS - 50_000,
    'for the caller: error 110',
  );
  await t.rejects(verifier.verifyConnection(await sign({ exp: NOW_S - 1 }, 'wrong')), InvalidTokenError);

  const token = await sign({ exp: NOW_S + 5 });
  await verifier.verifyConnection(token);
  clock.nowMs += 5_000;
  await t.rejects(verifier.verifyConnection(token), TokenExpiredError, 'also when it was verified before');
  await t.rejects(verifier.verifyConnection(token), { code: 'HOLDFAST_TOKEN_EXPIRED' });
});

t.test('claims of the wrong type make a token invalid', async (t) => {
  const { verifier } = setUp();
  const wrong: readonly object[] = [
    { sub: 42 },
    { sub: ['a'] },
    { exp: 'tomorrow' },
    { exp: -1 },
    { exp: 1e300 },
    { nbf: true },
    { iat: {} },
    { jti: 1 },
    { aud: 1 },
    { aud: [1] },
    { iss: {} },
    { expire_at: '0' },
    { channels: 'news' },
    { channels: [1] },
    { channels: [''] },
    { subs: [] },
    { subs: { a: 1 } },
    { subs: { '': {} } },
    { subs: { a: { override: 1 } } },
    { subs: { a: { override: { presence: true } } } },
    { subs: { a: { override: { presence: { value: 1 } } } } },
    { subs: { a: { b64data: 'not base64!' } } },
    { b64info: 1 },
    { b64info: 'a' },
  ];
  for (const claims of wrong) {
    await t.rejects(verifier.verifyConnection(await sign(claims)), InvalidTokenError, JSON.stringify(claims));
  }
  for (const payload of ['', '[]', '"x"', 'null', '{', '{"sub":1}trailing']) {
    await t.rejects(verifier.verifyConnection(await sign(payload)), InvalidTokenError, payload);
  }
  t.equal((await verifier.verifyConnection(await sign({ sub: null, exp: null, subs: null }))).user, '');
});

t.test('tokens of one kind are not good for the other', async (t) => {
  const { verifier } = setUp();
  const connection = await signConnectionToken({ user: '42' }, SECRET);
  const subscription = await signSubscriptionToken({ user: '42', channel: 'news' }, SECRET);
  await t.rejects(verifier.verifyConnection(subscription), InvalidTokenError);
  await t.rejects(verifier.verifySubscription(connection), InvalidTokenError);
  await t.rejects(verifier.verifyConnection(await sign({ channel: null })), InvalidTokenError);
  await verifier.verifyConnection(connection);
  await t.rejects(verifier.verifySubscription(connection), InvalidTokenError, 'nor by way of the cache');
});

t.test('malformed tokens', async (t) => {
  const { verifier } = setUp();
  const good = await sign({ sub: '42' });
  const [header = '', payload = '', signature = ''] = good.split('.');
  const bad = [
    '',
    'x',
    '..',
    '...',
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `${header}.${payload}.${signature}.`,
    `${header}.${base64url('{"sub":"43"}')}.${signature}`,
    `${base64url('{"alg":"none"}')}.${payload}.`,
    `${base64url('{"alg":"NONE"}')}.${payload}.`,
    `${base64url('{"alg":""}')}.${payload}.${signature}`,
    `${base64url('{}')}.${payload}.${signature}`,
    `${base64url('[]')}.${payload}.${signature}`,
    `${base64url('{"alg":"HS256","crit":["exp"]}')}.${payload}.${signature}`,
    `${base64url('{"alg":"HS512"}')}.${payload}.${signature}`,
    `${base64url('{"alg":"constructor"}')}.${payload}.${signature}`,
    `${'a'.repeat(100_000)}.b.c`,
  ];
  for (const token of bad) {
    const error: unknown = await verifier.verifyConnection(token).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    t.type(error, InvalidTokenError, token.slice(0, 60));
    if (error instanceof Error && payload !== '')
      t.notOk(error.message.includes(payload), 'says nothing of the token');
  }
});

t.test('HMAC algorithms, wrong key, previous key', async (t) => {
  const { verifier, clock } = setUp({
    hmacPreviousSecretKey: 'old secret',
    hmacPreviousSecretKeyValidUntilMs: NOW_MS + 10_000,
  });
  for (const alg of ['HS256', 'HS384', 'HS512']) {
    t.equal((await verifier.verifyConnection(await sign({ sub: alg }, SECRET, { alg }))).user, alg);
  }
  await t.rejects(verifier.verifyConnection(await sign({}, 'another secret')), InvalidTokenError);
  const old = await sign({ sub: 'old' }, 'old secret');
  t.equal((await verifier.verifyConnection(old)).user, 'old');
  clock.nowMs += 10_000;
  await t.rejects(verifier.verifyConnection(old), InvalidTokenError, 'a cached verdict ends with the key');

  const endless = setUp({ hmacPreviousSecretKey: 'old secret' });
  t.equal((await endless.verifier.verifyConnection(old)).user, 'old');
});

t.test('RSA and ECDSA keys', async (t) => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rsaPem = pem(rsa.publicKey);
  const withRsa = setUp({ hmacSecretKey: '', rsaPublicKey: rsaPem }).verifier;
  for (const alg of ['RS256', 'RS384', 'RS512']) {
    t.equal((await withRsa.verifyConnection(await sign({ sub: alg }, rsa.privateKey, { alg }))).user, alg);
  }
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await t.rejects(
    withRsa.verifyConnection(await sign({}, other.privateKey, { alg: 'RS256' })),
    InvalidTokenError,
  );
  await t.rejects(
    withRsa.verifyConnection(await sign({}, rsa.privateKey, { alg: 'PS256' })),
    InvalidTokenError,
    'not a listed algorithm',
  );
  // Key confusion: the public key is public, and must not become an HMAC secret.
  await t.rejects(withRsa.verifyConnection(await sign({}, rsaPem)), NoTokenKeyError);
  await t.rejects(
    setUp({ rsaPublicKey: rsaPem }).verifier.verifyConnection(await sign({}, rsaPem)),
    InvalidTokenError,
  );

  for (const [alg, namedCurve] of [
    ['ES256', 'P-256'],
    ['ES384', 'P-384'],
    ['ES512', 'P-521'],
  ] as const) {
    const ec = generateKeyPairSync('ec', { namedCurve });
    const { verifier } = setUp({ ecdsaPublicKey: pem(ec.publicKey) });
    t.equal((await verifier.verifyConnection(await sign({ sub: alg }, ec.privateKey, { alg }))).user, alg);
    await t.rejects(
      verifier.verifyConnection(await sign({}, rsa.privateKey, { alg: 'RS256' })),
      NoTokenKeyError,
    );
  }
  t.throws(() => setUp({ ecdsaPublicKey: rsaPem }), ConfigError, 'a key of another type');
  t.throws(() => setUp({ rsaPublicKey: 'no pem' }), ConfigError);
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
  t.throws(() => setUp({ rsaPublicKey: pem(short.publicKey) }), ConfigError, 'would never verify anything');
  const otherCurve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  t.throws(() => setUp({ ecdsaPublicKey: pem(otherCurve.publicKey) }), ConfigError);
});

t.test('no key configured', async (t) => {
  const { verifier } = setUp({ hmacSecretKey: '' });
  await t.rejects(verifier.verifyConnection(await sign({})), { code: 'HOLDFAST_TOKEN_NO_KEY' });
});

t.test('separate keys of subscription tokens', async (t) => {
  const { verifier } = setUp({}, { subscription: { ...NO_TOKEN_CONFIG, hmacSecretKey: 'sub secret' } });
  const fields = { user: '42', channel: 'news' };
  t.equal(
    (await verifier.verifySubscription(await signSubscriptionToken(fields, 'sub secret'))).channel,
    'news',
  );
  await t.rejects(
    verifier.verifySubscription(await signSubscriptionToken(fields, SECRET)),
    InvalidTokenError,
  );
  await t.rejects(verifier.verifyConnection(await sign({}, 'sub secret')), InvalidTokenError);
});

t.test('audience and issuer', async (t) => {
  const accepts = async (config: Partial<TokenConfig>, claims: object) =>
    setUp(config)
      .verifier.verifyConnection(await sign(claims))
      .then(
        () => true,
        (error: unknown) => {
          t.type(error, InvalidTokenError);
          return false;
        },
      );
  t.ok(await accepts({ audience: 'gw' }, { aud: 'gw' }));
  t.ok(await accepts({ audience: 'gw' }, { aud: ['other', 'gw'] }));
  t.notOk(await accepts({ audience: 'gw' }, { aud: 'gw2' }));
  t.notOk(await accepts({ audience: 'gw' }, {}));
  t.notOk(await accepts({ audience: 'gw' }, { aud: [] }));
  t.ok(await accepts({ audienceRegex: '^gw-\\d$' }, { aud: 'gw-1' }));
  t.notOk(await accepts({ audienceRegex: '^gw-\\d$' }, { aud: 'gw-x' }));
  t.notOk(await accepts({ audienceRegex: '.*' }, {}), 'an absent audience matches nothing');
  t.ok(await accepts({ issuer: 'https://id' }, { iss: 'https://id' }));
  t.notOk(await accepts({ issuer: 'https://id' }, { iss: 'https://evil' }));
  t.notOk(await accepts({ issuer: 'https://id' }, {}));
  t.ok(await accepts({ issuerRegex: 'id$' }, { iss: 'https://id' }));
  t.throws(() => setUp({ audience: 'a', audienceRegex: 'b' }), ConfigError);
  t.throws(() => setUp({ issuerRegex: '(' }), ConfigError);
});

t.test('another claim names the user', async (t) => {
  const { verifier } = setUp({ userIdClaim: 'uid' });
  t.equal((await verifier.verifyConnection(await sign({ sub: 'a', uid: 'b' }))).user, 'b');
  t.equal((await verifier.verifyConnection(await sign({ sub: 'a' }))).user, '');
  await t.rejects(verifier.verifyConnection(await sign({ uid: 7 })), InvalidTokenError);
});

t.test('signature check switched off', async (t) => {
  const { verifier } = setUp({ hmacSecretKey: '' }, { insecureSkipTokenSignatureVerify: true });
  const none = (claims: object) => `${base64url('{"alg":"none"}')}.${base64url(JSON.stringify(claims))}.`;
  t.equal((await verifier.verifyConnection(none({ sub: '42' }))).user, '42');
  await t.rejects(verifier.verifyConnection(none({ exp: NOW_S - 1 })), TokenExpiredError);
  await t.rejects(verifier.verifyConnection(none({ sub: 1 })), InvalidTokenError);
  await t.rejects(verifier.verifyConnection(none({ channel: 'x' })), InvalidTokenError);
  await t.rejects(verifier.verifyConnection('garbage'), InvalidTokenError);
  await t.rejects(
    verifier.verifyConnection(
      `${base64url('{"alg":"none"}')}.${Buffer.from([0x22, 0xff, 0x22]).toString('base64url')}.`,
    ),
    InvalidTokenError,
  );
});

t.test('signed by ourselves', async (t) => {
  const { verifier } = setUp({ audience: 'gw', issuer: 'me' });
  const fields = {
    user: '42',
    expiresAtMs: NOW_MS + 1500,
    issuedAtMs: NOW_MS,
    info: '{"n":9007199254740993}',
    audience: 'gw',
    issuer: 'me',
  };
  const token = await signConnectionToken({ ...fields, meta: '{}', channels: ['a'] }, SECRET, 'HS512');
  const claims = await verifier.verifyConnection(token);
  t.equal(claims.expiresAtMs, NOW_MS + 1000, 'whole seconds, never later than asked');
  t.equal(claims.info?.toString(), fields.info);
  t.same([...claims.subs.keys()], ['a']);
  const subToken = await signSubscriptionToken({ ...fields, channel: '$c', data: '1' }, SECRET);
  t.equal((await verifier.verifySubscription(subToken)).data?.toString(), '1');
  await t.rejects(signConnectionToken({ user: '', info: '{' }, SECRET), SyntaxError);
  await t.rejects(signConnectionToken({ user: '' }, ''), RangeError);
});
