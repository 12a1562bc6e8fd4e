// Connections to Redis that break or fall silent, under a stream of publications: every client gets every one, or is told.
import t, { type Test } from 'tap';
import { RedisEngine } from '../contract/redis-engine.ts';
import { OfficialClient } from '../helpers/centrifuge.ts';
import type { Gateway } from '../helpers/gateway.ts';
import { type RedisServer, settings, startRedis } from '../helpers/redis.ts';
import { HISTORY_SIZE, KEPT, PASSED, startTroubled, Trouble } from '../helpers/trouble.ts';
import { waitFor } from '../helpers/wait-for.ts';

const PADDING_BYTES = 30_000;
const KEPT_OPTIONS = { historySize: HISTORY_SIZE, historyTtlMs: 300_000, historyMetaTtlMs: 600_000 };

t.test('connections to Redis', async (t) => {
  const redis = await startRedis(t);
  const gateway = await startTroubled(t, { address: `unix://${redis.path}` });

  await t.test('CLIENT KILL of the subscriber connections', async (t) => {
    const trouble = await Trouble.begin(t, gateway);
    const killed = await redis.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    t.equal(killed, 2, 'one of each worker');
    await trouble.ends({ mayTell: false });
  });

  await t.test('a subscriber that is slow is cut off', (t) => cutsOff(t, redis, gateway));

  await t.test('CLIENT PAUSE', async (t) => {
    const trouble = await Trouble.begin(t, gateway);
    await redis.admin.call('CLIENT', 'PAUSE', 2000, 'ALL');
    await trouble.flow.untilRefused(1);
    await trouble.ends({ mayTell: false });
  });

  await t.test('SIGSTOP', async (t) => {
    const trouble = await Trouble.begin(t, gateway);
    const neighbours = await joined(t, gateway);
    redis.child.signal('SIGSTOP');
    await trouble.untilUnready(/redis/);
    await trouble.refusesClients();
    await speakWithoutRedis(t, neighbours);
    redis.child.signal('SIGCONT');
    await trouble.ends({ mayTell: false });
  });
});

/** A worker stands still while another host publishes more than Redis holds for it. */
async function cutsOff(t: Test, redis: RedisServer, gateway: Gateway): Promise<void> {
  await redis.admin.config('SET', 'client-output-buffer-limit', 'pubsub 256kb 0 0');
  const host = await new RedisEngine(t, [redis], settings(redis.target, { prefix: 'holdfast' })).client();
  const padding = 'x'.repeat(PADDING_BYTES);
  const trouble = await Trouble.begin(t, gateway, async (number) => {
    const data = Buffer.from(JSON.stringify({ number, padding }));
    await host.broker.publish(KEPT, { data }, KEPT_OPTIONS);
    return undefined;
  });
  const before = await subscribers(redis);
  const [slow = 0] = await gateway.workerPids();
  process.kill(slow, 'SIGSTOP');
  try {
    await waitFor('Redis to cut it off', async () => (await subscribers(redis)) < before);
  } finally {
    process.kill(slow, 'SIGCONT');
  }
  await redis.admin.config('SET', 'client-output-buffer-limit', 'pubsub 32mb 8mb 60');
  await trouble.ends({ mayTell: true });
}

async function subscribers(redis: RedisServer): Promise<number> {
  const list = String(await redis.admin.call('CLIENT', 'LIST', 'TYPE', 'pubsub'));
  return list.split('\n').filter((line) => line !== '').length;
}

/** Two of them at least are on the same worker. */
function joined(t: Test, gateway: Gateway): Promise<OfficialClient[]> {
  return Promise.all(
    Array.from({ length: 3 }, async () => {
      const client = await new OfficialClient(t, gateway.wsUrl).connect();
      await client.subscribe(PASSED);
      return client;
    }),
  );
}

/** Clients of one worker reach each other in a channel that keeps nothing. */
async function speakWithoutRedis(t: Test, clients: readonly OfficialClient[]): Promise<void> {
  const heard = clients.map(() => 0);
  for (const [at, { client }] of clients.entries()) {
    client.getSubscription(PASSED)?.on('publication', () => {
      heard[at] = (heard[at] ?? 0) + 1;
    });
  }
  for (const { client } of clients) await client.publish(PASSED, {});
  await waitFor('neighbours to hear each other', () => heard.some((count) => count >= 2));
  t.comment(`three clients of two workers published one each without Redis, and heard ${heard.join(', ')}`);
  t.equal(clients.filter(({ history }) => history.some(({ kind }) => kind === 'disconnected')).length, 0);
  for (const { client } of clients) client.disconnect();
}
