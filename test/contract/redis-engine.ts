// The Redis engine for the contract suites and component tests: clients of a real Redis. Time passes there by shortening
// what lives for a limited time.
import { randomBytes } from 'node:crypto';
import { RedisEngineClient, type RedisEngineClientDeps } from '../../src/engine/redis/engine-client.ts';
import type { RedisSettings } from '../../src/engine/redis/settings.ts';
import { systemClock } from '../../src/util/clock.ts';
import { type RedisServer, settings, startRedis } from '../helpers/redis.ts';
import type { Scope } from '../helpers/scope.ts';
import { type EngineClient, type EngineUnderTest, Recording } from './engine-under-test.ts';

export interface RedisEngineTestClient extends EngineClient {
  readonly engineClient: RedisEngineClient;
}

export class RedisEngine implements EngineUnderTest {
  readonly goesOnAlone = true;
  readonly servers: readonly RedisServer[];
  readonly settings: RedisSettings;
  readonly #scope: Scope;

  constructor(scope: Scope, servers: readonly RedisServer[], itsSettings: RedisSettings) {
    this.#scope = scope;
    this.servers = servers;
    this.settings = itsSettings;
  }

  async client(over: Partial<RedisEngineClientDeps> = {}): Promise<RedisEngineTestClient> {
    const events = new Recording();
    const client = new RedisEngineClient({
      clock: systemClock,
      random: Math.random,
      settings: this.settings,
      node: randomBytes(12).toString('hex'),
      listener: events,
      ...over,
    });
    this.#scope.teardown(() => client.close());
    await client.connect();
    const { broker, presence, nodes } = client;
    return { broker, presence, nodes, events, engineClient: client, close: () => client.close() };
  }

  /** Leases are left alone: live workers would have renewed theirs. */
  async elapse(ms: number): Promise<void> {
    for (const { admin } of this.servers) {
      for (const key of await admin.keys('*')) {
        const leftMs = await admin.pttl(key);
        if (leftMs < 0) continue;
        if (leftMs > ms) await admin.pexpire(key, leftMs - ms);
        else await admin.del(key);
      }
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill()));
  }

  async start(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.start()));
  }
}

export async function startRedisEngine(
  scope: Scope,
  over: Partial<RedisSettings> = {},
): Promise<RedisEngine> {
  const server = await startRedis(scope);
  return new RedisEngine(scope, [server], settings(server.target, over));
}
