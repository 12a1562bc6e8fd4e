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

/** What the primary has let in and what waits for it. */
export interface Arrived {
  readonly clients: number;
  /** Requests that begin no connection, and are not answered yet: they have descriptors, but nobody's place. */
  readonly requests: number;
  readonly queued: number;
}

/**
 * Whether there is room for one client more: of places there are as many as the workers take together, which is
 * `client.connection_limit` rounded up to a multiple of them.
 */
export function isFull(
  { clients, requests, queued }: Arrived,
  { client, workers }: Pick<Config, 'client' | 'workers'>,
  byDescriptors: number | null,
): boolean {
  const limit = client.connection_limit;
  const places = limit > 0 ? Math.ceil(limit / workers) * workers : Infinity;
  return clients + queued >= places || clients + requests + queued >= (byDescriptors ?? Infinity);
}

/** What is reached first. */
function connectionLimit(configured: number, byDescriptors: number | null): number | undefined {
  const limit = Math.min(configured > 0 ? configured : Infinity, byDescriptors ?? Infinity);
  return limit === Infinity ? undefined : limit;
}
