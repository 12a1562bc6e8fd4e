import t from 'tap';
import type { Connection } from '../../../src/connection/connection.ts';
import { CloseCauses } from '../../../src/protocol/close-causes.ts';
import { connectionToken, Core, type CoreClient, subscriptionToken } from '../../helpers/core-harness.ts';
import { below, pick, type Roll, seeded } from '../../helpers/random.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const OPEN = { allow_subscribe_for_client: true, allow_subscribe_for_anonymous: true };
const TOLD = { presence: true, join_leave: true, force_push_join_leave: true };

const options = {
  client: {
    allow_anonymous_connect_without_token: true,
    concurrency: 4,
    user_connection_limit: 100,
    subscribe_to_user_personal_channel: { enabled: true },
  },
  channel: {
    without_namespace: {
      ...OPEN,
      ...TOLD,
      allow_publish_for_client: true,
      allow_publish_for_anonymous: true,
    },
    namespaces: [
      { name: 'stream', ...OPEN, ...TOLD, history_size: 10, history_ttl: '300s', force_recovery: true },
    ],
  },
};

const turn = (): Promise<void> => new Promise(setImmediate);

type Course = (client: CoreClient, roll: Roll, token: string, subToken: string) => void;

/** How far clients get before they are gone: each course queues its commands, and the end comes at any moment. */
const COURSES: readonly Course[] = [
  () => undefined,
  (client) => client.sendText('garbage'),
  (client) => client.send({ id: 1, connect: {} }),
  (client, _, token) => client.send({ id: 1, connect: { token } }),
  (client) => client.send({ id: 1, connect: { token: 'wrong' } }),
  (client, _, token) => client.send({ id: 1, connect: { token } }, { id: 2, connect: { token } }),
  (client, roll) =>
    client.send(
      { id: 1, connect: {} },
      ...Array.from({ length: 5 }, (_, n) => ({
        id: n + 2,
        subscribe: { channel: `${roll() < 0.5 ? 'stream:' : ''}${below(roll, 8)}` },
      })),
    ),
  (client, roll) => {
    const channel = `stream:${below(roll, 8)}`;
    client.send(
      { id: 1, connect: {} },
      { id: 2, subscribe: { channel, recover: true, offset: 1, epoch: 'x', flag: 3 } },
      { id: 3, subscribe: { channel } },
      { id: 4, unsubscribe: { channel } },
      { id: 5, subscribe: { channel } },
    );
  },
  (client, _, token, subToken) =>
    client.send(
      { id: 1, connect: { token } },
      { id: 2, subscribe: { channel: '$private', token: subToken } },
    ),
  (client, roll) => {
    const channel = String(below(roll, 8));
    client.send(
      { id: 1, connect: {} },
      { id: 2, subscribe: { channel } },
      { id: 3, publish: { channel, data: { n: 1 } } },
      { id: 4, presence: { channel } },
    );
  },
];

const ENDS: readonly ((client: CoreClient) => void)[] = [
  (client) => client.vanish(),
  (client) => client.vanish(),
  (client) => client.connection.close(CloseCauses.shutdown),
  (client) => client.connection.close(CloseCauses.slow),
  (client) => {
    client.connection.close(CloseCauses.forceDisconnect);
    client.vanish();
  },
];

t.test('thousands of abrupt ends in every phase leave nothing behind', async (t) => {
  const core = await Core.start(t, options);
  const token = await connectionToken('ann', { channels: ['stream:1', 'server:side'] });
  const good = await connectionToken('bob', { channels: ['stream:1', '2'] });
  const subToken = await subscriptionToken('bob', '$private');
  const roll = seeded(11);
  const all: Connection[] = [];
  const living: CoreClient[] = [];
  for (let n = 0; n < 2_500; n += 1) {
    const client = core.client();
    all.push(client.connection);
    living.push(client);
    pick(roll, COURSES)(client, roll, roll() < 0.2 ? token : good, subToken);
    if (roll() < 0.3) client.transport.slow = true;
    if (roll() < 0.05) void core.publish(`stream:${below(roll, 8)}`, n);
    if (roll() < 0.05) core.pass(100);
    for (let turns = below(roll, 4); turns > 0; turns -= 1) await turn();
    while (living.length > below(roll, 60)) {
      const [ended] = living.splice(below(roll, living.length), 1);
      if (ended !== undefined) pick(roll, ENDS)(ended);
    }
  }
  t.ok(core.hot.delivered > 1_000, `${core.hot.delivered} deliveries meanwhile`);
  t.ok(core.hub.subscriptionCount > 0);
  for (const client of living) client.vanish();
  t.equal(core.open.size, 0);
  t.ok(
    all.every(({ wheelSlot }) => wheelSlot === -1),
    'no deadline is left',
  );
  t.ok(all.every(({ subscriptions }) => subscriptions.size === 0));
  await waitFor('all that was under way to be taken back', () => core.hub.channelCount === 0);
  t.strictSame(core.registered, {
    open: 0,
    connections: 0,
    users: 0,
    channels: 0,
    subscriptions: 0,
    queuedBytes: 0,
  });
  const { engine, engineClient } = core;
  await waitFor('presence to be empty', () => engine.server.stats.presenceEntries === 0);
  t.equal(engineClient.stats.presenceEntries, 0);
  t.strictSame(core.cleanUpFailures, []);
  t.equal(core.logs.filter((line) => line.includes('"level":"error"')).length, 0);
  core.clock.advance(10_000);
  await waitFor('the engine to be told that nobody wants anything', () => engineClient.stats.channels === 0);
  t.equal(engineClient.stats.pendingRequests, 0);
  await waitFor('the engine to know', () => engine.server.stats.channels === 0);
});

t.test('who is over a limit leaves nothing either', async (t) => {
  const core = await Core.start(t, {
    ...options,
    client: { ...options.client, user_connection_limit: 1, channel_limit: 3 },
  });
  const token = await connectionToken('ann', { channels: ['stream:1', '2'] });
  const first = await core.connected({ token });
  const second = core.client();
  second.send({ id: 1, connect: { token } });
  t.equal(await second.closed(), 'connection_limit');
  const many = core.client();
  many.send({ id: 1, connect: { token: await connectionToken('bob', { channels: ['1', '2', '3', '4'] }) } });
  t.equal(await many.closed(), 'channel_limit');
  const unknown = core.client();
  t.match(
    await unknown.command('connect', {
      token: await connectionToken('eve', { channels: ['stream:9', 'nobody:1'] }),
    }),
    { error: { code: 102 } },
  );
  first.vanish();
  unknown.vanish();
  await waitFor('all channels to be given up', () => core.hub.channelCount === 0);
  t.equal(core.hub.subscriptionCount, 0);
  await waitFor('presence to be empty', () => core.engine.server.stats.presenceEntries === 0);
});
