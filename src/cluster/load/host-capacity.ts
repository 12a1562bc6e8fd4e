// How full this host is and how many connections it can still take: what scales a fleet out and in. Pure.
import { type HostRoom, ROOM_LIMITS } from './agent-score.ts';
import type { HostStatus } from './host-status.ts';

/** Shares of what the host can bear: 0 is idle, 1 is full. */
export interface Utilisation {
  /** The worst of the others: what decides. */
  readonly host: number;
  readonly connections: number;
  readonly cpu: number;
  readonly eventLoop: number;
  readonly memory: number;
  readonly outboxes: number;
}

export interface HostCapacity {
  readonly utilisation: Utilisation;
  /** By configuration or by descriptors; null when neither says. */
  readonly connectionLimit: number | null;
  /** Connections that would be taken now; null when no limit is known. */
  readonly acceptHeadroom: number | null;
  /** New connections a second that it takes; null until that was measured. */
  readonly acceptRate: number | null;
}

export type HostReport = HostStatus & { readonly capacity: HostCapacity };

/** `takesClients`: not draining, and a worker is ready. */
export function hostCapacity(room: HostRoom, takesClients: boolean, acceptRate?: number): HostCapacity {
  const { connections, connectionLimit } = room;
  const parts = {
    connections:
      connectionLimit === undefined ? 0 : share(connections, Math.max(connectionLimit, Number.EPSILON)),
    cpu: share(room.cpuShare, ROOM_LIMITS.cpuShare.bad),
    eventLoop: share(room.loopLagMs, ROOM_LIMITS.loopLagMs.bad),
    memory: share(room.memoryShare, ROOM_LIMITS.memoryShare.bad),
    outboxes: share(room.outboxShare, ROOM_LIMITS.outboxShare.bad),
  };
  const headroom = connectionLimit === undefined ? null : Math.max(0, connectionLimit - connections);
  return {
    utilisation: { host: Math.max(...Object.values(parts)), ...parts },
    connectionLimit: connectionLimit ?? null,
    acceptHeadroom: takesClients ? headroom : 0,
    acceptRate: acceptRate === undefined ? null : Math.round(acceptRate),
  };
}

/** Three digits, never beyond 1: more than full is full. */
function share(value: number, full: number): number {
  return Math.min(1, Math.round((value / full) * 1_000) / 1_000);
}
