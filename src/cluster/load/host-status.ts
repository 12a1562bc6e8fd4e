// What `holdfast status` shows: the host as its primary sees it. Durations in ms, sizes in bytes.
import type { ConnectionAssigner } from '../assignment/connection-assigner.ts';
import type { Drain, DrainProgress } from '../drain/drain.ts';
import type { Heartbeat, Silence } from './heartbeat.ts';
import type { SlotState } from '../slot-state.ts';
import type { SlotView } from '../slots.ts';
import type { Supervisor } from '../supervisor.ts';

export interface WorkerStatus {
  readonly slot: number;
  readonly state: SlotState['name'];
  /** During a reload: main, successor (takes over next) or retired (gives its connections away). */
  readonly role: SlotView['role'];
  readonly pid: number | null;
  readonly connections: number;
  readonly rssBytes: number | null;
  readonly heapUsedBytes: number | null;
  readonly loopLagMs: number | null;
  readonly outboxBytes: number | null;
  /** It takes nobody new until it has caught up. */
  readonly overloaded: boolean;
  readonly answering: Silence | null;
  /** Processes that this slot had before. */
  readonly restarts: number;
  /** In its state. */
  readonly sinceMs: number | null;
  /** Until the next attempt of a slot that backs off. */
  readonly retryInMs: number | null;
  readonly crashLooping: boolean;
  readonly lastFailure: string | null;
}

export interface HostStatus {
  readonly version: string;
  readonly node: string;
  readonly pid: number;
  readonly uptimeMs: number;
  readonly state: 'starting' | 'serving' | 'degraded' | 'draining';
  readonly draining: boolean;
  /** Under way, or what one would be. */
  readonly drain: DrainProgress;
  readonly listening: readonly string[];
  /** For back ends and operators; empty when they share the public places. */
  readonly internal: readonly string[];
  readonly connections: number;
  readonly connectionsAllowed: number | null;
  /** Waiting for a worker. */
  readonly held: number;
  /** New connections that wait for their turn. */
  readonly queued: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly workers: readonly WorkerStatus[];
}

export interface HostFacts {
  readonly version: string;
  readonly listening: readonly string[];
  readonly internal: readonly string[];
  readonly connectionsAllowed: number | null;
  readonly refused: Readonly<Record<string, number>>;
  readonly queued: number;
}

interface HostParts {
  readonly supervisor: Supervisor;
  readonly assigner: ConnectionAssigner;
  readonly heartbeat: Heartbeat;
  readonly drain: Drain;
}

export function hostStatus(parts: HostParts, facts: HostFacts, nowMs: number): HostStatus {
  const workers = parts.supervisor.slots().map((view) => workerStatus(parts, view, nowMs));
  return {
    version: facts.version,
    node: process.version,
    pid: process.pid,
    uptimeMs: Math.round(process.uptime() * 1000),
    state: stateOf(workers, parts.drain.draining, facts.listening),
    draining: parts.drain.draining,
    drain: parts.drain.progress,
    listening: facts.listening,
    internal: facts.internal,
    connections: workers.reduce((sum, { connections }) => sum + connections, 0),
    connectionsAllowed: facts.connectionsAllowed,
    held: parts.assigner.held,
    queued: facts.queued,
    refused: facts.refused,
    workers,
  };
}

function stateOf(
  workers: readonly WorkerStatus[],
  draining: boolean,
  listening: readonly string[],
): HostStatus['state'] {
  if (draining) return 'draining';
  if (listening.length === 0) return 'starting';
  // A worker that boots for the first time is no loss.
  const isWell = ({ role, state, restarts, answering }: WorkerStatus): boolean =>
    role !== 'main' ||
    ((state === 'ready' || (state === 'booting' && restarts === 0)) && answering !== 'hung');
  return workers.every(isWell) ? 'serving' : 'degraded';
}

function workerStatus(parts: HostParts, view: SlotView, nowMs: number): WorkerStatus {
  const { slot, role, state, process, incarnation, lastFailure } = view;
  const vitals = process === undefined ? undefined : parts.heartbeat.vitals(process);
  const silentMs = process === undefined ? 0 : parts.heartbeat.silentMs(process);
  const lagMs = silentMs > 0 ? Math.max(vitals?.loopLagMs ?? 0, silentMs) : vitals?.loopLagMs;
  return {
    slot,
    state: state.name,
    role,
    pid: process?.pid ?? null,
    connections: process === undefined ? 0 : parts.assigner.clientsOf(process),
    rssBytes: vitals?.rssBytes ?? null,
    heapUsedBytes: vitals?.heapUsedBytes ?? null,
    loopLagMs: lagMs === undefined ? null : Math.round(lagMs),
    outboxBytes: vitals?.outboxBytes ?? null,
    overloaded: process !== undefined && parts.assigner.overloaded(process),
    answering: (process === undefined ? undefined : parts.heartbeat.silence(process)) ?? null,
    restarts: Math.max(0, incarnation - 1),
    sinceMs: 'sinceMs' in state ? Math.round(nowMs - state.sinceMs) : null,
    retryInMs: 'untilMs' in state ? Math.max(0, Math.round(state.untilMs - nowMs)) : null,
    crashLooping: state.crashes.looping,
    lastFailure: lastFailure ?? null,
  };
}
