// What waits for a Redis that is away is bounded, and what it has forgotten is rebuilt: complete, and not by everybody at once.
import t from 'tap';
import { startRedisEngine } from '../contract/redis-engine.ts';
import { waitFor } from '../helpers/wait-for.ts';

const KEPT = { historySize: 10, historyTtlMs: 60_000, historyMetaTtlMs: 600_000 };
const MAX_QUEUED_BYTES = 64 * 1024;
const PAYLOAD_BYTES = 1024;
const PRESENCE_TTL_MS = 20_000;

t.test('joins and publishes at a frozen Redis are refused, and hold no more than they may', async (t) => {
  const engine = await startRedisEngine(t);
  const [redis] = engine.servers;
  const client = await engine.client({ maxQueuedBytes: MAX_QUEUED_BYTES });
  await client.broker.subscribe('before');
  redis?.child.signal('SIGSTOP');
  const data = Buffer.alloc(PAYLOAD_BYTES);
  const asked: Promise<unknown>[] = [];
  for (let number = 0; number < 1000; number += 1) {
    asked.push((async () => client.broker.publish('before', { data }, KEPT))());
    asked.push(client.broker.subscribe(`channel${number}`));
    asked.push(client.presence.add('before', { user: 'u', client: `client${number}` }));
  }
  const heldBytes = client.engineClient.stats.queuedBytes;
  const results = await Promise.allSettled(asked);
  t.ok(heldBytes > 0 && heldBytes <= MAX_QUEUED_BYTES + 2 * PAYLOAD_BYTES, `${heldBytes} bytes were held`);
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 0, 'nobody was left waiting');
  const reasons = new Set(results.map((each) => (each.status === 'rejected' ? String(each.reason) : '')));
  t.comment([...reasons].join('\n'));
  t.equal(client.engineClient.stats.channels, 1, 'no refused join is left');
  t.equal(client.engineClient.stats.presenceEntries, 0);
  redis?.child.signal('SIGCONT');
  await waitFor('everything to be answered', () => client.engineClient.stats.pendingCalls === 0);
  await waitFor('subscribing to work', () =>
    client.broker.subscribe('channel1').then(
      () => true,
      () => false,
    ),
  );
  await client.broker.publish('channel1', { data: Buffer.from('x') }, KEPT);
  await client.events.untilText('channel1', 'x');
  await waitFor('no presence of those who were refused', async () => {
    return (await client.presence.stats('before')).clients === 0;
  });
});

t.test(
  'after a restart subscriptions, presence and leases come back, one worker after the other',
  async (t) => {
    // Between the two lies a tenth of it.
    const engine = await startRedisEngine(t, { presenceTtlMs: PRESENCE_TTL_MS });
    const early = await engine.client({ random: () => 0 });
    const late = await engine.client({ random: () => 0.999 });
    const channels = Array.from({ length: 2000 }, (_, number) => `channel${number}`);
    await Promise.all(
      [early, late].flatMap(({ broker, presence, nodes }) =>
        channels.map(async (channel) => {
          await broker.subscribe(channel);
          await presence.add(channel, { user: nodes.node, client: nodes.node });
        }),
      ),
    );
    await engine.stop();
    await waitFor('both to notice', () => !early.engineClient.stats.up && !late.engineClient.stats.up);
    await engine.start();
    const last = channels.at(-1) ?? '';
    const present = async (): Promise<string[]> => {
      try {
        return (await early.presence.get(last)).map(({ client }) => client);
      } catch {
        return [];
      }
    };
    await waitFor('presence of the first one', async () => (await present()).includes(early.nodes.node));
    t.notOk((await present()).includes(late.nodes.node), 'the other one is not there yet');
    await waitFor('presence of the other one', async () => (await present()).includes(late.nodes.node));
    const info = await engine.servers[0]?.admin.info('commandstats');
    t.comment(/cmdstat_subscribe:calls=\d+/.exec(info ?? '')?.[0], 'for 2 times 2000 channels');
    for (const channel of channels) await early.broker.publish(channel, { data: Buffer.from('x') }, KEPT);
    for (const channel of channels) await late.events.untilText(channel, 'x');
    const stats = await Promise.all(channels.map(async (channel) => late.presence.stats(channel)));
    t.equal(stats.filter(({ clients }) => clients === 2).length, channels.length);
  },
);
