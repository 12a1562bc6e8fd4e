// The Redis engine on a Redis Cluster: channels on every master, slots that move while messages flow, a master that dies.
import t, { type Test } from 'tap';
import { slotOf } from '../../src/engine/redis/cluster-slots.ts';
import { RedisEngine, type RedisEngineTestClient } from '../contract/redis-engine.ts';
import { type RedisClusterServers, startCluster } from '../helpers/redis-cluster.ts';
import { settings } from '../helpers/redis.ts';
import { waitFor } from '../helpers/wait-for.ts';

const KEPT = { historySize: 1000, historyTtlMs: 60_000, historyMetaTtlMs: 600_000 };
const PASSED = { historySize: 0, historyTtlMs: 0, historyMetaTtlMs: 0 };
const CHANNELS = Array.from({ length: 12 }, (_, index) => `channel${String(index)}`);

interface Started {
  readonly cluster: RedisClusterServers;
  readonly clients: readonly [RedisEngineTestClient, RedisEngineTestClient];
}

async function started(t: Test, withReplicas = false): Promise<Started> {
  const cluster = await startCluster(t, { withReplicas });
  const engine = new RedisEngine(t, cluster.masters, settings(cluster.target));
  return { cluster, clients: [await engine.client(), await engine.client()] };
}

function text(value: string): { readonly data: Buffer } {
  return { data: Buffer.from(value) };
}

/** Another channel in the slot of this one. */
function sameSlot(channel: string): string {
  const slot = slotOf(channel);
  let number = 0;
  while (slotOf(`other${number}`) !== slot) number += 1;
  return `other${number}`;
}

async function carriesAll(t: Test, { clients: [a, b] }: Started, value: string): Promise<void> {
  for (const channel of CHANNELS) {
    await a.broker.publish(channel, text(`${value} kept`), KEPT);
    await a.broker.publish(channel, text(`${value} passed`), { ...PASSED, acknowledged: true });
    await b.events.untilText(channel, `${value} kept`);
    await b.events.untilText(channel, `${value} passed`);
    const { publications } = await b.broker.history(channel, {
      limit: -1,
      since: undefined,
      reverse: false,
      historyMetaTtlMs: 600_000,
    });
    t.equal(publications.at(-1)?.data.toString(), `${value} kept`);
  }
}

// Clusters take their time to form and to fail over: side by side.
t.jobs = 3;

t.test('every master has its share', { buffered: true }, async (t) => {
  const it = await started(t);
  const { cluster, clients } = it;
  const [a, b] = clients;
  await Promise.all(CHANNELS.map((channel) => b.broker.subscribe(channel)));
  await carriesAll(t, it, 'first');
  for (const [index, { admin }] of cluster.masters.entries()) {
    t.ok((await admin.keys('test:s:*')).length > 0, `streams on master ${String(index)}`);
  }
  for (const channel of CHANNELS) await a.presence.add(channel, { user: 'u', client: `a-${channel}` });
  for (const channel of CHANNELS) t.same(await b.presence.stats(channel), { clients: 1, users: 1 });
  t.equal(await a.nodes.send(b.nodes.node, 'nothing', null), true, 'nodes reach each other');
  b.nodes.handle('who', () => 'b');
  a.nodes.handle('who', () => 'a');
  const { answers, missing } = await a.nodes.survey('who', null, 2000);
  t.same(new Set(answers.map(({ result }) => result)), new Set(['a', 'b']));
  t.same(missing, []);
  await waitFor('health', () => a.engineClient.health.every(({ ok }) => ok));
  t.equal(a.engineClient.health.length, 3);
  await a.close();
  await waitFor('presence of a worker that ended to be swept', async () => {
    const stats = await Promise.all(CHANNELS.map((channel) => b.presence.stats(channel)));
    return stats.every(({ clients }) => clients === 0);
  });
});

t.test('a slot moves while messages flow', { buffered: true }, async (t) => {
  const it = await started(t);
  const { cluster, clients } = it;
  const [a, b] = clients;
  const channel = 'moving';
  await b.broker.subscribe(channel);
  let number = 0;
  const flow = { goesOn: true };
  const failed: string[] = [];
  const flowing = (async () => {
    while (flow.goesOn) {
      number += 1;
      try {
        await a.broker.publish(channel, text(String(number)), KEPT);
      } catch (error) {
        failed.push(String(number));
        t.match(error, { code: 'HOLDFAST_UNAVAILABLE' });
      }
    }
  })();
  const untilMore = async (): Promise<void> => {
    const before = number;
    await waitFor('more messages', () => number > before + 20);
  };
  const from = await cluster.ownerOf(channel);
  await untilMore();
  const move = await cluster.beginMove(channel, (from + 1) % 3);
  await untilMore();
  const added = sameSlot(channel);
  await t.rejects(
    async () => a.broker.publish(added, text('new'), KEPT),
    { code: 'HOLDFAST_UNAVAILABLE' },
    'what is new in the slot has to wait',
  );
  await move.finish();
  await a.broker.publish(added, text('new'), KEPT);
  await untilMore();
  // And back.
  await cluster.move(channel, from);
  await untilMore();
  flow.goesOn = false;
  await flowing;
  const taken = Array.from({ length: number }, (_, at) => String(at + 1)).filter(
    (each) => !failed.includes(each),
  );
  await b.events.untilText(channel, taken.at(-1) ?? '');
  t.same(b.events.texts(channel), taken, 'each once, in order');
  t.comment(
    `${String(number)} published, ${String(failed.length)} refused, ${String(b.engineClient.stats.repaired)} repaired`,
  );
  await Promise.all(CHANNELS.map((each) => b.broker.subscribe(each)));
  await carriesAll(t, it, 'after');
});

t.test('a master dies, its replica takes over', { buffered: true }, async (t) => {
  const it = await started(t, true);
  const { cluster, clients } = it;
  const [a, b] = clients;
  await Promise.all(CHANNELS.map((channel) => b.broker.subscribe(channel)));
  for (const channel of CHANNELS) await a.presence.add(channel, { user: 'u', client: `a-${channel}` });
  await carriesAll(t, it, 'before');
  await cluster.master(1).kill();
  await waitFor('bad health', () => a.engineClient.health.some(({ ok }) => !ok));
  const bad = a.engineClient.health.filter(({ ok }) => !ok);
  t.comment(`health: ${JSON.stringify(bad)}`);
  const startMs = performance.now();
  for (const channel of CHANNELS) {
    await waitFor(`${channel} to be taken`, async () => {
      const askedMs = performance.now();
      try {
        await a.broker.publish(channel, text('during'), KEPT);
        return true;
      } catch {
        if (performance.now() - askedMs > 3000) throw new Error('it hung');
        return false;
      }
    });
    // Published before the other worker followed, it is of a new epoch, and that one is told.
    await waitFor(`${channel} to be delivered or interrupted`, () =>
      b.events.all.some((event) => event.channel === channel && ['during', ''].includes(event.text)),
    );
  }
  t.comment(`all taken again after ${(performance.now() - startMs).toFixed(0)} ms`);
  await carriesAll(t, it, 'after');
  await waitFor('health', () => a.engineClient.health.every(({ ok }) => ok));
  t.equal(a.engineClient.health.length, 3);
  await waitFor('presence', async () => {
    const stats = await Promise.all(CHANNELS.map((channel) => b.presence.stats(channel)));
    return stats.every(({ clients }) => clients === 1);
  });
});
