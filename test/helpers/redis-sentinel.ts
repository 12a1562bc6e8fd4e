// A master with a replica, watched by three sentinels, which fail over quickly.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { RedisTls, SentinelTarget } from '../../src/engine/redis/settings.ts';
import { Child } from './child.ts';
import type { Certificate } from './haproxy.ts';
import { quietPorts } from './ports.ts';
import { RedisServer, type ServerOptions, tlsClient, tlsServer } from './redis.ts';
import type { Scope } from './scope.ts';
import { tempDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

const MASTER_NAME = 'theirs';
const SENTINELS = 3;
const PASSWORD = 'of the servers';
const SENTINEL_PASSWORD = 'of the sentinels';

export class SentinelSet {
  /** By port. */
  readonly servers: ReadonlyMap<number, RedisServer>;
  readonly sentinelPorts: readonly number[];
  readonly #sentinel: Redis;
  readonly #tls: RedisTls | undefined;

  constructor(
    scope: Scope,
    servers: ReadonlyMap<number, RedisServer>,
    sentinelPorts: readonly number[],
    certificate: Certificate | undefined,
  ) {
    this.servers = servers;
    this.sentinelPorts = sentinelPorts;
    this.#tls = certificate && tlsClient(certificate.certificate);
    this.#sentinel = new Redis({
      port: sentinelPorts[0] ?? 0,
      host: '127.0.0.1',
      password: SENTINEL_PASSWORD,
      ...(this.#tls && { tls: this.#tls }),
    });
    scope.teardown(() => this.#sentinel.disconnect());
  }

  get target(): SentinelTarget {
    const credentials = { username: undefined, tls: this.#tls };
    return {
      kind: 'sentinel',
      masterName: MASTER_NAME,
      db: 0,
      ...credentials,
      password: PASSWORD,
      sentinels: this.sentinelPorts.map((port) => ({
        kind: 'server',
        host: '127.0.0.1',
        port,
        db: 0,
        ...credentials,
        password: SENTINEL_PASSWORD,
      })),
    };
  }

  async masterPort(): Promise<number> {
    const answer: unknown = await this.#sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME);
    return Number(Array.isArray(answer) && answer[1]);
  }

  async master(): Promise<RedisServer> {
    const server = this.servers.get(await this.masterPort());
    if (server === undefined) throw new Error('the sentinels name no master of this set');
    return server;
  }

  /** Resolves when the sentinels agree to have begun. */
  async failOver(): Promise<void> {
    await this.#sentinel.call('SENTINEL', 'FAILOVER', MASTER_NAME);
  }

  /** All is well: another failover may begin. */
  async untilReplicated(): Promise<void> {
    await waitFor('a replica that follows the master', async () => {
      const master = await this.master();
      const info = await master.admin.info('replication');
      return /slave0:.*state=online/.test(info);
    });
    await waitFor('the sentinels to know it', async () => {
      const answer: unknown = await this.#sentinel.call('SENTINEL', 'REPLICAS', MASTER_NAME);
      const text = JSON.stringify(answer);
      return text.includes('master-link-status","ok') && !text.includes('_down');
    });
    await waitFor('every sentinel to know the others', async () => {
      try {
        const answer: unknown = await this.#sentinel.call('SENTINEL', 'CKQUORUM', MASTER_NAME);
        return String(answer).startsWith(`OK ${String(SENTINELS)} `);
      } catch {
        return false;
      }
    });
  }
}

/** With a certificate all of them listen with TLS alone, and talk to each other so. */
export async function startSentinels(scope: Scope, certificate?: Certificate): Promise<SentinelSet> {
  const directory = await tempDir(scope);
  const [first = 0, second = 0, ...sentinelPorts] = await quietPorts(2 + SENTINELS);
  const make = (port: number, options: Readonly<Record<string, string>>): RedisServer =>
    new RedisServer(scope, join(directory, String(port)), {
      ...listening(port, certificate),
      bind: '127.0.0.1',
      'repl-diskless-sync-delay': 0,
      requirepass: PASSWORD,
      masterauth: PASSWORD,
      ...options,
    });
  const master = make(first, {});
  const replica = make(second, { replicaof: `127.0.0.1 ${first}` });
  await Promise.all([master.start(), replica.start()]);
  await Promise.all(
    sentinelPorts.map(async (port) => {
      const file = join(directory, `sentinel-${port}.conf`);
      await writeFile(
        file,
        [
          ...Object.entries(listening(port, certificate)).map(([name, value]) => `${name} ${value}`),
          'bind 127.0.0.1',
          `dir ${directory}`,
          `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${first} 2`,
          `sentinel auth-pass ${MASTER_NAME} "${PASSWORD}"`,
          `requirepass "${SENTINEL_PASSWORD}"`,
          `sentinel sentinel-pass "${SENTINEL_PASSWORD}"`,
          `sentinel down-after-milliseconds ${MASTER_NAME} 800`,
          `sentinel failover-timeout ${MASTER_NAME} 1000`,
          '',
        ].join('\n'),
      );
      const child = new Child(scope, 'redis-server', [file, '--sentinel']);
      await child.waitUntil('a sentinel', () => child.output.includes('+monitor master'));
    }),
  );
  const servers = new Map([
    [first, master],
    [second, replica],
  ]);
  const set = new SentinelSet(scope, servers, sentinelPorts, certificate);
  await set.untilReplicated();
  return set;
}

function listening(port: number, certificate: Certificate | undefined): ServerOptions {
  if (certificate === undefined) return { port };
  return { ...tlsServer(port, certificate.siteFile), 'tls-replication': 'yes' };
}
