// Several hosts with one worker each, on one real Redis that is started with them.
import { asError } from '../../../src/util/errors.ts';
import type { DialectName } from '../load/dialects.ts';
import { RunningServer, type ServerUnderTest } from './running.ts';
import {
  announcedPort,
  freePort,
  program,
  started,
  startHoldfast,
  type StartOptions,
  type Subject,
} from './subjects.ts';

const HOSTS = 2;

type StartHost = (redisPort: number, options: StartOptions) => Promise<RunningServer>;

class RedisHosts implements ServerUnderTest {
  readonly host = '127.0.0.1';
  readonly #redis: RunningServer;
  readonly #hosts: readonly RunningServer[];

  constructor(redis: RunningServer, hosts: readonly RunningServer[]) {
    this.#redis = redis;
    this.#hosts = hosts;
  }

  get ports(): readonly number[] {
    return this.#hosts.map(({ port }) => port);
  }
  get port(): number {
    return this.ports[0] ?? 0;
  }
  get pids(): readonly number[] {
    return this.#hosts.flatMap(({ pids }) => pids);
  }
  get redisPids(): readonly number[] {
    return this.#redis.pids;
  }
  get output(): string {
    return this.#hosts.map(({ output }) => output).join('');
  }

  assertUnchanged(): void {
    for (const each of [...this.#hosts, this.#redis]) each.assertUnchanged();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#hosts.map(async (host) => host.stop()));
    await this.#redis.stop();
  }

  kill(): void {
    for (const each of [...this.#hosts, this.#redis]) each.kill();
  }
}

function onRedis(name: string, dialect: DialectName, startHost: StartHost): Subject {
  return {
    name,
    dialect,
    workers: HOSTS,
    async start(options) {
      const redis = await startRedis();
      const starting = Array.from({ length: HOSTS }, async () => startHost(redis.port, options));
      const hosts = (await Promise.allSettled(starting)).map((settled) =>
        settled.status === 'fulfilled' ? settled.value : failureOf(settled.reason),
      );
      const running = hosts.filter((host) => host instanceof RunningServer);
      const failure = hosts.find((host) => host instanceof Error);
      if (failure === undefined) return new RedisHosts(redis, running);
      new RedisHosts(redis, running).kill();
      throw failure;
    },
  };
}

function failureOf(reason: unknown): Error {
  return asError(reason);
}

/** Without persistence, as both sides are run where speed counts. */
export async function startRedis(): Promise<RunningServer> {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = new RunningServer('redis-server', args, undefined, 'redis-server');
  return started(server, 1, async (output) =>
    Promise.resolve(/ready to accept connections/i.test(output) ? port : undefined),
  );
}

export const socketioRedis = (adapter: 'pubsub' | 'streams'): Subject =>
  onRedis(
    adapter === 'pubsub' ? 'socket.io redis' : 'socket.io redis streams',
    'socket.io',
    async (redisPort, { acknowledge, nodeArgs }) => {
      const file = program('../socketio-redis-server.js');
      const args = [...nodeArgs, file, String(redisPort), adapter, acknowledge ? 'ack' : ''];
      return started(new RunningServer('socket.io', args), 1, announcedPort);
    },
  );

export const holdfastRedis = (variant?: 'with history'): Subject =>
  onRedis(
    variant === undefined ? 'holdfast redis' : 'holdfast redis with history',
    'holdfast',
    async (redisPort, { nodeArgs }) =>
      startHoldfast({ name: 'holdfast', workers: 1, nodeArgs, history: variant !== undefined, redisPort }),
  );
