// What the primary says of its host: the status, how much more it should get, and the word for HAProxy's agent check.
import { agentAnswer, type HostRoom } from '../cluster/load/agent-score.ts';
import type { Drain } from '../cluster/drain/drain.ts';
import type { Heartbeat } from '../cluster/load/heartbeat.ts';
import { hostCapacity, type HostReport } from '../cluster/load/host-capacity.ts';
import { HostLoad } from '../cluster/load/host-load.ts';
import { hostStatus, type HostStatus } from '../cluster/load/host-status.ts';
import type { Supervisor } from '../cluster/supervisor.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../util/clock.ts';
import { hostRoom } from './host-room.ts';
import type { PrimaryAdmission } from './primary-admission.ts';
import type { OpenDoors } from './primary-doors.ts';
import type { PrimaryMetrics } from './primary-metrics.ts';

interface PrimaryReportDeps {
  readonly clock: Clock;
  readonly version: string;
  readonly supervisor: Supervisor;
  readonly admission: PrimaryAdmission;
  readonly heartbeat: Heartbeat;
  readonly metrics: PrimaryMetrics;
  readonly drain: () => Drain;
  /** Another primary takes who comes to the doors of this one. */
  readonly isPassingOn: () => boolean;
  /** What the workers serve with. */
  readonly config: () => Config;
  /** By the limit on descriptors; null for none. */
  readonly connectionsAllowed: number | null;
}

export class PrimaryReport {
  readonly #deps: PrimaryReportDeps;
  readonly #agentCheck: Config['agent_check'];
  readonly #load: HostLoad;
  #servingSinceMs = 0;
  #listening: readonly string[] = [];
  #internal: readonly string[] = [];

  constructor(deps: PrimaryReportDeps, config: Config) {
    this.#deps = deps;
    this.#agentCheck = config.agent_check;
    this.#load = new HostLoad(() => deps.clock.monotonicMs());
  }

  /** Where clients are taken; empty before the doors are open. */
  get listening(): readonly string[] {
    return this.#listening;
  }

  /** On the monotonic clock. */
  get servingSinceMs(): number {
    return this.#servingSinceMs;
  }

  /** `sinceMs`: of another primary of this gateway, which had them open before. */
  opened(doors: Pick<OpenDoors, 'listening' | 'internal'>, sinceMs?: number): void {
    this.#listening = doors.listening;
    this.#internal = doors.internal;
    this.servesAnew();
    if (sinceMs !== undefined) this.#servingSinceMs = sinceMs;
  }

  /** From now on the agent check lets clients come little by little. */
  servesAnew(): void {
    this.#servingSinceMs = this.#deps.clock.monotonicMs();
  }

  report(): HostReport {
    const status = this.#status();
    const takesClients = !status.draining && hasWorkers(status);
    const { acceptRate } = this.#deps.admission.desk;
    return { ...status, capacity: hostCapacity(this.#room(status), takesClients, acceptRate) };
  }

  agentAnswer(): string {
    const { ready_time: readyMs, ramp: rampMs } = this.#agentCheck;
    const status = this.#status();
    const facts = {
      draining: status.draining,
      servingMs: this.#deps.clock.monotonicMs() - this.#servingSinceMs,
      // Those of the other primary, once it is at the same doors.
      hasWorkers: hasWorkers(status) || this.#deps.isPassingOn(),
      room: this.#room(status),
    };
    return agentAnswer(facts, { readyMs, rampMs });
  }

  #status(): HostStatus {
    const { clock, version, supervisor, admission, heartbeat, metrics, drain, connectionsAllowed } =
      this.#deps;
    const parts = { supervisor, assigner: admission.assigner, heartbeat, drain: drain() };
    const facts = {
      version,
      listening: this.#listening,
      internal: this.#internal,
      connectionsAllowed,
      refused: metrics.refusals,
      queued: admission.queued,
    };
    return hostStatus(parts, facts, clock.monotonicMs());
  }

  #room(status: HostStatus): HostRoom {
    return hostRoom(status, this.#deps.config(), this.#load);
  }
}

function hasWorkers({ workers }: HostStatus): boolean {
  return workers.some(({ state, overloaded }) => state === 'ready' && !overloaded);
}
