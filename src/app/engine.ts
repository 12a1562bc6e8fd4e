// Makes the worker's end of the engine that the configuration names.
import type { Config } from '../config/schema.ts';
import type { BrokerListener } from '../engine/broker.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import { measuredEngine } from '../engine/measured-engine.ts';
import { MemoryEngineClient } from '../engine/memory/engine-client.ts';
import type { HealthCheck } from '../gateway/health.ts';
import type { Logger } from '../observe/logger.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Random } from '../util/backoff.ts';
import type { Clock } from '../util/clock.ts';
import { exposeEmbedded } from './engine-metrics.ts';

export interface EngineDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** This process: unique per start. */
  readonly node: string;
  readonly listener: BrokerListener;
  /** A channel got its first subscriber, or lost the last. */
  readonly onOccupancy: ((channel: string, isOccupied: boolean) => void) | undefined;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Of the embedded engine in the primary. */
  readonly socketPath: string;
}

export interface WorkerEngine {
  readonly client: EngineClient;
  /** What the engine itself knows about its health. */
  readonly checks: readonly HealthCheck[];
}

/** Rejects with ConfigError when a file that the configuration names cannot be read. */
export async function createEngineClient(config: Config['engine'], deps: EngineDeps): Promise<WorkerEngine> {
  const { clock, random, node, listener, onOccupancy, logger, metrics, socketPath: path } = deps;
  const counters = metrics.hot;
  if (config.type === 'memory') {
    const client = new MemoryEngineClient({ clock, random, path, node, listener, onOccupancy, logger });
    exposeEmbedded(metrics, client);
    return { client: measuredEngine(client, { clock, counters }), checks: [] };
  }
  const { createRedisEngine } = await import('./redis-engine.ts');
  return createRedisEngine(config.redis, deps);
}
