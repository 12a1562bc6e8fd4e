// The kind of shard that a target needs.
import { ClusterTopology } from './cluster-topology.ts';
import { DiscoveredShard } from './discovered-shard.ts';
import type { RedisContext } from './redis-node.ts';
import { SentinelTopology } from './sentinel-topology.ts';
import type { RedisTarget } from './settings.ts';
import type { Shard, ShardListener } from './shard.ts';
import { SingleShard } from './single-shard.ts';

export function makeShard(context: RedisContext, target: RedisTarget, listener: ShardListener): Shard {
  switch (target.kind) {
    case 'server':
    case 'socket':
      return new SingleShard(context, target, listener);
    case 'sentinel':
      return new DiscoveredShard({
        context,
        target,
        listener,
        sharded: false,
        topology: (heard) => new SentinelTopology(context, target, heard),
      });
    case 'cluster':
      return new DiscoveredShard({
        context,
        target,
        listener,
        sharded: true,
        topology: (heard) => new ClusterTopology(context, target, heard),
      });
  }
}
