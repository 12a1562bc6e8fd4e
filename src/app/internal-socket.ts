// The internal port over the replacement of the primary: node:cluster opened it, so it is found by what the kernel says, and
// workers of the next primary are told its descriptor there.
import { inodeOf, listeningDescriptor } from '../cluster/listening-descriptor.ts';
import type { Config } from '../config/schema.ts';
import { UnavailableError } from '../util/errors.ts';
import type { Sockets } from './primary-doors.ts';

/** The socket of this process; none when there is no internal port. Throws UnavailableError when it cannot be found. */
export function internalSocket(
  config: Config,
  addresses: readonly string[],
  known: readonly number[],
): Sockets {
  if (config.http_server.internal_port === null) return [];
  const port = Number(/:(\d+)$/.exec(addresses[0] ?? '')?.[1]);
  const fd = Number.isNaN(port) ? undefined : listeningDescriptor(port, known);
  if (fd === undefined) throw new UnavailableError('the descriptor of the internal port cannot be found');
  return [[internalPlace(config), fd]];
}

/** For workers that are told to listen at the internal port of this configuration: its descriptor, while it is that. */
export function inheritedInternal(sockets: Sockets): (config: unknown) => number | null {
  const inodes = new Map(sockets.map(([, fd]) => [fd, inodeOf(fd)]));
  return (config) => {
    // What workers are started with has been validated as such.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    const place = internalPlace(config as Config);
    const fd = sockets.find(([inherited]) => inherited === place)?.[1];
    // node:cluster closes it with the last worker that used it; from then on it is opened anew.
    return fd !== undefined && inodeOf(fd) === inodes.get(fd) ? fd : null;
  };
}

/** What it is called between two primaries. */
export function internalPlace({
  http_server: { internal_address: address, internal_port: port },
}: Config): string {
  return `internal ${address} ${port}`;
}
