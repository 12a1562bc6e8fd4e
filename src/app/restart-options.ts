// Options that belong to the primary or to all workers at once: a reload, which replaces workers one by one, cannot change
// them.
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/schema.ts';
import { isFields } from '../util/fields.ts';

const FIXED = [
  ['workers', ({ workers }: Config) => workers],
  ['http_server.address', ({ http_server: { address } }: Config) => address],
  ['http_server.port', ({ http_server: { port } }: Config) => port],
  ['http_server.internal_address', ({ http_server: { internal_address: address } }: Config) => address],
  ['http_server.internal_port', ({ http_server: { internal_port: port } }: Config) => port],
  ['http_server.unix_socket', ({ http_server: { unix_socket: path } }: Config) => path],
  ['engine', ({ engine }: Config) => engine],
  ['agent_check', ({ agent_check: agentCheck }: Config) => agentCheck],
  ['control.socket', ({ control }: Config) => control.socket],
  ['shutdown.timeout', ({ shutdown }: Config) => shutdown.timeout],
] as const;

/**
 * Names of options, below `name`, that differ. The two may be of different versions: what only one of them knows counts as the
 * same.
 */
export function differing(before: unknown, after: unknown, name: string): readonly string[] {
  if (isFields(before) && isFields(after)) {
    return Object.keys(before)
      .filter((key) => key in after)
      .flatMap((key) => differing(before[key], after[key], `${name}.${key}`));
  }
  return isDeepStrictEqual(before, after) ? [] : [name];
}

/** Names of those that differ. */
export function restartOptions(before: Config, after: Config): readonly string[] {
  return FIXED.flatMap(([name, read]) => (isDeepStrictEqual(read(before), read(after)) ? [] : [name]));
}
