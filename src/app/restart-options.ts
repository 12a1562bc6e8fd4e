// Options that belong to the primary or to all workers at once: a reload, which replaces workers one by one, cannot change
// them.
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/schema.ts';

const FIXED = [
  ['workers', ({ workers }: Config) => workers],
  ['http_server.address', ({ http_server: { address } }: Config) => address],
  ['http_server.port', ({ http_server: { port } }: Config) => port],
  ['http_server.unix_socket', ({ http_server: { unix_socket: path } }: Config) => path],
  ['engine', ({ engine }: Config) => engine],
  ['agent_check', ({ agent_check: agentCheck }: Config) => agentCheck],
  ['control.socket', ({ control }: Config) => control.socket],
  ['shutdown.timeout', ({ shutdown }: Config) => shutdown.timeout],
] as const;

/** Names of those that differ. */
export function restartOptions(before: Config, after: Config): readonly string[] {
  return FIXED.flatMap(([name, read]) => (isDeepStrictEqual(read(before), read(after)) ? [] : [name]));
}
