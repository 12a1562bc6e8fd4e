import { type KeyObject, generateKeyPairSync } from 'node:crypto';
import { type RequestListener, createServer } from 'node:http';
import { CompactSign } from 'jose';
import t, { type Test } from 'tap';
import { fetchJwks } from '../../src/auth/jwks-fetch.ts';
import { JwksKeys } from '../../src/auth/jwks.ts';
import { NO_TOKEN_CONFIG, type TokenConfig } from '../../src/auth/token-config.ts';
import { InvalidTokenError, NoTokenKeyError } from '../../src/auth/token-errors.ts';
import { TokenVerifier } from '../../src/auth/token-verifier.ts';
import { ConfigError, UnavailableError } from '../../src/util/errors.ts';

const NOW_MS = 1_700_000_000_000;

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const rsa2 = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');

const jwk = (key: KeyObject, extra: object) => ({ ...key.export({ format: 'jwk' }), ...extra });
const keySet = (...keys: object[]) => JSON.stringify({ keys });

async function sign(claims: object, key: KeyObject | Uint8Array, alg: string, kid?: string): Promise<string> {
  const header = kid === undefined ? { alg } : { alg, kid };
  return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader(header)
    .sign(key);
}

/** An issuer whose answer the test changes, and a verifier that knows only its address. */
async function setUp(t: Test, token: Partial<TokenConfig> = {}) {
  const issuer = { requests: 0, answer: ((_, res) => res.end(keySet())) as RequestListener };
  const server = createServer((req, res) => {
    issuer.requests += 1;
    issuer.answer(req, res);
  });
  const endpoint = await listen(t, server);
  const clock = { nowMs: NOW_MS, monotonicMs: () => clock.nowMs, wallMs: () => clock.nowMs };
  const seen: unknown[] = [];
  const observer = {
    jwksFetched: (facts: object) => seen.push(facts),
    jwksFailed: (facts: object) => seen.push(facts),
  };
  const connection = { ...NO_TOKEN_CONFIG, jwksPublicEndpoint: `${endpoint}/jwks`, ...token };
  const keys = new JwksKeys({ clock, observer }, connection);
  t.teardown(async () => keys.close());
  const config = { connection, subscription: undefined, insecureSkipTokenSignatureVerify: false };
  const verifier = new TokenVerifier({ clock, connectionKeys: keys }, config);
  const user = async (token: string) => (await verifier.verifyConnection(token)).user;
  return { issuer, clock, seen, keys, user, server };
}

async function listen(t: Test, server: ReturnType<typeof createServer>): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}

t.test('all kinds of keys, fetched once', async (t) => {
  const { issuer, user, seen } = await setUp(t);
  issuer.answer = (_, res) =>
    res.end(
      keySet(
        jwk(rsa.publicKey, { kid: 'r', use: 'sig' }),
        jwk(ec.publicKey, { kid: 'e', alg: 'ES256' }),
        jwk(ed.publicKey, { kid: 'd' }),
      ),
    );
  const users = await Promise.all([
    user(await sign({ sub: 'rsa' }, rsa.privateKey, 'RS256', 'r')),
    user(await sign({ sub: 'ec' }, ec.privateKey, 'ES256', 'e')),
    user(await sign({ sub: 'ed' }, ed.privateKey, 'EdDSA', 'd')),
    user(await sign({ sub: 'no kid' }, rsa.privateKey, 'RS512')),
  ]);
  t.same(users, ['rsa', 'ec', 'ed', 'no kid']);
  t.equal(issuer.requests, 1);
  t.same(seen, [{ keys: 3 }]);
  await t.rejects(user(await sign({}, rsa2.privateKey, 'RS256', 'r')), InvalidTokenError, 'wrong key');
  await t.rejects(
    user(await sign({}, rsa.privateKey, 'RS256', 'e')),
    InvalidTokenError,
    'key of another kind',
  );
});

t.test('a token without a key id is tried with every key that fits', async (t) => {
  const { issuer, user } = await setUp(t);
  issuer.answer = (_, res) =>
    res.end(keySet(jwk(rsa.publicKey, { kid: '1' }), jwk(rsa2.publicKey, { kid: '2' })));
  t.equal(await user(await sign({ sub: 'b' }, rsa2.privateKey, 'RS256')), 'b');
});

t.test('a public endpoint gives no shared secrets', async (t) => {
  const { issuer, user } = await setUp(t);
  const secret = new TextEncoder().encode('published by mistake');
  const k = Buffer.from(secret).toString('base64url');
  issuer.answer = (_, res) => res.end(keySet({ kty: 'oct', kid: 'o', k }, jwk(rsa.publicKey, { kid: 'r' })));
  await t.rejects(user(await sign({}, secret, 'HS256', 'o')), { code: 'HOLDFAST_TOKEN_NO_KEY' });
  const pem = new TextEncoder().encode(rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString());
  await t.rejects(user(await sign({}, pem, 'HS256', 'r')), NoTokenKeyError);
});

t.test('an HMAC secret stays usable beside the endpoint', async (t) => {
  const { issuer, user } = await setUp(t, { hmacSecretKey: 'secret' });
  t.equal(await user(await sign({ sub: 'h' }, new TextEncoder().encode('secret'), 'HS256')), 'h');
  t.equal(issuer.requests, 0);
});

t.test('rotation: an unknown key id fetches again, but not for everyone who invents one', async (t) => {
  const { issuer, clock, user } = await setUp(t);
  issuer.answer = (_, res) => res.end(keySet(jwk(rsa.publicKey, { kid: '1' })));
  const renewed = await sign({ sub: 'new' }, rsa2.privateKey, 'RS256', '2');
  t.equal(await user(await sign({ sub: 'old' }, rsa.privateKey, 'RS256', '1')), 'old');
  await t.rejects(user(renewed), InvalidTokenError, 'in the cooldown');
  t.equal(issuer.requests, 1);
  issuer.answer = (_, res) =>
    res.end(keySet(jwk(rsa.publicKey, { kid: '1' }), jwk(rsa2.publicKey, { kid: '2' })));
  clock.nowMs += 10_000;
  t.equal(await user(renewed), 'new');
  t.equal(issuer.requests, 2);
  const invented = await Promise.all(
    Array.from({ length: 20 }, async (_, n) => sign({}, rsa.privateKey, 'RS256', `invented ${n}`)),
  );
  for (const token of invented) await t.rejects(user(token), InvalidTokenError);
  t.equal(issuer.requests, 2);
  clock.nowMs += 10_000;
  await Promise.all(invented.map(async (token) => t.rejects(user(token), InvalidTokenError)));
  t.equal(issuer.requests, 3, 'one for all who wait');
});

t.test('a key that was withdrawn is trusted no longer than the set and its verdicts live', async (t) => {
  const { issuer, clock, user } = await setUp(t);
  issuer.answer = (_, res) => res.end(keySet(jwk(rsa.publicKey, { kid: '1' })));
  const token = await sign({ sub: 'old' }, rsa.privateKey, 'RS256', '1');
  t.equal(await user(token), 'old');
  issuer.answer = (_, res) => res.end(keySet(jwk(rsa2.publicKey, { kid: '2' })));
  clock.nowMs += 599_999;
  t.equal(await user(token), 'old');
  t.equal(issuer.requests, 1);
  clock.nowMs += 600_001;
  await t.rejects(user(token), InvalidTokenError);
});

t.test('an outage is survived with the last good set, and told', async (t) => {
  const { issuer, clock, user, seen, server } = await setUp(t);
  issuer.answer = (_, res) => res.end(keySet(jwk(rsa.publicKey, { kid: '1' })));
  await user(await sign({ sub: 'a' }, rsa.privateKey, 'RS256', '1'));
  const answers: readonly (readonly [what: RegExp, RequestListener])[] = [
    [/status 500/, (_, res) => res.writeHead(500).end('oops')],
    [/no JSON$/, (_, res) => res.end('<html>')],
    [/no JSON Web Key Set/, (_, res) => res.end('{"keys":"x"}')],
    [/no JSON Web Key Set/, (_, res) => res.end('{"keys":[1]}')],
    [/no keys/, (_, res) => res.end(keySet())],
    [/more than/, (_, res) => res.end(' '.repeat(600_000))],
    [/could not be reached/, (_, res) => res.writeHead(302, { location: '/elsewhere' }).end()],
    [/could not be reached/, (_, res) => res.destroy()],
    [
      /could not be reached/,
      (_, res) => res.writeHead(200, { 'content-length': '100' }).write('{', () => res.destroy()),
    ],
  ];
  for (const [what, answer] of answers) {
    issuer.answer = answer;
    clock.nowMs += 1_200_000;
    const token = await sign({ sub: 'b', n: clock.nowMs }, rsa.privateKey, 'RS256', '1');
    t.equal(await user(token), 'b');
    t.match(seen.at(-1), { reason: what });
  }
  t.match(seen.at(-1), { keysAgeMs: answers.length * 1_200_000 });
  server.close();
  server.closeAllConnections();
  clock.nowMs += 1_200_000;
  t.equal(await user(await sign({ sub: 'c' }, rsa.privateKey, 'RS256', '1')), 'c');
  t.match(seen.at(-1), { reason: /could not be reached/ });
});

t.test('an aged set is renewed without making anybody wait', async (t) => {
  const { issuer, clock, user } = await setUp(t);
  issuer.answer = (_, res) => res.end(keySet(jwk(rsa.publicKey, { kid: '1' })));
  await user(await sign({ sub: 'a' }, rsa.privateKey, 'RS256', '1'));
  const asked = new Promise<void>((resolve) => {
    // Never answered: a client that waited for it would wait for ever.
    issuer.answer = () => resolve();
  });
  clock.nowMs += 600_000;
  t.equal(await user(await sign({ sub: 'b' }, rsa.privateKey, 'RS256', '1')), 'b');
  await asked;
  t.equal(issuer.requests, 2);
});

t.test('never reached: a temporary error, and another attempt after a second', async (t) => {
  const { issuer, clock, user, seen } = await setUp(t);
  issuer.answer = (_, res) => res.writeHead(503).end();
  const token = await sign({ sub: 'a' }, rsa.privateKey, 'RS256', '1');
  await t.rejects(user(token), UnavailableError);
  await t.rejects(user(token), UnavailableError);
  t.equal(issuer.requests, 1);
  t.match(seen, [{ keysAgeMs: undefined }]);
  issuer.answer = (_, res) => res.end(keySet(jwk(rsa.publicKey, { kid: '1' })));
  clock.nowMs += 1000;
  t.equal(await user(token), 'a');
});

t.test('closed in the middle of a request', async (t) => {
  const { issuer, user, keys, seen } = await setUp(t);
  const asked = new Promise<void>((resolve) => {
    issuer.answer = () => resolve();
  });
  const warmUp = keys.warmUp();
  const waiting = user(await sign({}, rsa.privateKey, 'RS256', '1'));
  await asked;
  await Promise.all([keys.close(), keys.close(), warmUp, t.rejects(waiting, UnavailableError)]);
  await keys.warmUp();
  t.equal(issuer.requests, 1, 'nothing after the end');
  t.same(seen, [], 'and nobody is blamed');
});

t.test('an endpoint that does not answer is given up', async (t) => {
  const endpoint = await listen(t, createServer());
  await t.rejects(
    fetchJwks(new URL(endpoint), new AbortController().signal, 50),
    /did not answer within 50 ms/,
  );
});

t.test('endpoints that would let others sign', (t) => {
  const clock = { monotonicMs: () => 0, wallMs: () => 0 };
  const observer = { jwksFetched: () => undefined, jwksFailed: () => undefined };
  const create = (jwksPublicEndpoint: string, insecureSkipJwksEndpointSafetyCheck = false) =>
    new JwksKeys({ clock, observer }, { jwksPublicEndpoint, insecureSkipJwksEndpointSafetyCheck });
  for (const bad of [
    'http://id.example.com/jwks',
    'http://127.0.0.1.example.com',
    'file:///etc/keys',
    'nonsense',
  ]) {
    t.throws(() => create(bad), ConfigError, bad);
  }
  for (const good of [
    'https://id.example.com/jwks',
    'http://localhost:1/',
    'http://[::1]:1/',
    'http://127.1.2.3/',
  ]) {
    t.type(create(good), JwksKeys, good);
  }
  t.type(create('http://id.example.com/jwks', true), JwksKeys);
  t.end();
});
