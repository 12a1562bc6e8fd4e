import t from 'tap';
import { Core, type CoreClient, type CoreOptions, subscriptionToken } from '../../helpers/core-harness.ts';
import type { Scope } from '../../helpers/scope.ts';

const options: CoreOptions = {
  client: { allow_anonymous_connect_without_token: true, channel_limit: 4 },
  channel: {
    max_length: 20,
    without_namespace: { allow_subscribe_for_client: true },
    namespaces: [
      { name: 'all', allow_subscribe_for_client: true, allow_subscribe_for_anonymous: true },
      { name: 'none' },
      { name: 'users', allow_user_limited_channels: true, allow_subscribe_for_client: true },
      { name: 'odd', allow_subscribe_for_client: true, channel_regex: '^[a-z]+$' },
      {
        name: 'rich',
        allow_subscribe_for_client: true,
        history_size: 10,
        history_ttl: '300s',
        allow_recovery: true,
        allow_positioning: true,
        presence: true,
        join_leave: true,
        allow_presence_for_subscriber: true,
      },
      {
        name: 'shy',
        allow_subscribe_for_client: true,
        history_size: 10,
        history_ttl: '300s',
        presence: true,
        join_leave: true,
      },
    ],
  },
};

interface People {
  readonly core: Core;
  readonly ann: CoreClient;
  readonly nobody: CoreClient;
}

async function people(scope: Scope, over: CoreOptions = {}): Promise<People> {
  const core = await Core.start(scope, { ...options, ...over });
  return { core, ann: await core.user('ann'), nobody: await core.connected() };
}

t.test('who may subscribe to what', async (t) => {
  const { ann, nobody } = await people(t);
  const cases: [channel: string, ann: unknown, nobody: unknown][] = [
    ['news', 'ok', 103],
    ['all:news', 'ok', 'ok'],
    ['none:news', 103, 103],
    ['$news', 103, 103],
    ['$all:news', 103, 103],
    ['users:a#ann', 'ok', 103],
    ['users:a#bob,ann', 'ok', 103],
    ['users:a#bob', 103, 103],
    ['users:a#', 103, 103],
    ['users:a', 'ok', 103],
    ['#ann', 'ok', 103],
    ['nobody:news', 102, 102],
    ['odd:UPPER', 107, 107],
    ['x'.repeat(20), 'ok', 103],
    ['x'.repeat(21), 107, 107],
    ['naïve', 107, 107],
  ];
  for (const [channel, byAnn, byNobody] of cases) {
    t.equal(await ann.outcome('subscribe', { channel }), byAnn, `ann: ${channel}`);
    t.equal(await nobody.outcome('subscribe', { channel }), byNobody, `nobody: ${channel}`);
    for (const client of [ann, nobody]) await client.result('unsubscribe', { channel });
  }
});

t.test('insecure mode allows it all', async (t) => {
  const { nobody } = await people(t, { client: { insecure: true } });
  for (const channel of ['none:news', '$news', 'users:a#bob']) {
    t.equal(await nobody.outcome('subscribe', { channel }), 'ok', channel);
  }
});

t.test('what is refused whoever asks', async (t) => {
  const { core, ann } = await people(t);
  await ann.subscribe('news');
  t.equal(await ann.outcome('subscribe', { channel: 'news' }), 105);
  t.equal(await ann.outcome('subscribe', { channel: 'map', type: 1 }), 108);
  for (const channel of ['a', 'b', 'c']) await ann.subscribe(channel);
  t.equal(await ann.outcome('subscribe', { channel: 'd' }), 106);
  await ann.result('unsubscribe', { channel: 'a' });
  t.equal(await ann.outcome('subscribe', { channel: 'd' }), 'ok');
  t.equal(await (await core.user('bob')).outcome('subscribe', {}), 'bad_request');
  t.equal(await (await core.user('bob')).outcome('unsubscribe', {}), 'bad_request');
});

t.test('the channel limit holds for decisions that are made at the same time', async (t) => {
  const core = await Core.start(t, {
    ...options,
    client: { ...options.client, concurrency: 10, channel_limit: 2 },
  });
  const ann = await core.user('ann');
  const tokens = await Promise.all(['1', '2', '3', '4'].map((n) => subscriptionToken('ann', `$${n}`)));
  const outcomes = await Promise.all(
    tokens.map((token, n) => ann.outcome('subscribe', { channel: `$${n + 1}`, token })),
  );
  t.strictSame(outcomes.map(String).toSorted(), ['106', '106', 'ok', 'ok']);
  const twice = await Promise.all([0, 1].map(() => ann.outcome('unsubscribe', { channel: '$1' })));
  t.strictSame(twice, ['ok', 'ok']);
});

t.test('subscription tokens', async (t) => {
  const { core, ann, nobody } = await people(t);
  const sign = subscriptionToken;
  const past = core.clock.wallMs() - 5_000;
  t.equal(await ann.outcome('subscribe', { channel: '$a', token: await sign('ann', '$a') }), 'ok');
  t.equal(await nobody.outcome('subscribe', { channel: '$a', token: await sign('', '$a') }), 'ok');
  const token = await sign('ann', '$b', { expiresAtMs: past });
  t.equal(await ann.outcome('subscribe', { channel: '$b', token }), 109);
  t.equal(await ann.outcome('subscribe', { channel: '$b', token: 'garbage' }), 103);
  t.equal(
    await ann.outcome('subscribe', { channel: 'news', token: 'garbage' }),
    103,
    'a bad token is never ignored',
  );
  for (const [name, wrong] of [
    ['another channel', await sign('ann', '$b')],
    ['another user', await sign('bob', '$c')],
    ['nobody', await sign('', '$c')],
  ] as const) {
    const client = await core.user('ann');
    t.equal(await client.outcome('subscribe', { channel: '$c', token: wrong }), 'invalid_token', name);
  }
});

t.test('what a token brings along', async (t) => {
  const { core, ann } = await people(t);
  const token = await subscriptionToken('ann', '$rich:a', {
    info: '{"big":12345678901234567890}',
    data: '{"d":1}',
    expiresAtMs: core.clock.wallMs() + 100_000,
  });
  const result = await ann.subscribe('$rich:a', { token });
  t.match(result, { expires: true, ttl: /^(99|100)$/, data: { d: 1 } });
  const [info] = await core.presence.get('$rich:a');
  t.equal(info?.chanInfo?.toString(), '{"big":12345678901234567890}');
});

t.test('wishes are honoured where they are allowed', async (t) => {
  const { core, ann } = await people(t);
  const wishes = { positioned: true, recoverable: true, join_leave: true };
  t.match(await ann.subscribe('rich:a', wishes), { recoverable: true, positioned: true, epoch: /.+/ });
  t.strictSame(await ann.subscribe('shy:a', wishes), {});
  const bob = await core.user('bob');
  await bob.subscribe('rich:a');
  await bob.subscribe('shy:a');
  const join = await ann.push('the join of bob', ({ join: it }) => Object(it).info?.user === 'bob');
  t.equal(join['channel'], 'rich:a');
  await core.publish('shy:a', 'later than any join');
  await ann.receives('shy:a', 1);
  t.notOk(ann.transport.pushes.some((push) => push['channel'] === 'shy:a' && 'join' in push));
});

t.test('unsubscribing from what one is not subscribed to succeeds', async (t) => {
  const { ann } = await people(t);
  t.strictSame(await ann.command('unsubscribe', { channel: 'never' }), { id: 2, unsubscribe: {} });
  t.strictSame(await ann.command('unsubscribe', { channel: 'nobody:x' }), { id: 3, unsubscribe: {} });
});

t.test('the application may be asked', async (t) => {
  const base = { info: undefined, expireAtMs: 0, override: {} };
  const { ann } = await people(t, {
    application: {
      subscribe: () => (question) => {
        const { channel, data } = question;
        if (channel === 'all:no') {
          return Promise.resolve({ kind: 'error', error: { code: 403, message: 'no', temporary: true } });
        }
        if (channel === 'all:late') {
          return Promise.resolve({ kind: 'yes', answer: { ...base, data, expireAtMs: 1_000 } });
        }
        return Promise.resolve({ kind: 'yes', answer: { ...base, data } });
      },
    },
  });
  t.strictSame(await ann.subscribe('none:a', { data: { echo: 1 } }), { data: { echo: 1 } });
  t.match(await ann.command('subscribe', { channel: 'all:no' }), {
    error: { code: 403, message: 'no', temporary: true },
  });
  t.match(await ann.command('subscribe', { channel: 'all:late' }), {
    error: { code: 110, message: 'expired' },
  });
  t.equal(await ann.outcome('subscribe', { channel: 'users:a#ann' }), 'ok', 'not of user-limited channels');
});
