// socket.io with connection state recovery on a Redis, as one host that is restarted while another one goes on publishing.
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { startRedis } from './redis-hosts.ts';
import { RunningServer, type ServerUnderTest } from './running.ts';
import { announcedPort, freePort, program, started, type StartOptions, type Subject } from './subjects.ts';

export const ROOM = 'everybody';

export class RecoveringServer implements ServerUnderTest {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly #redis: RunningServer;
  readonly #client: Redis;
  readonly #publisher: Server;
  readonly #nodeArgs: readonly string[];
  #server: RunningServer | undefined;

  constructor(redis: RunningServer, port: number, { nodeArgs }: StartOptions) {
    this.#redis = redis;
    this.port = port;
    this.#nodeArgs = nodeArgs;
    this.#client = new Redis({ port: redis.port, host: '127.0.0.1', replyMapping: 'legacy' });
    this.#publisher = new Server({ adapter: createAdapter(this.#client, { maxLen: 100_000 }) });
  }

  get ports(): readonly number[] {
    return [this.port];
  }
  get pids(): readonly number[] {
    return this.#server?.pids ?? [];
  }
  get redisPids(): readonly number[] {
    return this.#redis.pids;
  }
  get output(): string {
    return this.#server?.output ?? '';
  }

  async open(): Promise<void> {
    const file = program('../socketio-recovering-server.js');
    const args = [...this.#nodeArgs, file, String(this.#redis.port), String(this.port)];
    this.#server = await started(new RunningServer('socket.io', args), 1, announcedPort);
  }

  /** To everybody, from another host. */
  publish(n: number): void {
    this.#publisher.to(ROOM).emit('p', n);
  }

  /** As a deploy does it: the process ends in order, and comes again on the same port. */
  async restart(): Promise<void> {
    await this.#server?.stop();
    await this.open();
  }

  assertUnchanged(): void {
    this.#redis.assertUnchanged();
  }

  async stop(): Promise<void> {
    // It has no HTTP server that could be closed.
    await this.#publisher.of('/').adapter.close();
    this.#client.disconnect();
    await this.#server?.stop();
    await this.#redis.stop();
  }

  kill(): void {
    this.#server?.kill();
    this.#redis.kill();
  }
}

export const recoveringSocketio: Subject = {
  name: 'socket.io with recovery',
  dialect: 'socket.io',
  workers: 1,
  async start(options) {
    const redis = await startRedis();
    const server = new RecoveringServer(redis, await freePort(), options);
    try {
      await server.open();
      return server;
    } catch (error) {
      server.kill();
      throw error;
    }
  },
};
