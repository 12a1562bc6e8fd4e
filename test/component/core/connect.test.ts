import t from 'tap';
import { connectionToken, Core, type CoreOptions } from '../../helpers/core-harness.ts';
import { FakeNativeTransport } from '../../helpers/fake-transport.ts';

const OPEN = { allow_subscribe_for_client: true };
const channel = {
  without_namespace: OPEN,
  namespaces: [
    { name: 'stream', ...OPEN, history_size: 10, history_ttl: '300s', force_recovery: true },
    { name: 'pres', presence: true },
  ],
};

const inSeconds = (core: Core, seconds: number): number => core.clock.wallMs() + seconds * 1000;

t.test('a token names the user', async (t) => {
  const core = await Core.start(t, { channel });
  const client = core.client();
  const token = await connectionToken('ann', { info: '{"n":12345678901234567890}', meta: '{"m":1}' });
  const reply = await client.command('connect', { token, name: 'js', version: '1.2' });
  const { session } = client.connection;
  t.strictSame(reply, {
    id: 1,
    connect: { client: session.client, version: 'holdfast test', ping: 25, pong: true },
  });
  t.match(session, { user: 'ann', name: 'js', version: '1.2' });
  t.equal(session.connInfo?.toString(), '{"n":12345678901234567890}');
  t.equal(session.meta?.toString(), '{"m":1}');
  t.strictSame([...core.hub.connectionsOf('ann')], [client.connection]);
});

t.test('tokens that do not open', async (t) => {
  const core = await Core.start(t, { channel, client: { disallow_anonymous_connection_tokens: true } });
  const good = await connectionToken('ann');
  const closes: [name: string, token: string, cause: string][] = [
    ['garbage', 'garbage', 'invalid_token'],
    ['a wrong signature', `${good.slice(0, -4)}AAAA`, 'invalid_token'],
    ['no token at all', '', 'bad_request'],
    ['nobody in it', await connectionToken(''), 'permission_denied'],
  ];
  for (const [name, token, cause] of closes) {
    const client = core.client();
    client.send({ id: 1, connect: { token } });
    t.equal(await client.closed(), cause, name);
    t.strictSame(client.transport.messages, [], name);
  }
  const expired = core.client();
  const token = await connectionToken('ann', { expiresAtMs: inSeconds(core, -10) });
  t.strictSame(await expired.command('connect', { token }), {
    id: 1,
    error: { code: 109, message: 'token expired' },
  });
  t.equal(expired.transport.closedWith, undefined, 'it is a reply, so that the SDK fetches a new token');
  expired.send({ id: 2, connect: { token: good } });
  t.equal(await expired.closed(), 'bad_request');
  t.equal(core.hub.connectionCount, 0);
});

t.test('secrets stay out of the log', async (t) => {
  const core = await Core.start(t, { channel });
  const [head, body] = (await connectionToken('ann')).split('.');
  const client = core.client();
  client.send({ id: 1, connect: { token: `${head}.${body}.wrong` } });
  await client.closed();
  const log = core.logs.join('');
  t.match(log, 'connection token refused');
  t.notMatch(log, body ?? 'missing');
});

t.test('who needs no token', async (t) => {
  const anonymous = { allow_anonymous_connect_without_token: true };
  const cases: [
    name: string,
    client: NonNullable<CoreOptions['client']>,
    headers: Record<string, string>,
    user: string,
  ][] = [
    ['anonymous, where allowed', anonymous, {}, ''],
    ['insecure', { insecure: true }, {}, ''],
    ['a header of the proxy before us', { user_id_http_header: 'X-User' }, { 'x-user': 'ann' }, 'ann'],
    ['an empty header is none', { user_id_http_header: 'X-User', ...anonymous }, { 'x-user': '' }, ''],
  ];
  for (const [name, client, headers, user] of cases) {
    const core = await Core.start(t, { channel, client });
    const connected = await core.connected({}, { session: { headers } });
    t.equal(connected.connection.session.user, user, name);
  }
  const strict = await Core.start(t, { channel, client: { user_id_http_header: 'X-User' } });
  for (const headers of [{}, { 'x-user': '' }, { 'x-other': 'ann' }] as Record<string, string>[]) {
    const client = strict.client({ session: { headers } });
    client.send({ id: 1, connect: {} });
    t.equal(await client.closed(), 'bad_request', JSON.stringify(headers));
  }
});

t.test('what the connect reply says of pings, time and expiry', async (t) => {
  const core = await Core.start(t, {
    channel,
    client: { connect_include_server_time: true, ping_interval: '7s', pong_timeout: '3s' },
  });
  const token = await connectionToken('ann', { expiresAtMs: inSeconds(core, 90) });
  const plain = core.client();
  const { connect } = await plain.command('connect', { token });
  t.match(connect, { ping: 7, pong: true, expires: true, ttl: /^(89|90)$/, time: core.clock.wallMs() });
  const native = core.client({ transport: new FakeNativeTransport() });
  const { connect: own } = await native.command('connect', { token });
  t.notOk('ping' in Object(own) || 'pong' in Object(own), 'who pings otherwise is not told to wait for ours');
});

t.test('a user may have so many connections', async (t) => {
  const core = await Core.start(t, { channel, client: { user_connection_limit: 2 } });
  const [first] = [await core.user('ann'), await core.user('ann')];
  await core.user('bob');
  const third = core.client();
  third.send({ id: 1, connect: { token: await connectionToken('ann') } });
  t.equal(await third.closed(), 'connection_limit');
  first.vanish();
  await core.user('ann');
  t.equal(core.hub.connectionsOf('ann').size, 2);
});

t.test('server-side subscriptions come with the connect reply', async (t) => {
  const core = await Core.start(t, { channel });
  for (const n of [1, 2, 3]) await core.publish('stream:a', n);
  const client = core.client();
  const token = await connectionToken('ann', { channels: ['stream:a', 'plain'] });
  const { connect } = await client.command('connect', {
    token,
    subs: { 'stream:a': { recover: true, offset: 2 }, other: { recover: true } },
  });
  t.strictSame(Object.keys(Object(connect).subs).toSorted(), ['plain', 'stream:a']);
  t.match(Object(connect).subs, {
    'stream:a': {
      recoverable: true,
      positioned: true,
      recovered: true,
      was_recovering: true,
      offset: 2,
      publications: [{ data: 3, offset: 3 }],
    },
  });
  t.strictSame(Object(connect).subs.plain, {});
  await core.publish('stream:a', 4);
  t.strictSame(await client.receives('stream:a', 1), [4]);
  t.match(await client.command('subscribe', { channel: 'plain' }), { error: { code: 105 } });
  await client.result('unsubscribe', { channel: 'plain' });
  t.equal(client.connection.subscriptions.size, 1, 'a client may leave a server-side subscription');
});

t.test('server-side subscriptions that cannot be made', async (t) => {
  const core = await Core.start(t, { channel, client: { channel_limit: 2 } });
  const unknown = core.client();
  const token = await connectionToken('ann', { channels: ['nobody:x', 'plain'] });
  t.match(await unknown.command('connect', { token }), { error: { code: 102, message: 'unknown channel' } });
  const many = core.client();
  many.send({ id: 1, connect: { token: await connectionToken('ann', { channels: ['a', 'b', 'c'] }) } });
  t.equal(await many.closed(), 'channel_limit');
  unknown.vanish();
  t.equal(core.hub.subscriptionCount, 0);
});

t.test('a channel for each user', async (t) => {
  const personal = { enabled: true, personal_channel_namespace: 'pres' };
  const core = await Core.start(t, {
    channel,
    client: { subscribe_to_user_personal_channel: personal, allow_anonymous_connect_without_token: true },
  });
  const ann = await core.user('ann');
  t.strictSame([...ann.connection.subscriptions.keys()], ['pres:#ann']);
  t.match(await core.presence.get('pres:#ann'), [{ user: 'ann' }]);
  const nobody = await core.connected();
  t.equal(nobody.connection.subscriptions.size, 0);
});

t.test('the application decides where there is no token', async (t) => {
  const asked: unknown[] = [];
  const core = await Core.start(t, {
    channel,
    application: {
      connect: (question) => {
        asked.push(question.data?.toString());
        const { name } = question;
        if (name === 'error') {
          return Promise.resolve({ kind: 'error', error: { code: 1000, message: 'no', temporary: false } });
        }
        return Promise.resolve({
          kind: 'yes',
          answer: {
            user: 'ann',
            info: Buffer.from('{"i":1}'),
            meta: undefined,
            data: Buffer.from('{"welcome":true}'),
            expireAtMs: 0,
            subs: new Map([
              [
                'news',
                {
                  info: undefined,
                  data: Buffer.from('[1]'),
                  expireAtMs: core.clock.wallMs() + 5_000,
                  override: { presence: true },
                },
              ],
            ]),
          },
        });
      },
    },
  });
  const client = core.client();
  const { connect } = await client.command('connect', { data: { a: 1 } });
  t.match(connect, { data: { welcome: true }, subs: { news: { data: [1] } } });
  t.strictSame(asked, ['{"a":1}']);
  t.match(await core.presence.get('news'), [{ user: 'ann', connInfo: Buffer.from('{"i":1}') }]);
  core.pass(5_200);
  t.equal(await client.closed(), 'subscription_expired', 'what the application limits in time ends in time');
  const refused = core.client();
  t.match(await refused.command('connect', { name: 'error' }), { error: { code: 1000, message: 'no' } });
});
