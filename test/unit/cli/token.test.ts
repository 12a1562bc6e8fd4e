import t from 'tap';
import { cliRun } from '../../helpers/cli-run.ts';

const SECRET = 'a-secret-of-the-tests-that-is-long';
const environment = { HOLDFAST_CLIENT_TOKEN_HMAC_SECRET_KEY: SECRET };
const nowMs = 1_700_000_000_500;
const at = (wallMs: number) => ({ clock: { wallMs: () => wallMs, monotonicMs: () => 0 } });

const claimsOf = (token: string): unknown =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

t.test('a connection token carries what was asked for, and passes the check', async (t) => {
  const { code, out } = await cliRun(
    ['token', '--user', '42', '--expires', '30m', '--channel', 'a', '--channel', 'b', '--info', '{"n":1}'],
    { environment, ...at(nowMs) },
  );
  t.equal(code, 0);
  t.same(claimsOf(out.trim()), {
    sub: '42',
    iat: 1_700_000_000,
    exp: 1_700_001_800,
    channels: ['a', 'b'],
    info: { n: 1 },
  });
  const check = await cliRun(['check-token', out.trim()], { environment, ...at(nowMs) });
  t.equal(check.code, 0);
  t.match(check.out, 'connection token: accepted\n');
  t.match(check.out, '  sub: "42"\n');
  t.match(check.out, '  exp: 1700001800 (2023-11-14T22:43:20.000Z)\n');
  const late = await cliRun(['check-token', out.trim()], { environment, ...at(nowMs + 1_800_000) });
  t.match(late, { code: 1, err: 'holdfast: token is expired\n' });
  t.match(late.out, 'connection token: refused\n');
});

t.test('without a word about its end a token lives an hour, and `never` has none', async (t) => {
  const hour = await cliRun(['token', '--user', '1', '--json'], { environment, ...at(nowMs) });
  t.match(JSON.parse(hour.out), { user: '1', expires_at: '2023-11-14T23:13:20.000Z' });
  const never = await cliRun(['token', '--user', '1', '--expires', 'never', '--json'], {
    environment,
    ...at(nowMs),
  });
  const { token, expires_at: expiresAt } = JSON.parse(never.out);
  t.equal(expiresAt, null);
  t.same(claimsOf(token), { sub: '1', iat: 1_700_000_000 });
});

t.test('a subscription token is recognised by its channel', async (t) => {
  const { out } = await cliRun(['sub-token', '--user', '42', '--channel', 'chat:a'], { environment });
  const check = await cliRun(['check-token', '-', '--json'], {
    environment,
    readText: () => Promise.resolve(out),
  });
  t.equal(check.code, 0);
  t.match(JSON.parse(check.out), {
    valid: true,
    type: 'subscription',
    claims: { channel: 'chat:a', sub: '42' },
  });
  const otherKey = await cliRun(['check-token', out.trim()], {
    environment: {
      ...environment,
      HOLDFAST_CLIENT_SUBSCRIPTION_TOKEN_ENABLED: 'true',
      HOLDFAST_CLIENT_SUBSCRIPTION_TOKEN_HMAC_SECRET_KEY: 'another',
    },
  });
  t.match(otherKey, { code: 1, err: 'holdfast: token signature does not match\n' });
});

t.test('subscription tokens are signed with their own secret where there is one', async (t) => {
  const separate = {
    ...environment,
    HOLDFAST_CLIENT_SUBSCRIPTION_TOKEN_ENABLED: 'true',
    HOLDFAST_CLIENT_SUBSCRIPTION_TOKEN_HMAC_SECRET_KEY: 'another',
  };
  const { out } = await cliRun(['sub-token', '--user', '1', '--channel', 'a'], { environment: separate });
  t.match(await cliRun(['check-token', out.trim()], { environment: separate }), { code: 0 });
  const missing = await cliRun(['sub-token', '--user', '1', '--channel', 'a'], {
    environment: { HOLDFAST_CLIENT_SUBSCRIPTION_TOKEN_ENABLED: 'true' },
  });
  t.match(missing, { code: 78, err: /client\.subscription_token\.hmac_secret_key is not set/ });
});

t.test('audience and issuer are put in when the verifier asks for them', async (t) => {
  const strict = {
    ...environment,
    HOLDFAST_CLIENT_TOKEN_AUDIENCE: 'app',
    HOLDFAST_CLIENT_TOKEN_ISSUER: 'backend',
  };
  const { out } = await cliRun(['token', '--user', '1'], { environment: strict });
  t.match(claimsOf(out.trim()), { aud: 'app', iss: 'backend' });
  t.match(await cliRun(['check-token', out.trim()], { environment: strict }), { code: 0 });
});

t.test('without a secret nothing is signed, and the message says what to do', async (t) => {
  t.match(await cliRun(['token', '--user', '1']), {
    code: 78,
    out: '',
    err: /client\.token\.hmac_secret_key is not set: give --config FILE/,
  });
  t.match(await cliRun(['token', '--user', '1', '--secret', 'x']), { code: 0 });
});

t.test('garbage is refused without a word of it in the message', async (t) => {
  for (const garbage of ['garbage', 'a.b.c', '..', 'eyJhbGciOiJub25lIn0.e30.']) {
    const run = await cliRun(['check-token', garbage], { environment });
    t.equal(run.code, 1, garbage);
    t.notMatch(run.err, garbage);
  }
});

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

t.test('keys that cannot be fetched are told apart from a token that is wrong', async (t) => {
  const run = await cliRun(['check-token', `${part({ alg: 'RS256' })}.${part({ sub: '1' })}.AA`], {
    environment: { HOLDFAST_CLIENT_TOKEN_JWKS_PUBLIC_ENDPOINT: 'http://127.0.0.1:9/keys' },
  });
  t.equal(run.code, 69);
  t.match(run.err, 'JWKS endpoint');
});
