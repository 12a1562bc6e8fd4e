// Real Redis servers for tests: on UNIX sockets or free ports, without persistence, gone after the test.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { RedisSettings, RedisTarget, RedisTls, ServerTarget } from '../../src/engine/redis/settings.ts';
import { Child } from './child.ts';
import type { Scope } from './scope.ts';
import { tempDir } from './temp-dir.ts';

const DEFAULT_SETTINGS = {
  prefix: 'test',
  connectTimeoutMs: 1000,
  ioTimeoutMs: 4000,
  presenceTtlMs: 2500,
} as const;

export function settings(target: RedisTarget, over: Partial<RedisSettings> = {}): RedisSettings {
  return { ...DEFAULT_SETTINGS, targets: [target], ...over };
}

/** Options of redis-server: `{ port: 0 }` becomes `--port 0`. */
export type ServerOptions = Readonly<Record<string, string | number>>;

/** A server that listens with TLS; `siteFile` is its certificate with the key. */
export function tlsServer(port: number, siteFile: string): ServerOptions {
  return {
    port: 0,
    'tls-port': port,
    'tls-cert-file': siteFile,
    'tls-key-file': siteFile,
    'tls-ca-cert-file': siteFile,
    'tls-auth-clients': 'no',
  };
}

/** What a client of such a server needs. */
export function tlsClient(certificate: string): RedisTls {
  return { ca: certificate, servername: 'localhost', rejectUnauthorized: true };
}

/** Listens on a UNIX socket, so that it comes back at the same place. */
export class RedisServer {
  readonly path: string;
  readonly #scope: Scope;
  readonly #directory: string;
  readonly #options: ServerOptions;
  #child: Child | undefined;
  #admin: Redis | undefined;

  constructor(scope: Scope, directory: string, options: ServerOptions) {
    this.#scope = scope;
    this.#directory = directory;
    this.#options = options;
    this.path = join(directory, 'redis.sock');
    scope.teardown(() => this.#admin?.disconnect());
  }

  get target(): ServerTarget {
    return {
      kind: 'socket',
      path: this.path,
      db: 0,
      username: undefined,
      password: undefined,
      tls: undefined,
    };
  }

  get child(): Child {
    if (this.#child === undefined) throw new Error('this Redis does not run');
    return this.#child;
  }

  /** A connection of the test's own. */
  get admin(): Redis {
    this.#admin ??= new Redis({
      path: this.path,
      password: String(this.#options['requirepass'] ?? ''),
      retryStrategy: () => 50,
    }).on('error', () => undefined);
    return this.#admin;
  }

  async start(over: ServerOptions = {}): Promise<void> {
    await this.begin(over);
    const { child } = this;
    await child.waitUntil('Redis to be ready', () => /ready to accept connections/i.test(child.output));
  }

  /** Does not wait for it to be ready. */
  async begin(over: ServerOptions = {}): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    const options: ServerOptions = {
      port: 0,
      unixsocket: this.path,
      dir: this.#directory,
      save: '',
      appendonly: 'no',
      ...this.#options,
      ...over,
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.#child = new Child(this.#scope, 'redis-server', args);
  }

  /** At once and without saving. */
  async kill(): Promise<void> {
    await this.child.stop('SIGKILL');
  }
}

export async function startRedis(scope: Scope, options: ServerOptions = {}): Promise<RedisServer> {
  const server = new RedisServer(scope, await tempDir(scope), options);
  await server.start();
  return server;
}
