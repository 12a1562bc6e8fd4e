// Asks each Redis server what it is and how it is set.
import { Redis } from 'ioredis';
import { connectionOptions } from '../../engine/redis/connection-options.ts';
import type { RedisSettings, ServerTarget } from '../../engine/redis/settings.ts';
import { messageOf } from '../../util/errors.ts';
import type { RedisServerFacts } from '../facts.ts';

const SETTINGS = [
  'client-output-buffer-limit',
  'maxmemory',
  'maxmemory-policy',
  'maxclients',
  'tcp-keepalive',
] as const;

interface RedisReaderDeps {
  readonly wallMs: () => number;
}

/** Throws when a server does not answer. Behind Sentinel nobody is asked: the doctor takes no part in its elections. */
export async function redisServers(
  settings: RedisSettings,
  deps: RedisReaderDeps,
): Promise<readonly RedisServerFacts[]> {
  const servers = settings.targets.flatMap((target): readonly ServerTarget[] => {
    if (target.kind === 'sentinel') return [];
    return target.kind === 'cluster' ? target.seeds : [target];
  });
  if (servers.length === 0) {
    throw new Error('Redis behind Sentinel is not asked: name one server with --set engine.redis.address=…');
  }
  return Promise.all(servers.map((server) => askServer(server, settings, deps)));
}

async function askServer(
  target: ServerTarget,
  settings: RedisSettings,
  { wallMs }: RedisReaderDeps,
): Promise<RedisServerFacts> {
  const name = target.kind === 'socket' ? target.path : `${target.host}:${target.port}`;
  const { retryStrategy: _, ...options } = connectionOptions(target, settings, 'holdfast-doctor', () => 0);
  const redis = new Redis({ ...options, retryStrategy: () => null });
  let failure = 'it does not answer';
  redis.on('error', (error: Error) => {
    failure = error.message;
  });
  try {
    await redis.connect();
    const info = await redis.info();
    const askedMs = wallMs();
    const [seconds, microseconds] = await redis.time();
    const halfwayMs = (askedMs + wallMs()) / 2;
    const theirsMs = Number(seconds) * 1000 + Number(microseconds) / 1000;
    return {
      name,
      version: infoField(info, 'redis_version'),
      role: infoField(info, 'role'),
      clockOffsetMs: Math.round(theirsMs - halfwayMs),
      settings: await settingsOf(redis),
    };
  } catch (error) {
    const reason = messageOf(error);
    const said = /closed/i.test(reason) ? failure : reason;
    throw new Error(`Redis at ${name}: ${said}`, { cause: error });
  } finally {
    redis.disconnect();
  }
}

/** Undefined when this user may not, or the provider has taken the command away. */
async function settingsOf(redis: Redis): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const answers = await Promise.all(SETTINGS.map((name) => redis.call('CONFIG', 'GET', name)));
    return new Map(answers.flatMap(pairs));
  } catch {
    return undefined;
  }
}

/** A flat list of names and values, or a map: it depends on the version of the wire protocol. */
function pairs(answer: unknown): Array<readonly [string, string]> {
  if (answer instanceof Map) return Array.from(answer, ([name, value]) => [String(name), String(value)]);
  if (!Array.isArray(answer)) {
    if (typeof answer !== 'object' || answer === null) return [];
    return Object.entries(answer).map(([name, value]) => [name, String(value)]);
  }
  const words = answer.map(String);
  return words.flatMap((name, at) => (at % 2 === 0 ? [[name, words[at + 1] ?? ''] as const] : []));
}

function infoField(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
}
