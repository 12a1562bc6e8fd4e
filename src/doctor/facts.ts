// What the doctor knows. Each fact is gathered on its own and may be missing, with the reason why.
import type { Config } from '../config/schema.ts';
import { messageOf } from '../util/errors.ts';
import type { HaproxyConfig } from './read/haproxy-config.ts';
import type { UnitFile } from './read/unit-file.ts';

export type Fact<T> =
  { readonly known: true; readonly value: T } | { readonly known: false; readonly why: string };

export interface DescriptorFact {
  readonly hard: number;
  /** Whose limit it is, for people. */
  readonly of: string;
}

export interface PortRange {
  readonly from: number;
  readonly to: number;
  /** Ports in it that nobody is given unasked (net.ipv4.ip_local_reserved_ports), each as first and last. */
  readonly reserved: ReadonlyArray<readonly [first: number, last: number]>;
}

export interface RedisServerFacts {
  /** Without user and password. */
  readonly name: string;
  readonly version: string;
  readonly role: string;
  /** Of its clock against that of this machine. */
  readonly clockOffsetMs: number;
  /** Settings by name; undefined when this user may not read them. */
  readonly settings: ReadonlyMap<string, string> | undefined;
}

/** What idle connections cost a worker, as it was measured on this machine. */
export interface MemoryFigures {
  /** How many connections were opened for it. */
  readonly sample: number;
  readonly primaryBytes: number;
  /** A worker without connections. */
  readonly workerBytes: number;
  readonly connectionBytes: number;
}

export interface FactValues {
  readonly config: Config;
  /** Connections that this host is to hold, and who says so. */
  readonly plan: { readonly connections: number; readonly source: string };
  readonly node: { readonly version: string; readonly todayMs: number };
  readonly cores: number;
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number };
  readonly heapLimitBytes: number;
  readonly figures: MemoryFigures;
  readonly descriptors: DescriptorFact;
  /** fs.nr_open: what a hard limit of descriptors may be. */
  readonly descriptorsPerProcess: number;
  /** fs.file-max */
  readonly descriptorsOfMachine: number;
  /** net.core.somaxconn */
  readonly acceptBacklog: number;
  /** net.ipv4.tcp_max_syn_backlog */
  readonly synBacklog: number;
  readonly ports: PortRange;
  readonly conntrack: { readonly loaded: boolean; readonly max: number };
  readonly clock: { readonly synchronised: boolean };
  readonly haproxy: HaproxyConfig;
  readonly haproxyUnit: UnitFile;
  readonly unit: UnitFile;
  /** None with the embedded engine. */
  readonly redis: readonly RedisServerFacts[];
}

export type FactName = keyof FactValues;
export type Facts = { readonly [K in FactName]: Fact<FactValues[K]> };

export function known<T>(value: T): Fact<T> {
  return { known: true, value };
}

export function unknown(why: string): Fact<never> {
  return { known: false, why };
}

/** Whatever a reader throws is the reason why its fact is not known. */
export async function factOf<T>(read: () => T | Promise<T>): Promise<Fact<T>> {
  try {
    return known(await read());
  } catch (error) {
    return unknown(messageOf(error));
  }
}
