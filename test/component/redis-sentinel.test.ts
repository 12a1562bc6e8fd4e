// The Redis engine follows the master that sentinels name: asked to fail over, and when the master dies.
import t, { type Test } from 'tap';
import { UnavailableError } from '../../src/util/errors.ts';
import { RedisEngine, type RedisEngineTestClient } from '../contract/redis-engine.ts';
import { settings } from '../helpers/redis.ts';
import { type SentinelSet, startSentinels } from '../helpers/redis-sentinel.ts';
import { waitFor } from '../helpers/wait-for.ts';

const KEPT = { historySize: 100, historyTtlMs: 60_000, historyMetaTtlMs: 600_000 };

/** Publishes until it is taken, and returns how long that took. */
async function publishes(client: RedisEngineTestClient, text: string, historySize = 100): Promise<number> {
  const startMs = performance.now();
  await waitFor(`'${text}' to be taken`, async () => {
    const askedMs = performance.now();
    try {
      await client.broker.publish('room', { data: Buffer.from(text) }, { ...KEPT, historySize });
      return true;
    } catch (error) {
      const tookMs = performance.now() - askedMs;
      if (tookMs > 3000) throw new Error(`it hung for ${tookMs} ms`, { cause: error });
      return false;
    }
  });
  return performance.now() - startMs;
}

/** Undefined when its connection broke: the old master may take publications until then, so that it may be any later call. */
async function unlessBroken<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof UnavailableError) return undefined;
    throw error;
  }
}

async function worksAfter(
  t: Test,
  set: SentinelSet,
  clients: readonly [RedisEngineTestClient, RedisEngineTestClient],
  text: string,
): Promise<void> {
  const [a, b] = clients;
  t.comment(`taken again after ${(await publishes(a, text)).toFixed(0)} ms`);
  // What was published before a worker followed is of a new epoch: then it is told instead.
  for (const { events } of clients) {
    const isTold = (): boolean =>
      events.texts('room').includes(text) || events.all.at(-1)?.kind === 'interruption';
    await waitFor(`'${text}' or an interruption`, isTold);
  }
  await publishes(a, `${text}, again`);
  for (const { events } of clients) await events.untilText('room', `${text}, again`);
  await waitFor('presence under the new master', async () => {
    return (await unlessBroken(() => b.presence.stats('room')))?.clients === 2;
  });
  const sent = await waitFor('a message from node to node', async () => {
    const isHeard = await unlessBroken(() => a.nodes.send(b.nodes.node, 'nothing', null));
    return isHeard === undefined ? undefined : { isHeard };
  });
  t.equal(sent.isHeard, true, 'nodes reach each other');
  await waitFor('health', () => a.engineClient.health.every(({ ok }) => ok));
  t.equal(a.engineClient.health.length, 1, 'of the master alone');
  const master = await set.master();
  t.ok((await master.admin.keys('test:s:*')).length > 0, 'the new master has it');
}

async function started(t: Test): Promise<{
  readonly set: SentinelSet;
  readonly clients: readonly [RedisEngineTestClient, RedisEngineTestClient];
}> {
  const set = await startSentinels(t);
  const engine = new RedisEngine(t, [], settings(set.target));
  const clients = [await engine.client(), await engine.client()] as const;
  for (const client of clients) {
    await client.broker.subscribe('room');
    await client.presence.add('room', { user: 'u', client: client.nodes.node });
  }
  await worksAfter(t, set, clients, 'before');
  return { set, clients };
}

// Sentinels take their time: side by side.
t.jobs = 3;

t.test('SENTINEL FAILOVER', { buffered: true }, async (t) => {
  const { set, clients } = await started(t);
  const stranger = new RedisEngine(t, [], settings({ ...set.target, masterName: 'nobody' }));
  const refused = t.rejects(stranger.client(), /no sentinel names a master: .*No such master/);
  const before = await set.master();
  await set.failOver();
  await waitFor('another master', async () => (await set.master()) !== before);
  await worksAfter(t, set, clients, 'after');
  await refused;
});

t.test('the master is killed', { buffered: true }, async (t) => {
  const { set, clients } = await started(t);
  await (await set.master()).kill();
  await worksAfter(t, set, clients, 'after');
});

t.test('the master is frozen', { buffered: true }, async (t) => {
  const { set, clients } = await started(t);
  const before = await set.master();
  before.child.signal('SIGSTOP');
  await worksAfter(t, set, clients, 'after');
  // It still takes itself for the master.
  before.child.signal('SIGCONT');
  await worksAfter(t, set, clients, 'later');
});
