// Which figures of the worker's end of the engine are read from where.
import type { MemoryEngineClient } from '../engine/memory/engine-client.ts';
import type { RedisEngineClient } from '../engine/redis/engine-client.ts';
import type { Metrics } from '../observe/metrics.ts';

export function exposeEmbedded(metrics: Metrics, client: Pick<MemoryEngineClient, 'stats'>): void {
  metrics.read('enginePending', () => client.stats.pendingRequests);
  metrics.read('engineQueuedBytes', () => client.stats.queuedBytes);
  metrics.read('engineFailedCalls', () => client.stats.failedRequests);
  metrics.read('engineLinks', () => [[['primary'], client.stats.up ? 1 : 0]]);
  metrics.read('engineReconnects', () => [[['primary'], client.stats.interruptions]]);
}

export function exposeRedis(metrics: Metrics, client: Pick<RedisEngineClient, 'stats'>): void {
  metrics.read('enginePending', () => client.stats.pendingCalls);
  metrics.read('engineQueuedBytes', () => client.stats.queuedBytes);
  metrics.read('engineHeldBytes', () => client.stats.heldBytes);
  metrics.read('engineFailedCalls', () => client.stats.failedCalls);
  metrics.read('engineLinks', () => client.stats.servers.map(({ name, up }) => [[name], up ? 1 : 0]));
  metrics.read('engineReconnects', () =>
    client.stats.servers.map(({ name, reconnects }) => [[name], reconnects]),
  );
  metrics.read('engineProbeFailures', () => client.stats.resets);
  metrics.read('engineGaps', () => {
    const { gaps, repairs, interruptions } = client.stats;
    return [
      [['found'], gaps],
      [['repaired'], repairs],
      [['told'], interruptions],
    ];
  });
  metrics.read('engineRepaired', () => client.stats.repaired);
  metrics.read('engineUnsent', () => client.stats.unsent);
  metrics.read('engineLocal', () => client.stats.deliveredLocally);
  metrics.read('engineLeases', () => {
    const { renewed, failed, lost } = client.stats.leases;
    return [
      [['ok'], renewed],
      [['failed'], failed],
      [['lost'], lost],
    ];
  });
  metrics.read('engineSwept', () => client.stats.leases.swept);
}
