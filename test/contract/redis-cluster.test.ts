// The Redis engine passes the contract suites on a Redis Cluster, too: one for all, each test with keys of its own.
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { type RedisClusterServers, startCluster } from '../helpers/redis-cluster.ts';
import { settings } from '../helpers/redis.ts';
import { brokerContract } from './broker-contract.ts';
import type { EngineFactory } from './engine-under-test.ts';
import { nodeBusContract } from './node-bus-contract.ts';
import { presenceContract } from './presence-contract.ts';
import { RedisEngine } from './redis-engine.ts';

let cluster: Promise<RedisClusterServers> | undefined;

class ClusterEngine extends RedisEngine {
  override async start(): Promise<void> {
    await super.start();
    await (await cluster)?.untilServing();
  }
}

const start: EngineFactory = async (scope) => {
  cluster ??= startCluster(t);
  const { masters, target } = await cluster;
  const prefix = randomBytes(6).toString('hex');
  return new ClusterEngine(scope, masters, settings(target, { prefix }));
};

brokerContract(t, 'redis cluster', start);
presenceContract(t, 'redis cluster', start);
nodeBusContract(t, 'redis cluster', start);
