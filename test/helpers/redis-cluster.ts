// A Redis Cluster of masters, without replicas unless asked for.
import { join } from 'node:path';
import type { ClusterTarget, ServerTarget } from '../../src/engine/redis/settings.ts';
import { quietPorts } from './ports.ts';
import { RedisServer, type ServerOptions } from './redis.ts';
import type { Scope } from './scope.ts';
import { tempDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

const MASTERS = 3;
const SLOTS = 16_384;

export class RedisClusterServers {
  /** In the order of their slots, as given at first. */
  readonly masters: readonly RedisServer[];
  /** One for each master, or none. */
  readonly replicas: readonly RedisServer[];
  readonly ports: readonly number[];
  readonly #busPorts: readonly number[];

  constructor(
    masters: readonly RedisServer[],
    replicas: readonly RedisServer[],
    ports: readonly number[],
    busPorts: readonly number[],
  ) {
    this.masters = masters;
    this.replicas = replicas;
    this.ports = ports;
    this.#busPorts = busPorts;
  }

  get target(): ClusterTarget {
    const credentials = { username: undefined, password: undefined, tls: undefined };
    const seeds = this.ports
      .slice(0, 2)
      .map((port): ServerTarget => ({ kind: 'server', host: '127.0.0.1', port, db: 0, ...credentials }));
    return { kind: 'cluster', seeds, ...credentials };
  }

  master(index: number): RedisServer {
    const server = this.masters[index];
    if (server === undefined) throw new Error('there is no such master');
    return server;
  }

  id(index: number): Promise<string> {
    return idOf(this.master(index));
  }

  /** The master that has this key at the moment. */
  async ownerOf(key: string): Promise<number> {
    const slot = await this.master(0).admin.cluster('KEYSLOT', key);
    const text = String(await this.master(0).admin.cluster('NODES'));
    for (const [index] of this.masters.entries()) {
      const line = text.split('\n').find((each) => each.startsWith(`${this.#ids[index] ?? ''} `));
      const ranges = line?.trim().split(' ').slice(8) ?? [];
      if (ranges.some((range) => contains(range, slot))) return index;
    }
    throw new Error(`nobody has slot ${slot}`);
  }

  /** Begins to move the slot of a key; `finish` moves the keys and ends it. */
  async beginMove(key: string, to: number): Promise<{ readonly finish: () => Promise<void> }> {
    const from = await this.ownerOf(key);
    const [source, target] = [this.master(from), this.master(to)];
    const slot = await source.admin.cluster('KEYSLOT', key);
    await target.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await this.id(from));
    await source.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', await this.id(to));
    const moveKeys = async (): Promise<void> => {
      for (;;) {
        const keys: unknown = await source.admin.call('CLUSTER', 'GETKEYSINSLOT', slot, 100);
        if (!Array.isArray(keys) || keys.length === 0) return;
        const port = this.ports[to] ?? 0;
        await source.admin.call('MIGRATE', '127.0.0.1', port, '', 0, 5000, 'KEYS', ...keys.map(String));
      }
    };
    await moveKeys();
    return {
      finish: async () => {
        await moveKeys();
        const id = await this.id(to);
        for (const server of [target, source])
          await server.admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', id);
      },
    };
  }

  async move(key: string, to: number): Promise<void> {
    await (await this.beginMove(key, to)).finish();
  }

  #ids: readonly string[] = [];

  async form(): Promise<void> {
    const all = [...this.masters, ...this.replicas];
    this.#ids = await Promise.all(this.masters.map(idOf));
    const share = Math.ceil(SLOTS / MASTERS);
    await Promise.all(
      this.masters.map(async ({ admin }, index) => {
        const last = Math.min(SLOTS, (index + 1) * share) - 1;
        await admin.call('CLUSTER', 'ADDSLOTSRANGE', index * share, last);
        await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
      }),
    );
    for (const [index, port] of this.ports.entries()) {
      const bus = this.#busPorts[index] ?? 0;
      if (index > 0) await this.master(0).admin.call('CLUSTER', 'MEET', '127.0.0.1', port, bus);
    }
    for (const server of all) {
      await waitFor('all nodes to know each other', async () => {
        const text = String(await server.admin.cluster('NODES'));
        return text.split(' connected').length === all.length + 1;
      });
    }
    await Promise.all(
      this.replicas.map(({ admin }, index) => admin.call('CLUSTER', 'REPLICATE', this.#ids[index] ?? '')),
    );
    await this.untilServing();
    for (const { admin } of this.replicas) {
      await waitFor('replication', async () =>
        (await admin.info('replication')).includes('master_link_status:up'),
      );
    }
  }

  /** Also after a restart: masters wait for each other, and a while longer. */
  async untilServing(): Promise<void> {
    for (const { admin } of [...this.masters, ...this.replicas]) {
      await waitFor('the cluster', async () => {
        const info = await admin.cluster('INFO');
        return info.includes('cluster_state:ok') && info.includes(`cluster_size:${String(MASTERS)}`);
      });
    }
  }
}

export interface ClusterOptions {
  readonly withReplicas?: boolean;
  /** Of the server at this port. */
  readonly server?: (port: number) => ServerOptions;
}

export async function startCluster(scope: Scope, options: ClusterOptions = {}): Promise<RedisClusterServers> {
  const directory = await tempDir(scope);
  const count = options.withReplicas === true ? 2 * MASTERS : MASTERS;
  const free = await quietPorts(2 * count);
  const [ports, busPorts] = [free.slice(0, count), free.slice(count)];
  const servers = ports.map(
    (port, index) =>
      new RedisServer(scope, join(directory, String(port)), {
        port,
        bind: '127.0.0.1',
        'cluster-enabled': 'yes',
        'cluster-port': busPorts[index] ?? 0,
        'cluster-config-file': 'nodes.conf',
        'cluster-node-timeout': 2000,
        'repl-diskless-sync-delay': 0,
        ...options.server?.(port),
      }),
  );
  await Promise.all(servers.map((server) => server.start()));
  const cluster = new RedisClusterServers(servers.slice(0, MASTERS), servers.slice(MASTERS), ports, busPorts);
  await cluster.form();
  return cluster;
}

async function idOf({ admin }: RedisServer): Promise<string> {
  return admin.cluster('MYID');
}

function contains(range: string, slot: number): boolean {
  const [first, last = first] = range.split('-').map(Number);
  return first !== undefined && last !== undefined && slot >= first && slot <= last;
}
