import t from 'tap';
import { connectionToken, Core, type CoreOptions, subscriptionToken } from '../../helpers/core-harness.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const MINUTE_MS = 60_000;
const GRACE_MS = 25_000;

const options: CoreOptions = {
  // Nobody answers pings while hours pass in a moment.
  client: { ping_interval: '3600s', pong_timeout: '60s' },
  channel: {
    without_namespace: { allow_subscribe_for_client: true },
    namespaces: [{ name: 'asked', allow_subscribe_for_client: true }],
  },
};

const after = (core: Core, ms: number): { expiresAtMs: number } => ({
  expiresAtMs: core.clock.wallMs() + ms,
});

t.test('a connection ends when its time and the time of grace are over', async (t) => {
  const core = await Core.start(t, options);
  const ann = await core.user('ann', after(core, MINUTE_MS));
  // Tokens tell time in whole seconds.
  core.pass(MINUTE_MS + GRACE_MS - 2_000);
  t.equal(ann.transport.closedWith, undefined);
  core.pass(2_200);
  t.equal(ann.transport.closedWith?.name, 'expired');
});

t.test('a refresh prolongs it', async (t) => {
  const core = await Core.start(t, options);
  const ann = await core.user('ann', { ...after(core, MINUTE_MS), channels: ['a', 'b'] });
  core.pass(MINUTE_MS);
  const token = await connectionToken('ann', {
    ...after(core, 2 * MINUTE_MS),
    channels: ['b', 'a'],
    info: '[2]',
  });
  const result = await ann.result('refresh', { token });
  const { client } = ann.connection.session;
  t.match(result, { client, version: 'holdfast test', expires: true, ttl: /^(119|120)$/ });
  t.equal(ann.connection.session.connInfo?.toString(), '[2]');
  core.pass(MINUTE_MS + GRACE_MS);
  t.notOk(ann.connection.isClosed);
  const forEver = await connectionToken('ann', { channels: ['a', 'b'] });
  t.strictSame(await ann.result('refresh', { token: forEver }), { client, version: 'holdfast test' });
  core.pass(5 * MINUTE_MS);
  t.notOk(ann.connection.isClosed);
});

t.test('refresh: how it fails (§14.3)', async (t) => {
  const core = await Core.start(t, options);
  const valid = after(core, MINUTE_MS);
  const cases: [name: string, token: string, outcome: unknown][] = [
    ['expired', await connectionToken('ann', after(core, -5_000)), 'expired'],
    ['wrong signature', `${await connectionToken('ann', valid)}x`, 'invalid_token'],
    ['garbage', 'garbage', 'invalid_token'],
    ['another user', await connectionToken('bob', valid), 'invalid_token'],
    ['no token', '', 'bad_request'],
    ['other channels', await connectionToken('ann', { ...valid, channels: ['a'] }), 'insufficient_state'],
    ['good', await connectionToken('ann', valid), 'ok'],
  ];
  for (const [name, token, outcome] of cases) {
    const ann = await core.user('ann', valid);
    t.equal(await ann.outcome('refresh', { token }), outcome, name);
  }
  const forEver = await core.user('ann');
  t.equal(await forEver.outcome('refresh', { token: 'x' }), 'bad_request', 'who has nothing to refresh');
});

t.test('a clock that is set back costs nobody the connection', async (t) => {
  const core = await Core.start(t, options);
  const ann = await core.user('ann', after(core, MINUTE_MS));
  core.clock.setWall(core.clock.wallMs() - 10 * MINUTE_MS);
  core.pass(2 * MINUTE_MS);
  t.notOk(ann.connection.isClosed);
  core.pass(7 * MINUTE_MS);
  t.notOk(ann.connection.isClosed);
  core.pass(2 * MINUTE_MS + GRACE_MS);
  t.equal(await ann.closed(), 'expired');
});

t.test('a subscription ends when its time and the time of grace are over', async (t) => {
  const core = await Core.start(t, options);
  const ann = await core.user('ann');
  const token = await subscriptionToken('ann', '$a', after(core, MINUTE_MS));
  await ann.subscribe('$a', { token });
  await ann.subscribe('$b', { token: await subscriptionToken('ann', '$b', after(core, 2 * MINUTE_MS)) });
  await ann.subscribe('stays');
  core.pass(MINUTE_MS + GRACE_MS - 2_000);
  t.equal(ann.connection.subscriptions.size, 3);
  core.pass(2_200);
  t.strictSame(await ann.unsubscribed('$a'), { code: 2501, reason: 'subscription expired' });
  core.pass(MINUTE_MS);
  t.strictSame(await ann.unsubscribed('$b'), { code: 2501, reason: 'subscription expired' });
  t.strictSame([...ann.connection.subscriptions.keys()], ['stays']);
  t.strictSame(core.left, [
    { channel: '$a', code: 2501 },
    { channel: '$b', code: 2501 },
  ]);
});

t.test('a sub_refresh prolongs it', async (t) => {
  const core = await Core.start(t, options);
  const ann = await core.user('ann');
  await ann.subscribe('$a', { token: await subscriptionToken('ann', '$a', after(core, MINUTE_MS)) });
  core.pass(MINUTE_MS);
  const token = await subscriptionToken('ann', '$a', after(core, 2 * MINUTE_MS));
  t.match(await ann.result('sub_refresh', { channel: '$a', token }), { expires: true, ttl: /^(119|120)$/ });
  core.pass(MINUTE_MS + GRACE_MS);
  t.equal(ann.connection.subscriptions.size, 1);
  core.pass(MINUTE_MS + 200);
  await ann.unsubscribed('$a');
  t.equal(ann.connection.subscriptions.size, 0);
});

t.test('what others see of a subscriber is renewed, too', async (t) => {
  const core = await Core.start(t, {
    client: { ping_interval: '3600s', pong_timeout: '60s' },
    channel: {
      without_namespace: { allow_subscribe_for_client: true, allow_publish_for_client: true, presence: true },
    },
  });
  const valid = after(core, MINUTE_MS);
  const ann = await core.user('ann', { ...valid, info: '1' });
  await ann.subscribe('$a', { token: await subscriptionToken('ann', '$a', { ...valid, info: '"old"' }) });
  const seen = async (): Promise<unknown> =>
    (await core.presence.get('$a')).map(({ connInfo, chanInfo }) =>
      [connInfo, chanInfo].map(String).join(' '),
    );
  t.same(await seen(), ['1 "old"']);
  await ann.result('refresh', { token: await connectionToken('ann', { ...valid, info: '2' }) });
  t.same(await seen(), ['2 "old"']);
  const token = await subscriptionToken('ann', '$a', { ...valid, info: '"new"' });
  await ann.result('sub_refresh', { channel: '$a', token });
  t.same(await seen(), ['2 "new"']);
  await ann.result('publish', { channel: '$a', data: 5 });
  await ann.receives('$a', 1);
  t.match(ann.publications('$a'), [{ info: { conn_info: 2, chan_info: 'new' } }]);
});

t.test('sub_refresh: how it fails (§14.3)', async (t) => {
  const core = await Core.start(t, options);
  const valid = after(core, MINUTE_MS);
  const first = await subscriptionToken('ann', '$a', valid);
  const cases: [name: string, channel: string, token: string, outcome: unknown][] = [
    ['expired', '$a', await subscriptionToken('ann', '$a', after(core, -5_000)), 'subscription_expired'],
    ['wrong signature', '$a', `${first}x`, 'invalid_token'],
    ['another user', '$a', await subscriptionToken('bob', '$a', valid), 'invalid_token'],
    ['another channel', '$a', await subscriptionToken('ann', '$b', valid), 'invalid_token'],
    ['no token', '$a', '', 107],
    ['not subscribed', '$b', first, 103],
    ['no channel', '', first, 'bad_request'],
    ['good', '$a', first, 'ok'],
  ];
  for (const [name, channel, token, outcome] of cases) {
    const ann = await core.user('ann');
    await ann.subscribe('$a', { token: first });
    t.equal(await ann.outcome('sub_refresh', { channel, token }), outcome, name);
  }
  const ann = await core.user('ann');
  await ann.subscribe('$a', { token: first });
  t.equal(await ann.outcome('sub_refresh', { channel: '$a', token: first, type: 1 }), 108, 'tracking keys');
});

t.test('the application prolongs connections, or ends them', async (t) => {
  const answers: (number | 'expired' | Error)[] = [];
  const core = await Core.start(t, {
    ...options,
    application: {
      refresh: () => {
        const answer = answers.shift() ?? 'expired';
        if (answer instanceof Error) return Promise.reject(answer);
        const expired = answer === 'expired';
        const expireAtMs = expired ? 0 : core.clock.wallMs() + answer;
        return Promise.resolve({
          kind: 'yes',
          answer: { expired, expireAtMs, info: undefined, meta: undefined },
        });
      },
    },
  });
  answers.push(MINUTE_MS, new Error('unreachable'), MINUTE_MS);
  const token = await connectionToken('ann', after(core, MINUTE_MS));
  const ann = core.client();
  const { connect } = await ann.command('connect', { token });
  t.notOk('ttl' in Object(connect), 'clients are not asked to refresh');
  for (const left of [2, 1, 0]) {
    core.pass(MINUTE_MS + 200);
    t.equal(answers.length, left);
    await waitFor('the answer', () => ann.connection.session.expireAtWallMs > core.clock.wallMs());
    t.notOk(ann.connection.isClosed);
  }
  core.pass(MINUTE_MS + 200);
  t.equal(await ann.closed(), 'expired');
  const bob = await core.user('bob', after(core, MINUTE_MS));
  t.equal(await bob.outcome('refresh', { token }), 'bad_request');
});

t.test('the application prolongs subscriptions, or ends them', async (t) => {
  let expired = false;
  const core = await Core.start(t, {
    ...options,
    application: {
      subscribe: () => () =>
        Promise.resolve({
          kind: 'yes',
          answer: {
            info: undefined,
            data: undefined,
            override: {},
            expireAtMs: core.clock.wallMs() + MINUTE_MS,
          },
        }),
      subRefresh: () => () =>
        Promise.resolve({
          kind: 'yes',
          answer: { expired, expireAtMs: core.clock.wallMs() + MINUTE_MS, info: undefined },
        }),
    },
  });
  const ann = await core.user('ann');
  t.strictSame(await ann.subscribe('a'), {});
  const [subscription] = ann.connection.subscriptions.values();
  for (let n = 0; n < 3; n += 1) {
    const before = subscription?.state.expireAtWallMs ?? 0;
    core.pass(MINUTE_MS + 200);
    await waitFor('the answer', () => (subscription?.state.expireAtWallMs ?? 0) > before);
  }
  expired = true;
  core.pass(MINUTE_MS + 200);
  t.strictSame(await ann.unsubscribed('a'), { code: 2501, reason: 'subscription expired' });
});
