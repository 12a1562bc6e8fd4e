// How the primary evens out its workers: by command, and by itself when the configuration says so.
import type { ConnectionAssigner } from '../cluster/assignment/connection-assigner.ts';
import type { Heartbeat } from '../cluster/load/heartbeat.ts';
import type { OneAtATime } from '../cluster/control/one-at-a-time.ts';
import type { OrderedMoves } from '../cluster/moves/ordered-moves.ts';
import {
  Rebalance,
  RebalanceError,
  type RebalancePolicy,
  type RebalanceProgress,
} from '../cluster/moves/rebalance.ts';
import type { RebalancePlan, WeighedWorker } from '../cluster/moves/rebalance-plan.ts';
import { initialWatch, lookAt } from '../cluster/moves/rebalance-watch.ts';
import type { Supervisor } from '../cluster/supervisor.ts';
import { AverageLoads } from '../cluster/load/average-loads.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../observe/logger.ts';
import { systemClock } from '../util/clock.ts';
import type { PrimaryMetrics } from './primary-metrics.ts';

export interface PrimaryRebalanceDeps {
  readonly logger: Logger;
  readonly supervisor: Supervisor;
  readonly assigner: ConnectionAssigner;
  readonly heartbeat: Heartbeat;
  readonly metrics: PrimaryMetrics;
  readonly moves: OrderedMoves;
  readonly changes: OneAtATime;
  /** As it is now: a reload changes it. */
  readonly config: () => Config;
  readonly isLeaving: () => boolean;
}

type Trigger = 'command' | 'automatic';

export class PrimaryRebalance {
  readonly #deps: PrimaryRebalanceDeps;
  readonly #rebalance: Rebalance;
  #watch = initialWatch;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(deps: PrimaryRebalanceDeps) {
    this.#deps = deps;
    const { logger, supervisor, assigner, heartbeat, moves } = deps;
    const loads = new AverageLoads(systemClock, () => deps.config().handoff.rebalance.window);
    this.#rebalance = new Rebalance({
      clock: systemClock,
      logger,
      supervisor,
      heartbeat,
      loads,
      moves,
      connections: (process) => assigner.clientsOf(process),
    });
    supervisor.observe(loads);
  }

  /** Empty while they are not known. */
  get workerLoads(): readonly WeighedWorker[] {
    return this.#rebalance.plan(this.#policy)?.workers ?? [];
  }

  /** Begins to look after the balance, if the configuration wants it, now or after a reload. */
  start(): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(this.#onTimer, this.#deps.config().handoff.rebalance.interval);
  }

  /** `params` as `holdfast rebalance` sends them. Resolves to the plan of a dry run, else to how it ended. */
  command(params: unknown, onProgress: (value: unknown) => void): Promise<RebalancePlan | RebalanceProgress> {
    const wanted = { ...this.#policy, ...overrides(params) };
    return isDryRun(params) ? this.#rebalance.planned(wanted) : this.#run('command', wanted, onProgress);
  }

  abort(reason: string): boolean {
    return this.#rebalance.abort(reason);
  }

  /** May be called twice. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.abort('the gateway ends');
  }

  get #policy(): RebalancePolicy {
    const { threshold, min_connections: minConnections, per_second: perSecond } = this.#settings;
    return { imbalance: threshold / 100, minConnections, perSecond };
  }

  get #settings(): Config['handoff']['rebalance'] {
    return this.#deps.config().handoff.rebalance;
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    void this.#lookAfterIt().then(() => this.start());
  };

  async #lookAfterIt(): Promise<void> {
    const { changes, isLeaving } = this.#deps;
    if (!this.#settings.enabled || changes.current !== undefined || isLeaving()) return;
    const policy = this.#policy;
    const plan = this.#rebalance.plan(policy);
    if (plan === undefined) return;
    const [watch, isDue] = lookAt(this.#watch, plan);
    this.#watch = watch;
    // What stops it is in the log; the next look decides anew.
    if (isDue) await this.#run('automatic', policy, ignore).catch(ignore);
  }

  #run(
    trigger: Trigger,
    policy: RebalancePolicy,
    onProgress: (value: RebalanceProgress) => void,
  ): Promise<RebalanceProgress> {
    const { changes, metrics, isLeaving } = this.#deps;
    const work = async (): Promise<RebalanceProgress> => {
      if (isLeaving()) throw new RebalanceError('this host is leaving');
      let moved = 0;
      let result: 'done' | 'failed' = 'failed';
      try {
        const done = await this.#rebalance.run(policy, (progress) => {
          ({ moved } = progress);
          onProgress(progress);
        });
        result = 'done';
        return done;
      } finally {
        metrics.rebalanced(trigger, result, moved);
      }
    };
    // Nobody waits for one that nobody asked for: a command takes precedence.
    const yieldTo = (other: string): void => void this.#rebalance.abort(`${other} takes precedence`);
    return changes.run('rebalancing', work, trigger === 'automatic' ? yieldTo : undefined);
  }
}

function isDryRun(params: unknown): boolean {
  return typeof params === 'object' && params !== null && 'dryRun' in params && params.dryRun === true;
}

function overrides(params: unknown): Partial<RebalancePolicy> {
  if (typeof params !== 'object' || params === null) return {};
  const threshold = 'threshold' in params ? params.threshold : undefined;
  const perSecond = 'perSecond' in params ? params.perSecond : undefined;
  return {
    ...(isPositive(threshold) ? { imbalance: threshold / 100 } : {}),
    ...(isPositive(perSecond) ? { perSecond } : {}),
  };
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}

function ignore(): void {
  // Nobody watches.
}
