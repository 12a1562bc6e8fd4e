// Condenses what the primary knows of its host into the figures that decide how much more it should get.
import type { HostRoom } from '../cluster/load/agent-score.ts';
import type { HostLoad } from '../cluster/load/host-load.ts';
import type { HostStatus, WorkerStatus } from '../cluster/load/host-status.ts';
import type { Config } from '../config/schema.ts';
import { residentBytes } from '../util/memory.ts';

export function hostRoom(
  {
    connections,
    connectionsAllowed,
    workers,
  }: Pick<HostStatus, 'connections' | 'connectionsAllowed' | 'workers'>,
  { client }: Pick<Config, 'client'>,
  load: Pick<HostLoad, 'cpuShare' | 'memoryBytes'>,
): HostRoom {
  const sum = (read: (worker: WorkerStatus) => number | null): number =>
    workers.reduce((total, worker) => total + (read(worker) ?? 0), 0);
  const { memoryBytes } = load;
  return {
    connections,
    connectionLimit: connectionLimit(client.connection_limit, connectionsAllowed),
    loopLagMs: Math.max(0, ...workers.map(({ loopLagMs }) => loopLagMs ?? 0)),
    cpuShare: load.cpuShare,
    memoryShare: (sum(({ rssBytes }) => rssBytes) + residentBytes()) / memoryBytes,
    outboxShare: sum(({ outboxBytes }) => outboxBytes) / memoryBytes,
  };
}

/** As many as its workers take together, which is `client.connection_limit` rounded up to a multiple of them. */
export function placesOfHost({ client, workers }: Config, byDescriptors: number | null): number {
  const shares = Math.ceil(client.connection_limit / workers) * workers;
  return connectionLimit(shares, byDescriptors) ?? Infinity;
}

/** What is reached first. */
function connectionLimit(configured: number, byDescriptors: number | null): number | undefined {
  const limit = Math.min(configured > 0 ? configured : Infinity, byDescriptors ?? Infinity);
  return limit === Infinity ? undefined : limit;
}
