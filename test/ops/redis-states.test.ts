// States of Redis in which it takes nothing, under a stream of publications: every client gets every one, or is told.
import t from 'tap';
import { startRedis } from '../helpers/redis.ts';
import { startTroubled, Trouble } from '../helpers/trouble.ts';

/** Slows loading down, so that it can be seen. */
const KEYS = 4500;
const LOAD_DELAY_US = 1000;

t.test('states of Redis', async (t) => {
  const redis = await startRedis(t, { 'enable-debug-command': 'yes' });
  const gateway = await startTroubled(t, { address: `unix://${redis.path}` });

  await t.test('full: OOM', async (t) => {
    const trouble = await Trouble.begin(t, gateway);
    await redis.admin.config('SET', 'maxmemory', 1);
    await trouble.flow.untilRefused(5);
    await trouble.untilUnready(/Redis is full/);
    await trouble.refusesClients();
    await redis.admin.config('SET', 'maxmemory', 0);
    await trouble.ends({ mayTell: false });
  });

  await t.test('a replica now: READONLY', async (t) => {
    const trouble = await Trouble.begin(t, gateway);
    await redis.admin.replicaof('127.0.0.1', 1);
    await trouble.untilUnready(/redis/);
    await trouble.flow.untilRefused(1);
    await trouble.refusesClients();
    await redis.admin.replicaof('NO', 'ONE');
    await trouble.ends({ mayTell: true });
  });

  await t.test('restarted, and LOADING', async (t) => {
    const trouble = await Trouble.begin(t, gateway);
    await redis.admin.call('DEBUG', 'POPULATE', KEYS);
    await redis.admin.save();
    await redis.kill();
    await redis.begin({ 'key-load-delay': LOAD_DELAY_US, 'loading-process-events-interval-bytes': 1024 });
    await trouble.untilUnready(/Redis is loading/);
    await trouble.ends({ mayTell: true });
  });

  await t.test('restarted, and empty', async (t) => {
    const trouble = await Trouble.begin(t, gateway);
    await redis.admin.call('FLUSHALL');
    await redis.kill();
    await trouble.flow.untilRefused(1);
    await redis.start({ dbfilename: 'none.rdb' });
    await trouble.ends({ mayTell: true });
  });
});
