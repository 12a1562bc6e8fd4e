// Replaces the primary itself while clients stay connected: another one is started from what is on disk now, with workers of
// its own; it proves that connections live on there, opens the same doors, gets all connections, then the embedded engine,
// and in the end the name of the service. Until its workers are ended, the one that is replaced can go on as before.
import type { Logger } from '../../observe/logger.ts';
import type { Clock } from '../../util/clock.ts';
import { HoldfastError, messageOf } from '../../util/errors.ts';
import { pause } from '../../util/pause.ts';
import { planDrain } from '../drain/drain-state.ts';
import { moveAway, targetFor } from './move-away.ts';
import type { MovePeer } from './move-relay.ts';
import type { OrderedMoves } from './ordered-moves.ts';
import type { SuccessionLeave } from './predecessor.ts';
import { type MoveFigures, Progress } from '../control/progress.ts';
import type { ReloadPolicy } from './reload.ts';
import type { Successor } from './successor.ts';
import type { Supervisor } from '../supervisor.ts';
import type { WorkerProcess } from '../worker-process.ts';

export interface UpgradeDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly supervisor: Supervisor;
  readonly moves: OrderedMoves;
  /** Connections that this worker has. */
  readonly connections: (process: WorkerProcess) => number;
  /** Moves a connection of our own from one to the other; rejects when it does not live on. */
  readonly canary: (from: WorkerProcess, to: MovePeer) => Promise<void>;
  /** Starts the other primary; `node` is empty for the one that runs this. Throws UpgradeError. */
  readonly start: (node: string) => Successor;
  /** Connections that come from now on go to the successor; undefined: to the own workers again. */
  readonly passOn: (successor: Successor | undefined) => void;
  /** Gives the embedded engine away; nothing to do with another one. Rejects when it is still ours. */
  readonly giveEngine: (successor: Successor) => Promise<void>;
  /** The own workers have been ended in vain: starts them again. */
  readonly revive: () => Promise<void>;
  /** It is the gateway: who is still at the doors of this one goes there. */
  readonly finish: (successor: Successor) => Promise<void>;
  readonly isLeaving: () => boolean;
}

export interface UpgradeProgress extends MoveFigures {
  readonly state:
    | 'starting'
    | 'checking'
    | 'moving'
    | 'closing'
    | 'engine'
    | 'finishing'
    | 'putting-back'
    | 'done'
    | 'failed';
  /** Of the new primary; null while there is none. */
  readonly pid: number | null;
  /** Worker that gives its connections away, and how many there are. */
  readonly worker: number;
  readonly workers: number;
  /** Could not be moved, and were told to come back. */
  readonly closed: number;
}

export class UpgradeError extends HoldfastError {
  constructor(message: string, options?: ErrorOptions) {
    super('HOLDFAST_UPGRADE', message, options);
  }
}

export const LEAVING = 'this host is leaving';

/** What the two primaries ask each other is done in moments; a busy machine takes longer. */
const ANSWER_MS = 20_000;
/** After its connections are gone a worker ends its requests and what it has under way. */
const KILL_AFTER_MS = 10_000;
/** The same for one that has never had any. */
const KILL_UNUSED_AFTER_MS = 3000;
/** Of the time in which this process has to end: the other primary ends a moment before. */
const LEAVE_SHARE = 0.8;
const RETRY_PAUSE_MS = 200;
/** Connections accepted before reach their workers. */
const DELIVERY_MS = 2000;

export class Upgrade {
  readonly #deps: UpgradeDeps;
  /** Of the upgrade that is under way. */
  #progress: Progress<UpgradeProgress> | undefined;
  #successor: Successor | undefined;
  #aborted: string | undefined;
  /** The other one may have connections. */
  #isShared = false;
  /** The own workers are ended: it goes through, or they are started again. */
  #isFinal = false;
  /** From here on nothing stops it: whoever was moved would be closed instead of moved back. */
  #isPuttingBack = false;
  #startedMovingMs = 0;
  #leaveByMs: number | undefined;

  constructor(deps: UpgradeDeps) {
    this.#deps = deps;
  }

  get isRunning(): boolean {
    return this.#progress !== undefined;
  }

  /** Resolves when the other primary is the gateway. Rejects with UpgradeError: then this one still is. */
  async run(
    node: string,
    policy: ReloadPolicy,
    onProgress: (progress: UpgradeProgress) => void,
  ): Promise<UpgradeProgress> {
    const { logger, clock, passOn, start } = this.#deps;
    const startMs = clock.monotonicMs();
    this.#aborted = undefined;
    this.#isShared = false;
    this.#isFinal = false;
    this.#isPuttingBack = false;
    this.#startedMovingMs = 0;
    const progress = new Progress(this.#started(), onProgress);
    this.#progress = progress;
    progress.tell({});
    let successor: Successor | undefined;
    try {
      successor = start(node);
      this.#successor = successor;
      progress.tell({ pid: successor.pid });
      await this.#hand(successor, policy);
    } catch (error) {
      const reason = messageOf(error);
      logger.error({ reason, moved: progress.report.moved }, 'upgrade stopped');
      if (successor !== undefined) await this.#giveUp(successor, policy);
      passOn(undefined);
      progress.tell({ state: 'failed' });
      throw error instanceof UpgradeError ? error : new UpgradeError(reason, { cause: error });
    } finally {
      this.#successor = undefined;
      this.#progress = undefined;
    }
    const done = progress.tell({ state: 'done', left: 0, leftMs: 0 });
    const { moved, closed } = done;
    const tookMs = Math.round(clock.monotonicMs() - startMs);
    logger.info({ pid: successor.pid, moved, closed, tookMs }, 'upgraded: another primary serves');
    return done;
  }

  /** This process is to end within that time, and with it what it has started: stops as far as that is possible. */
  leave(withinMs: number): void {
    this.#leaveByMs ??= this.#deps.clock.monotonicMs() + withinMs;
    this.abort(LEAVING);
    // Also what is being put back: there is nowhere to put it any more.
    this.#deps.moves.stop();
  }

  /** Stops, and puts back what is not done; may be said again. False when nothing is under way, or when it is too late. */
  abort(reason: string): boolean {
    if (!this.isRunning || this.#isFinal) return false;
    if (this.#isPuttingBack) return true;
    this.#aborted ??= reason;
    this.#successor?.stopWaiting(`stopped: ${reason}`);
    this.#deps.moves.stop();
    return true;
  }

  async #hand(successor: Successor, policy: ReloadPolicy): Promise<void> {
    const { supervisor, passOn, giveEngine, logger } = this.#deps;
    await successor.ready();
    this.#check();
    this.#progress?.tell({ state: 'checking' });
    const obstacle = this.#obstacle(successor, policy);
    if (obstacle === '') await this.#fly(successor);
    this.#check();
    this.#isShared = true;
    await successor.ask('serve', null, ANSWER_MS);
    passOn(successor);
    this.#progress?.tell({ state: 'moving' });
    let refusal = '';
    if (obstacle === '') refusal = await this.#moveAll(successor);
    else logger.warn({ reason: obstacle }, 'connections cannot be moved: they are closed, clients come back');
    this.#check();
    if (refusal !== '') throw new UpgradeError(refusal);
    this.#isFinal = true;
    const rest = this.#left();
    this.#progress?.tell({ state: 'closing', left: 0, closed: rest });
    const overMs = rest === 0 ? 0 : obstacle === '' ? policy.restMs : policy.closeMs;
    supervisor.leave(overMs, overMs + KILL_AFTER_MS);
    await supervisor.whenStopped();
    this.#check();
    this.#progress?.tell({ state: 'engine' });
    await giveEngine(successor);
    this.#progress?.tell({ state: 'finishing' });
    await this.#adopt(successor);
    await this.#deps.finish(successor);
  }

  /** Rejects when this process remains the gateway. */
  async #adopt(successor: Successor): Promise<void> {
    try {
      await successor.ask('adopt', null, ANSWER_MS);
    } catch (error) {
      // Its answer may only be late. If it cannot say whether it is the gateway, it shall not be.
      const isOurs = await successor.ask('keep', null, ANSWER_MS).catch(() => {
        successor.kill();
        return true;
      });
      if (isOurs !== false) throw error;
    }
  }

  /** Why nothing can be moved; empty when it can. */
  #obstacle(successor: Successor, { moves }: ReloadPolicy): string {
    if (!moves) return 'switched off in the configuration';
    const { supervisor } = this.#deps;
    const own = supervisor.serving().map((process) => supervisor.immovable(process));
    return [...own, ...successor.workers.map(({ immovable }) => immovable)].find((why) => why !== '') ?? '';
  }

  async #fly(successor: Successor): Promise<void> {
    const [from] = this.#deps.supervisor.serving();
    if (from === undefined) return;
    for (const to of successor.workers) {
      try {
        await this.#deps.canary(from, to);
      } catch (error) {
        this.#check();
        throw new UpgradeError(`worker ${to.slot} of the new primary does not serve: ${messageOf(error)}`, {
          cause: error,
        });
      }
      this.#check();
    }
  }

  /** Why connections do not get through; empty when what is left is left because of its clients. */
  async #moveAll(successor: Successor): Promise<string> {
    const { clock, supervisor } = this.#deps;
    this.#startedMovingMs = clock.monotonicMs();
    const own = supervisor.serving();
    await this.#untilDelivered(own);
    const isStopped = (): boolean => this.#aborted !== undefined || !successor.isAlive;
    for (const from of own) {
      if (isStopped()) return '';
      this.#progress?.tell({ worker: from.slot });
      const refusal = await this.#moveFrom(from, () => targetFor(from.slot, successor.workers), isStopped);
      if (refusal !== '') return `worker ${from.slot} is not replaced: ${refusal}`;
    }
    return '';
  }

  #moveFrom(from: MovePeer, target: () => MovePeer | undefined, isStopped: () => boolean): Promise<string> {
    const { clock, logger, moves } = this.#deps;
    const before = this.#progress?.report.moved ?? 0;
    const onReport = (moved: number): void => {
      const movingMs = clock.monotonicMs() - this.#startedMovingMs;
      this.#progress?.tellMoves(before + moved, this.#left(), movingMs);
    };
    return moveAway({ moves, logger, pause }, { from, target, isStopped, onReport });
  }

  /** As much as may be is as it was. */
  async #giveUp(successor: Successor, policy: ReloadPolicy): Promise<void> {
    const { supervisor, passOn, revive, logger, isLeaving } = this.#deps;
    this.#isPuttingBack = true;
    this.#aborted = undefined;
    this.#progress?.tell({ state: 'putting-back' });
    if (this.#isFinal) await revive();
    // Nobody watches over its workers before: one of them may hang, and would be waited for for ever.
    if (this.#isShared && successor.isAlive && !isLeaving()) {
      try {
        await successor.ask('retire', null, ANSWER_MS);
        passOn(undefined);
        for (const from of successor.workers) {
          await this.#moveFrom(from, () => targetFor(from.slot, supervisor.serving()), isLeaving);
        }
      } catch (error) {
        logger.warn({ reason: messageOf(error) }, 'the new primary gives nothing back');
      }
    }
    await successor.end(this.#endOf(policy));
  }

  /** How what the other primary still has comes to its end. */
  #endOf(policy: ReloadPolicy): SuccessionLeave {
    const { clock, isLeaving } = this.#deps;
    if (!isLeaving() || this.#leaveByMs === undefined) {
      if (!this.#isShared) return { overMs: 0, killAfterMs: KILL_UNUSED_AFTER_MS };
      return { overMs: policy.restMs, killAfterMs: policy.restMs + KILL_AFTER_MS };
    }
    const { drainMs, killAfterMs } = planDrain(
      Math.max(0, this.#leaveByMs - clock.monotonicMs()) * LEAVE_SHARE,
    );
    return { overMs: Math.min(policy.closeMs, drainMs), killAfterMs };
  }

  /** Accepted before the doors were passed on, and not with their workers yet. */
  async #untilDelivered(own: readonly WorkerProcess[]): Promise<void> {
    const { clock } = this.#deps;
    const untilMs = clock.monotonicMs() + DELIVERY_MS;
    while (own.some(({ undelivered }) => undelivered > 0) && clock.monotonicMs() < untilMs) {
      await pause(RETRY_PAUSE_MS);
    }
  }

  #check(): void {
    if (this.#aborted !== undefined) throw new UpgradeError(`stopped: ${this.#aborted}`);
    if (this.#deps.isLeaving()) throw new UpgradeError(LEAVING);
    const successor = this.#successor;
    if (successor?.isAlive !== true) throw new UpgradeError(successor?.endText ?? 'there is no new primary');
  }

  #left(): number {
    const { supervisor, connections } = this.#deps;
    return supervisor.serving().reduce((sum, process) => sum + connections(process), 0);
  }

  #started(): UpgradeProgress {
    return {
      state: 'starting',
      pid: null,
      worker: 0,
      workers: this.#deps.supervisor.serving().length,
      moved: 0,
      left: this.#left(),
      closed: 0,
      perSecond: 0,
      leftMs: null,
    };
  }
}
