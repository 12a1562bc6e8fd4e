// Two hosts on one Redis behave as one: the compiled program twice, clients of each, the API of the other.
import t, { type Test } from 'tap';
import type { Gateway } from '../helpers/gateway.ts';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { ProtocolClient } from '../helpers/protocol-client.ts';
import { isJson } from '../helpers/server-frames.ts';
import { apiResult as result, clientsIn, twoHosts } from '../helpers/two-hosts.ts';
import { waitFor } from '../helpers/wait-for.ts';

/** The promise of docs/redis.md; these hosts are configured to keep it with a third to spare. */
const PRESENCE_BOUND_MS = 15_000;

const CHANNELS = {
  without_namespace: {
    presence: true,
    allow_subscribe_for_client: true,
    allow_publish_for_subscriber: true,
    allow_presence_for_subscriber: true,
    force_recovery: true,
    force_positioning: true,
    history_size: 100,
    history_ttl: '300s',
  },
};

t.test('two hosts', async (t) => {
  const { a, b } = await twoHosts(t, { channel: CHANNELS });
  await t.test('any host answers for all', (t) => answersForAll(t, a, b));
  await t.test('a client recovers, and is disconnected, through another host', (t) => recovers(t, a, b));
  await t.test('what a killed host owned is gone within its bound', (t) => isSwept(t, a, b));
});

async function answersForAll(t: Test, a: Gateway, b: Gateway): Promise<void> {
  const clients = await Promise.all(
    [a, a, a, b, b, b].map(({ wsUrl }) => new OfficialClient(t, wsUrl).connect()),
  );
  const subscriptions = await Promise.all(clients.map((client) => client.subscribe('room')));
  for (const [sender, { client }] of clients.entries()) await client.publish('room', { sender });
  await result(a, 'publish', { channel: 'room', data: { sender: 'api' } });
  const everybody = [...clients.map((_, sender) => ({ sender })), { sender: 'api' }];
  for (const subscription of subscriptions) {
    await waitFor('all publications', () => subscription.publications.length === everybody.length);
    t.same(subscription.publications, everybody);
  }
  t.equal(await clientsIn(a, 'room'), 6);
  t.equal(await clientsIn(b, 'room'), 6);
  const history = await result(b, 'history', { channel: 'room', limit: 100 });
  t.equal(Array.isArray(history['publications']) && history['publications'].length, 7);
  const info = await result(a, 'info', {});
  t.equal(Array.isArray(info['nodes']) && info['nodes'].length, 4, 'two hosts with two workers');
  const channels = await result(b, 'channels', {});
  t.match(channels, { channels: { room: { num_clients: 6 } } });
}

async function recovers(t: Test, a: Gateway, b: Gateway): Promise<void> {
  const client = await ProtocolClient.connected(t, a.wsUrl);
  const reply = await client.command('subscribe', { channel: 'news' });
  const { subscribe } = reply;
  const epoch = isJson(subscribe) ? subscribe['epoch'] : undefined;
  await result(b, 'publish', { channel: 'news', data: 1 });
  t.match(await client.publication('news'), { data: 1, offset: 1 });
  await client.close();
  await result(a, 'publish', { channel: 'news', data: 2 });
  await result(b, 'publish', { channel: 'news', data: 3 });
  const again = await ProtocolClient.connected(t, b.wsUrl);
  const recovered = await again.command('subscribe', { channel: 'news', recover: true, offset: 1, epoch });
  t.match(recovered, {
    subscribe: { recovered: true, publications: [{ data: 2 }, { data: 3 }] },
  });
  await result(a, 'disconnect', { user: '' });
  t.equal((await again.closeFrame()).code, 3503);
}

async function isSwept(t: Test, a: Gateway, b: Gateway): Promise<void> {
  await Promise.all(
    [a, a, b].map(async ({ wsUrl }) => {
      const client = await ProtocolClient.connected(t, wsUrl);
      await client.command('subscribe', { channel: 'lobby' });
    }),
  );
  await waitFor('all three', async () => (await clientsIn(b, 'lobby')) === 3);
  const killedMs = performance.now();
  process.kill(-a.child.pid, 'SIGKILL');
  await waitFor(
    'the clients of the dead host to go',
    async () => (await clientsIn(b, 'lobby')) === 1,
    PRESENCE_BOUND_MS,
  );
  t.equal(await clientsIn(b, 'lobby'), 1);
  t.comment(`gone after ${((performance.now() - killedMs) / 1000).toFixed(1)} s`);
  await waitFor('its workers to go', async () => {
    const { nodes } = await result(b, 'info', {});
    return Array.isArray(nodes) && nodes.length === 2;
  });
}
