// Redis moves, under a stream of publications: sentinels name another master, a Cluster gives a slot to another master. Every
// client gets every publication, or is told.
import t from 'tap';
import { startCluster } from '../helpers/redis-cluster.ts';
import { startSentinels } from '../helpers/redis-sentinel.ts';
import { KEPT, startTroubled, Trouble } from '../helpers/trouble.ts';
import { waitFor } from '../helpers/wait-for.ts';

t.jobs = 2;

t.test('sentinels', { buffered: true }, async (t) => {
  const set = await startSentinels(t);
  const gateway = await startTroubled(t, {
    sentinel_address: set.sentinelPorts.map((port) => `127.0.0.1:${port}`),
    sentinel_master_name: set.target.masterName,
    sentinel_password: set.target.sentinels[0]?.password,
    password: set.target.password,
  });

  await t.test('the master is killed', async (t) => {
    const trouble = await Trouble.begin(t, gateway);
    const before = await set.master();
    await before.kill();
    await trouble.flow.untilRefused(1);
    await waitFor('another master', async () => (await set.master()) !== before);
    await trouble.ends({ mayTell: true });
  });
});

t.test('a cluster', { buffered: true }, async (t) => {
  const cluster = await startCluster(t);
  const gateway = await startTroubled(t, {
    cluster_address: cluster.ports.slice(0, 2).map((port) => `127.0.0.1:${port}`),
  });

  await t.test('a slot moves', async (t) => {
    const trouble = await Trouble.begin(t, gateway);
    const from = await cluster.ownerOf(KEPT);
    const move = await cluster.beginMove(KEPT, (from + 1) % 3);
    await trouble.flow.untilTaken(10);
    await move.finish();
    t.not(await cluster.ownerOf(KEPT), from);
    await trouble.ends({ mayTell: false });
  });

  await t.test('a master without a replica dies', async (t) => {
    const trouble = await Trouble.begin(t, gateway);
    const owner = cluster.master(await cluster.ownerOf(KEPT));
    await owner.kill();
    await trouble.untilUnready(/redis/);
    await trouble.flow.untilRefused(1);
    await owner.start();
    await trouble.ends({ mayTell: true });
  });
});
