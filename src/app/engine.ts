// Makes the worker's end of the engine that the configuration names.
import type { Config } from '../config/schema.ts';
import type { BrokerListener } from '../engine/broker.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import { measuredEngine } from '../engine/measured-engine.ts';
import { MemoryEngineClient } from '../engine/memory/engine-client.ts';
import { RedisEngineClient } from '../engine/redis/engine-client.ts';
import type { HealthCheck } from '../gateway/health.ts';
import type { Logger } from '../observe/logger.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Random } from '../util/backoff.ts';
import type { Clock } from '../util/clock.ts';
import { exposeEmbedded, exposeRedis } from './engine-metrics.ts';
import { redisSettings } from './redis-settings.ts';

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

/** Throws ConfigError when a file that the configuration names cannot be read. */
export function createEngineClient(config: Config['engine'], deps: EngineDeps): WorkerEngine {
  const { clock, random, node, listener, onOccupancy, logger, metrics, socketPath: path } = deps;
  const counters = metrics.hot;
  if (config.type === 'memory') {
    const client = new MemoryEngineClient({ clock, random, path, node, listener, onOccupancy, logger });
    exposeEmbedded(metrics, client);
    return { client: measuredEngine(client, { clock, counters }), checks: [] };
  }
  const settings = redisSettings(config.redis);
  const echoes = counters.engineSeconds.of('echo');
  const onEcho = (roundTripMs: number): void => echoes.observe(roundTripMs / 1000);
  const client = new RedisEngineClient({
    clock,
    random,
    settings,
    node,
    listener,
    onOccupancy,
    logger,
    onEcho,
  });
  exposeRedis(metrics, client);
  return { client: measuredEngine(client, { clock, counters }), checks: [redisHealth(client)] };
}

/** One answer for all servers: the worst. */
function redisHealth(client: RedisEngineClient): HealthCheck {
  return {
    name: 'redis',
    check: () => {
      const bad = client.health.filter(({ ok }) => !ok);
      const shown = bad.length > 0 ? bad : client.health;
      return {
        ok: bad.length === 0,
        detail: shown.map(({ name, detail }) => `${name}: ${detail}`).join('; '),
      };
    },
  };
}
