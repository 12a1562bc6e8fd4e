// The Redis engine on other topologies than one plain server: several servers, TLS with an ACL
// user, sentinels with TLS. Each is started for real.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { RedisTarget } from '../../src/engine/redis/settings.ts';
import { RedisEngine } from '../contract/redis-engine.ts';
import { makeCertificate } from '../helpers/haproxy.ts';
import { freePort } from '../helpers/ports.ts';
import { settings, startRedis, tlsClient, tlsServer } from '../helpers/redis.ts';
import { startCluster } from '../helpers/redis-cluster.ts';
import { startSentinels } from '../helpers/redis-sentinel.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

const RULE = 'user gateway on >secret ~test:* &test:* +@all';
const KEPT = { historySize: 10, historyTtlMs: 60_000, historyMetaTtlMs: 600_000 };

async function carries(t: Test, engine: RedisEngine): Promise<void> {
  const [a, b] = [await engine.client(), await engine.client()];
  await b.broker.subscribe('room');
  await a.broker.publish('room', { data: Buffer.from('one') }, KEPT);
  await b.events.untilText('room', 'one');
  await a.presence.add('room', { user: 'u', client: 'c' });
  t.same(await b.presence.stats('room'), { clients: 1, users: 1 });
  t.equal(await a.nodes.send(b.nodes.node, 'nothing', null), true);
}

t.test('several servers share the channels', async (t) => {
  const servers = await Promise.all([startRedis(t), startRedis(t), startRedis(t)]);
  const [first] = servers;
  const targets = servers.map(({ target }) => target);
  const engine = new RedisEngine(t, servers, settings(first.target, { targets }));
  const other = new RedisEngine(t, servers, settings(first.target, { targets: targets.toReversed() }));
  await carries(t, engine);
  const [a, b] = [await engine.client(), await other.client()];
  const channels = Array.from({ length: 30 }, (_, index) => `channel${index}`);
  await Promise.all(channels.map((channel) => b.broker.subscribe(channel)));
  await Promise.all(
    channels.map(async (channel) => a.broker.publish(channel, { data: Buffer.from('x') }, KEPT)),
  );
  for (const channel of channels) await b.events.untilText(channel, 'x');
  for (const { admin } of servers) t.ok((await admin.keys('test:s:*')).length > 0, 'each has some');
});

t.test('TLS and an ACL user', async (t) => {
  const { certificate, siteFile } = await makeCertificate(t);
  const port = await freePort();
  const aclFile = join(await tempDir(t), 'users.acl');
  await writeFile(aclFile, `user default off\n${RULE}\n`);
  await startRedis(t, { ...tlsServer(port, siteFile), aclfile: aclFile });
  const tls = tlsClient(certificate);
  const target: RedisTarget = {
    kind: 'server',
    host: '127.0.0.1',
    port,
    db: 0,
    username: 'gateway',
    password: 'secret',
    tls,
  };
  await carries(t, new RedisEngine(t, [], settings(target)));
  const stranger = new RedisEngine(t, [], settings({ ...target, tls: { rejectUnauthorized: true } }));
  await t.rejects(stranger.client(), /no Redis answers/);
});

t.test('a cluster with TLS and an ACL user', async (t) => {
  const { certificate, siteFile } = await makeCertificate(t);
  const aclFile = join(await tempDir(t), 'users.acl');
  await writeFile(aclFile, `user default on nopass ~* &* +@all\n${RULE}\n`);
  const cluster = await startCluster(t, {
    server: (port) => ({ ...tlsServer(port, siteFile), 'tls-cluster': 'yes', aclfile: aclFile }),
  });
  const tls = tlsClient(certificate);
  const credentials = { username: 'gateway', password: 'secret', tls };
  const { seeds } = cluster.target;
  const target: RedisTarget = {
    kind: 'cluster',
    ...credentials,
    seeds: seeds.map((seed) => ({ ...seed, ...credentials })),
  };
  await carries(t, new RedisEngine(t, [], settings(target)));
});

t.test('sentinels with TLS, before and after a failover', async (t) => {
  const set = await startSentinels(t, await makeCertificate(t));
  const engine = new RedisEngine(t, [], settings(set.target));
  await carries(t, engine);
  const stays = await engine.client();
  await stays.broker.subscribe('room');
  const before = await set.masterPort();
  await set.failOver();
  await waitFor('another master', async () => (await set.masterPort()) !== before);
  const isTaken = async (): Promise<boolean> => {
    await stays.broker.publish('room', { data: Buffer.from('two') }, KEPT);
    return true;
  };
  await waitFor('it to be taken', () => isTaken().catch(() => false));
  await stays.events.untilText('room', 'two');
});
