// Gathers all facts: each by its own reader, so that one that fails leaves only its own rules without an answer.
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import type { Config } from '../config/schema.ts';
import type { RedisSettings } from '../engine/redis/settings.ts';
import type { Clock } from '../util/clock.ts';
import { ConfigError, messageOf } from '../util/errors.ts';
import {
  type DescriptorFact,
  type Fact,
  factOf,
  type Facts,
  known,
  type MemoryFigures,
  unknown,
} from './facts.ts';
import { clock as clockFact } from './read/clock.ts';
import { type HaproxyConfig, parseHaproxyConfig } from './read/haproxy-config.ts';
import { conntrack, descriptorsOf, memory, portRange, sysctlNumber } from './read/machine.ts';
import { redisServers } from './read/redis.ts';
import { readUnit, readUnitFile, type UnitFile, unitLimit, unitSetting } from './read/unit-file.ts';

export interface GatherOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where the file system of the machine begins. */
  readonly root: string;
  readonly haproxyFile: string | undefined;
  /** Name or file. */
  readonly unit: string | undefined;
  readonly connections: number | undefined;
  /** Undefined with the embedded engine. */
  readonly redis: RedisSettings | undefined;
  /** Of the gateway that runs here, when one does. */
  readonly gatewayPid: number | undefined;
  readonly measure: (() => Promise<MemoryFigures>) | undefined;
}

const HAPROXY_FILE = 'etc/haproxy/haproxy.cfg';
const UNIT = 'holdfast.service';

/** Rejects with ConfigError when a file that was named is not there. */
export async function gather(options: GatherOptions): Promise<Facts> {
  const { config, root, redis, measure } = options;
  const unit = await factOf(() => unitOf(options.unit, root));
  const haproxy = await factOf(() => haproxyOf(options.haproxyFile, root));
  // What was asked for by name has to be there; and it is said before the measurement.
  if (options.unit !== undefined) expectKnown(unit);
  if (options.haproxyFile !== undefined) expectKnown(haproxy);
  // Before the others: they would disturb it.
  const figures =
    measure === undefined ? unknown('memory is measured with --connections N') : await factOf(measure);
  const number = (name: string): Promise<Fact<number>> => factOf(() => sysctlNumber(name, root));
  return {
    config: known(config),
    plan: planOf(options),
    node: known({ version: process.version, todayMs: options.clock.wallMs() }),
    cores: known(availableParallelism()),
    memory: await factOf(() => memoryOf(root)),
    heapLimitBytes: known(getHeapStatistics().heap_size_limit),
    figures,
    descriptors: await factOf(() => descriptorsFor(options, unit)),
    descriptorsPerProcess: await number('fs.nr_open'),
    descriptorsOfMachine: await number('fs.file-max'),
    acceptBacklog: await number('net.core.somaxconn'),
    synBacklog: await number('net.ipv4.tcp_max_syn_backlog'),
    ports: await factOf(() => portRange(root)),
    conntrack: await factOf(() => conntrack(root)),
    clock: await factOf(() => clockFact(options.environment)),
    haproxy,
    haproxyUnit: await factOf(() => readUnit('haproxy.service', root)),
    unit,
    redis: redis === undefined ? known([]) : await factOf(() => redisServers(redis, options.clock)),
  };
}

function expectKnown(fact: Fact<unknown>): void {
  if (!fact.known) throw new ConfigError(fact.why);
}

function planOf({ connections, config }: GatherOptions): Facts['plan'] {
  if (connections !== undefined) return known({ connections, source: '--connections' });
  const limit = config.client.connection_limit;
  if (limit > 0) return known({ connections: limit, source: 'client.connection_limit' });
  return unknown('no number of connections is planned (--connections N, or client.connection_limit)');
}

/** What a container or a slice may take counts when it is less than the machine has. */
function memoryOf(root: string): { readonly totalBytes: number; readonly availableBytes: number } {
  const machine = memory(root);
  const allowed = process.constrainedMemory();
  const totalBytes = allowed > 0 ? Math.min(machine.totalBytes, allowed) : machine.totalBytes;
  return { totalBytes, availableBytes: Math.min(machine.availableBytes, totalBytes) };
}

function descriptorsFor({ gatewayPid, root }: GatherOptions, unit: Fact<UnitFile>): DescriptorFact {
  if (gatewayPid !== undefined) return descriptorsOf(gatewayPid, 'the gateway that runs here', root);
  const limit = unit.known ? unitLimit(unitSetting(unit.value, 'LimitNOFILE') ?? '') : undefined;
  if (limit !== undefined && unit.known) return { hard: limit, of: `LimitNOFILE of ${unit.value.name}` };
  return descriptorsOf('self', 'of this shell', root);
}

async function haproxyOf(file: string | undefined, root: string): Promise<HaproxyConfig> {
  const path = file ?? join(root, HAPROXY_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new Error(`${path} cannot be read (--haproxy FILE): ${messageOf(error)}`, { cause: error });
  }
  return parseHaproxyConfig(text, path);
}

function unitOf(unit: string | undefined, root: string): UnitFile {
  if (unit === undefined) return readUnit(UNIT, root);
  return unit.includes('/') ? readUnitFile(unit) : readUnit(unit, root);
}
