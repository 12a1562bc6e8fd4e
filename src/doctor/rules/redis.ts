// Rules about Redis and its settings. docs/redis.md gives the reasons at length.
import type { RedisServerFacts } from '../facts.ts';
import { fault, fine, notKnown, type Rule, rule, type Verdict } from '../finding.ts';

const LEAST_VERSION = 7;
const MIB = 1024 * 1024;
const LEAST_BUFFER_BYTES = 16 * MIB;
const MOST_KEEPALIVE_S = 120;

/** A rule about one setting of each server. */
function settingRule(
  id: string,
  name: string,
  judge: (value: string, server: RedisServerFacts) => Verdict,
): Rule {
  return rule(id, ['redis'], ({ redis }) =>
    redis.map((server) => {
      const value = server.settings?.get(name);
      return value === undefined
        ? notKnown(`Redis at ${server.name} does not tell its ${name} (CONFIG GET is not permitted)`)
        : judge(value, server);
    }),
  );
}

const server = rule('redis-server', ['redis'], ({ redis }) =>
  redis.map(({ name, version, role }) => {
    const what = `Redis ${version} at ${name} is ${role}`;
    if (role !== 'master') {
      return fault('critical', what, {
        why: 'it takes no writes: publishes with history fail and the host is never ready',
        change: 'engine.redis.address in the Holdfast config: the master, or engine.redis.sentinel_address',
      });
    }
    if (Number(version.split('.')[0]) >= LEAST_VERSION) return fine(what);
    return fault('warning', what, {
      why: `Holdfast is tested with Redis ${LEAST_VERSION} and newer`,
      change: `Redis ${LEAST_VERSION} or newer`,
    });
  }),
);

/** The hard limit in bytes of "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60". */
function pubsubLimit(value: string): { readonly hard: number; readonly soft: number } | undefined {
  const match = /\bpubsub (\d+) (\d+) \d+/.exec(value);
  return match === null ? undefined : { hard: Number(match[1]), soft: Number(match[2]) };
}

const outputBuffer = settingRule('redis-output-buffer', 'client-output-buffer-limit', (value, { name }) => {
  const limit = pubsubLimit(value);
  const change = 'client-output-buffer-limit pubsub 64mb 16mb 30 in redis.conf (and CONFIG SET)';
  if (limit === undefined || limit.hard === 0) {
    return fault('warning', `Redis at ${name}: subscribers have no output-buffer limit`, {
      why: 'one worker that does not read makes Redis grow until the machine has no memory',
      change,
    });
  }
  const what = `Redis at ${name}: a subscriber may leave ${limit.hard / MIB} MiB unread`;
  const least = limit.soft === 0 ? limit.hard : Math.min(limit.hard, limit.soft * 4);
  if (least >= LEAST_BUFFER_BYTES) return fine(what);
  return fault('critical', what, {
    why: 'a short stall of a worker, and Redis cuts it off; what was published meanwhile is lost in channels without history',
    change,
  });
});

const eviction = rule('redis-eviction', ['redis'], ({ redis }) =>
  redis.map(({ name, settings }) => {
    const policy = settings?.get('maxmemory-policy');
    if (policy === undefined) return notKnown(`Redis at ${name} does not tell its maxmemory-policy`);
    const maxmemory = Number(settings?.get('maxmemory') ?? 0);
    const what = `Redis at ${name}: maxmemory ${maxmemory === 0 ? 'none' : `${Math.round(maxmemory / MIB)} MiB`}, ${policy}`;
    if (policy !== 'noeviction' && maxmemory > 0) {
      return fault('critical', what, {
        why: 'history and presence are thrown away in silence when memory is short',
        change: 'maxmemory-policy noeviction in redis.conf',
      });
    }
    return fine(what);
  }),
);

const clients = rule('redis-maxclients', ['redis', 'config'], ({ redis, config }) =>
  redis.map(({ name, settings }) => {
    const maxclients = Number(settings?.get('maxclients') ?? NaN);
    if (Number.isNaN(maxclients)) return notKnown(`Redis at ${name} does not tell its maxclients`);
    // Two connections of each worker, twice during a reload.
    const needed = config.workers * 4;
    const what = `Redis at ${name} takes ${maxclients} clients; this host may be ${needed} of them during a reload`;
    if (needed * 4 <= maxclients) return fine(what);
    return fault(needed > maxclients ? 'critical' : 'warning', what, {
      why: 'workers that cannot connect are not ready',
      change: 'maxclients 10000 in redis.conf (and LimitNOFILE of its unit)',
    });
  }),
);

const keepAlive = settingRule('redis-keepalive', 'tcp-keepalive', (value, { name }) => {
  const seconds = Number(value);
  const what = `Redis at ${name}: tcp-keepalive ${seconds}`;
  if (seconds > 0 && seconds <= MOST_KEEPALIVE_S) return fine(what);
  return fault('warning', what, {
    why: 'connections of a host that died stay, with what was published for them in memory',
    change: 'tcp-keepalive 60 in redis.conf',
  });
});

export const redisRules: readonly Rule[] = [server, outputBuffer, eviction, clients, keepAlive];
