// The worker's end of the Redis engine. Loaded only where it is the engine: with its client library it is a tenth of the program.
import type { Config } from '../config/schema.ts';
import { measuredEngine } from '../engine/measured-engine.ts';
import { RedisEngineClient } from '../engine/redis/engine-client.ts';
import type { HealthCheck } from '../gateway/health.ts';
import type { EngineDeps, WorkerEngine } from './engine.ts';
import { exposeRedis } from './engine-metrics.ts';
import { redisSettings } from './redis-settings.ts';

/** Throws ConfigError when a file that the configuration names cannot be read. */
export function createRedisEngine(config: Config['engine']['redis'], deps: EngineDeps): WorkerEngine {
  const { clock, random, node, listener, onOccupancy, logger, metrics } = deps;
  const counters = metrics.hot;
  const settings = redisSettings(config);
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
