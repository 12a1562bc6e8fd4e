// Evens out the load of the workers: plans, and has connections moved one pair of workers after the other, while their
// clients go on. What goes wrong ends it where it is: nothing has to be put back.
import type { Logger } from '../../observe/logger.ts';
import type { Clock } from '../../util/clock.ts';
import { HoldfastError, messageOf } from '../../util/errors.ts';
import { pause } from '../../util/pause.ts';
import type { Heartbeat } from '../load/heartbeat.ts';
import type { OrderedMoves } from './ordered-moves.ts';
import { type MoveFigures, Progress } from '../control/progress.ts';
import {
  type PlannedMove,
  planRebalance,
  type RebalancePlan,
  type RebalanceThresholds,
  type AverageLoad,
} from './rebalance-plan.ts';
import type { Supervisor } from '../supervisor.ts';
import type { AverageLoads } from '../load/average-loads.ts';
import type { WorkerProcess } from '../worker-process.ts';

export interface RebalanceDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly supervisor: Pick<Supervisor, 'slots' | 'serving' | 'immovable'>;
  readonly heartbeat: Pick<Heartbeat, 'silence'>;
  readonly loads: Pick<AverageLoads, 'rates' | 'restart'>;
  readonly moves: OrderedMoves;
  readonly connections: (process: WorkerProcess) => number;
}

export interface RebalancePolicy extends RebalanceThresholds {
  /** Connections moved in a second, at most. */
  readonly perSecond: number;
}

export interface RebalanceProgress extends MoveFigures {
  readonly state: 'measuring' | 'moving' | 'done' | 'failed';
  /** As it was found; null before it is known. */
  readonly plan: RebalancePlan | null;
  /** Slots between which connections move now; 0 for none. */
  readonly from: number;
  readonly to: number;
}

export class RebalanceError extends HoldfastError {
  constructor(message: string, options?: ErrorOptions) {
    super('HOLDFAST_REBALANCE', message, options);
  }
}

const BEGIN: RebalanceProgress = {
  state: 'measuring',
  plan: null,
  from: 0,
  to: 0,
  moved: 0,
  left: 0,
  perSecond: 0,
  leftMs: null,
};

interface MeasuredWorker {
  readonly slot: number;
  readonly process: WorkerProcess;
  /** Undefined while too little is known. */
  readonly load: AverageLoad | undefined;
}

const MEASURE_POLL_MS = 250;
/** A worker that has said nothing for so long is not waited for. */
const MEASURE_PATIENCE_MS = 30_000;

export class Rebalance {
  readonly #deps: RebalanceDeps;
  /** Of the rebalancing that is under way. */
  #progress: Progress<RebalanceProgress> | undefined;
  #aborted: string | undefined;

  constructor(deps: RebalanceDeps) {
    this.#deps = deps;
  }

  get isRunning(): boolean {
    return this.#progress !== undefined;
  }

  /** What is to be done now; undefined while some worker is not measured. */
  plan(thresholds: RebalanceThresholds): RebalancePlan | undefined {
    const loads: AverageLoad[] = [];
    for (const { load } of this.#workers()) {
      if (load === undefined) return undefined;
      loads.push(load);
    }
    return planRebalance(loads, thresholds);
  }

  /** The same, as soon as it is known. Rejects with RebalanceError when it cannot be known or done. */
  async planned(thresholds: RebalanceThresholds, check: () => void = ignore): Promise<RebalancePlan> {
    const { clock } = this.#deps;
    const giveUpMs = clock.monotonicMs() + MEASURE_PATIENCE_MS;
    for (;;) {
      check();
      this.#checkWorkers();
      const plan = this.plan(thresholds);
      if (plan !== undefined) return plan;
      if (clock.monotonicMs() >= giveUpMs) throw new RebalanceError('a worker does not say how loaded it is');
      await pause(MEASURE_POLL_MS);
    }
  }

  /** Resolves when the load is even, or was. Rejects with RebalanceError: what was moved by then stays moved. */
  async run(
    policy: RebalancePolicy,
    onProgress: (progress: RebalanceProgress) => void = ignore,
  ): Promise<RebalanceProgress> {
    if (this.isRunning) throw new RebalanceError('a rebalancing is under way already');
    const { clock, logger, loads } = this.#deps;
    this.#aborted = undefined;
    const progress = new Progress(BEGIN, onProgress);
    this.#progress = progress;
    progress.tell({});
    const startMs = clock.monotonicMs();
    try {
      const plan = await this.planned(policy, () => this.#check());
      progress.tell({ plan, left: countOf(plan.moves) });
      if (plan.moves.length > 0) await this.#moveAll(progress, plan.moves, policy.perSecond);
      const done = progress.tell({ state: 'done', from: 0, to: 0, left: 0, leftMs: 0 });
      if (plan.moves.length === 0) return done;
      const imbalance = Math.round(plan.imbalance * 1000) / 1000;
      const tookMs = Math.round(clock.monotonicMs() - startMs);
      logger.info({ moved: done.moved, imbalance, tookMs }, 'rebalanced');
      return done;
    } catch (error) {
      const { moved } = progress.tell({ state: 'failed', leftMs: null });
      const reason = messageOf(error);
      logger[this.#aborted === undefined ? 'warn' : 'info']({ reason, moved }, 'rebalancing stopped');
      throw error;
    } finally {
      if (progress.report.moved > 0) loads.restart();
      this.#progress = undefined;
    }
  }

  /** What is moved stays moved. False when nothing is under way. */
  abort(reason: string): boolean {
    if (!this.isRunning) return false;
    this.#aborted ??= reason;
    this.#deps.moves.stop();
    return true;
  }

  async #moveAll(
    progress: Progress<RebalanceProgress>,
    moves: readonly PlannedMove[],
    perSecond: number,
  ): Promise<void> {
    const processes = new Map(this.#workers().map(({ slot, process }) => [slot, process]));
    const { clock, logger } = this.#deps;
    const startMs = clock.monotonicMs();
    let movedBefore = 0;
    for (const [index, { from: fromSlot, to: toSlot, part }] of moves.entries()) {
      this.#check();
      progress.tell({ state: 'moving', from: fromSlot, to: toSlot });
      const from = processes.get(fromSlot);
      const to = processes.get(toSlot);
      if (from === undefined || to === undefined) continue;
      const leftAfter = countOf(moves.slice(index + 1));
      const ended = this.#deps.moves.run(
        from,
        to,
        ({ moved, left }) =>
          progress.tellMoves(movedBefore + moved, left + leftAfter, clock.monotonicMs() - startMs),
        { part: { ...part, perSecond } },
      );
      const report = await ended;
      movedBefore += report.moved;
      this.#check();
      for (const each of [from, to]) {
        if (!each.connected) throw new RebalanceError(`worker ${each.slot} ended in the middle`);
      }
      if (report.ended !== '') {
        logger.warn({ from: fromSlot, to: toSlot, reason: report.ended }, 'not all connections were moved');
      }
    }
  }

  /** Those that take new connections and answer. */
  #workers(): readonly MeasuredWorker[] {
    const { supervisor, heartbeat, connections, loads } = this.#deps;
    return supervisor.serving().flatMap((process) => {
      if (heartbeat.silence(process) !== 'answering' || supervisor.immovable(process) !== '') return [];
      const rates = loads.rates(process);
      const { slot } = process;
      const load = rates === undefined ? undefined : { slot, connections: connections(process), ...rates };
      return [{ slot, process, load }];
    });
  }

  #checkWorkers(): void {
    if (this.#workers().length >= 2) return;
    const { supervisor } = this.#deps;
    const obstacle = supervisor
      .slots()
      .map(({ process }) => (process === undefined ? '' : supervisor.immovable(process)))
      .find((reason) => reason !== '');
    throw new RebalanceError(
      obstacle === undefined
        ? 'fewer than two workers serve: there is nobody to move connections to'
        : `connections cannot be moved: ${obstacle}`,
    );
  }

  #check(): void {
    if (this.#aborted !== undefined) throw new RebalanceError(`stopped: ${this.#aborted}`);
  }
}

function countOf(moves: readonly PlannedMove[]): number {
  return moves.reduce((sum, { connections }) => sum + connections, 0);
}

function ignore(): void {
  // Nobody watches.
}
