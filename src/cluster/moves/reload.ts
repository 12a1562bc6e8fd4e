// Replaces all workers, one after the other, while their clients stay connected: a new one starts and proves itself, the
// old one is taken out of routing, its connections are moved, and it ends. What goes wrong stops it where it is safe.
import type { Logger } from '../../observe/logger.ts';
import type { Clock } from '../../util/clock.ts';
import { HoldfastError, messageOf } from '../../util/errors.ts';
import { pause } from '../../util/pause.ts';
import { moveAway, targetFor } from './move-away.ts';
import type { OrderedMoves } from './ordered-moves.ts';
import { type MoveFigures, Progress } from '../control/progress.ts';
import type { WorkerFacts } from '../slots.ts';
import type { Supervisor } from '../supervisor.ts';
import type { WorkerProcess } from '../worker-process.ts';

export interface ReloadPolicy {
  /** Connections are moved alive; else they are closed over `closeMs`, and their clients come back. */
  readonly moves: boolean;
  /** Over this time a worker closes what could not be moved. */
  readonly restMs: number;
  /** The same for all its connections, when none can be moved. */
  readonly closeMs: number;
}

export interface ReloadDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly supervisor: Supervisor;
  readonly moves: OrderedMoves;
  /** Connections that this worker has. */
  readonly connections: (process: WorkerProcess) => number;
  /** Moves a connection of our own from one to the other; rejects when it does not live on. */
  readonly canary: (from: WorkerProcess, to: WorkerProcess) => Promise<void>;
  /** The host leaves: nothing is started or put back any more. */
  readonly isLeaving: () => boolean;
}

/** `left`: connections still to be moved from all workers. */
export interface ReloadProgress extends MoveFigures {
  readonly state: 'starting' | 'checking' | 'moving' | 'closing' | 'putting-back' | 'done' | 'failed';
  /** Worker in progress, and how many there are. */
  readonly worker: number;
  readonly workers: number;
  /** Workers that are replaced. */
  readonly replaced: number;
  /** Could not be moved, and were told to come back. */
  readonly closed: number;
}

export class ReloadError extends HoldfastError {
  constructor(message: string, options?: ErrorOptions) {
    super('HOLDFAST_RELOAD', message, options);
  }
}

/** After its connections are gone a worker ends its requests and what it has under way. */
const KILL_AFTER_MS = 10_000;

const LEAVING = 'stopped: this host is leaving';

interface Replaced {
  readonly slot: number;
}

export class Reload {
  readonly #deps: ReloadDeps;
  #policy: ReloadPolicy;
  /** Of the reload that is under way. */
  #progress: Progress<ReloadProgress> | undefined;
  #aborted: string | undefined;
  /** From here on nothing stops it: whoever was moved would be closed instead of moved back. */
  #isPuttingBack = false;
  /** Of the orders before the one that is carried out. */
  #movingMs = 0;

  constructor(deps: ReloadDeps, policy: ReloadPolicy) {
    this.#deps = deps;
    this.#policy = policy;
  }

  get isRunning(): boolean {
    return this.#progress !== undefined;
  }

  /** Resolves when all workers are new. Rejects with ReloadError: then as many as may be are as they were. */
  async run(
    next: WorkerFacts,
    before: WorkerFacts,
    policy: ReloadPolicy,
    onProgress: (progress: ReloadProgress) => void,
  ): Promise<ReloadProgress> {
    if (this.isRunning) throw new ReloadError('a reload is under way already');
    const { supervisor, clock, logger } = this.#deps;
    this.#policy = policy;
    this.#aborted = undefined;
    this.#isPuttingBack = false;
    this.#movingMs = 0;
    const slots = supervisor.slots().flatMap(({ slot, role }) => (role === 'main' ? [slot] : []));
    const startMs = clock.monotonicMs();
    const started: ReloadProgress = {
      state: 'starting',
      worker: 0,
      workers: slots.length,
      replaced: 0,
      moved: 0,
      left: this.#leftOf(slots),
      closed: 0,
      perSecond: 0,
      leftMs: null,
    };
    const progress = new Progress(started, onProgress);
    this.#progress = progress;
    const replaced: Replaced[] = [];
    try {
      for (const [index, slot] of slots.entries()) {
        progress.tell({ worker: slot });
        await this.#replace(slot, next, slots.slice(index + 1));
        replaced.push({ slot });
        progress.tell({ replaced: replaced.length });
      }
    } catch (error) {
      const reason = messageOf(error);
      logger.error({ reason, replaced: replaced.length }, 'reload stopped');
      await this.#putBack(replaced, before);
      progress.tell({ state: 'failed' });
      throw error instanceof HoldfastError ? error : new ReloadError(reason, { cause: error });
    } finally {
      this.#progress = undefined;
    }
    const done = progress.tell({ state: 'done', left: 0, leftMs: 0 });
    const { moved, closed } = done;
    logger.info({ moved, closed, tookMs: Math.round(clock.monotonicMs() - startMs) }, 'reloaded');
    return done;
  }

  /** Stops, and puts back what is not done; may be said again. False when nothing is under way. */
  abort(reason: string): boolean {
    if (!this.isRunning) return false;
    if (this.#isPuttingBack) return true;
    this.#aborted ??= reason;
    this.#deps.moves.stop();
    return true;
  }

  async #replace(slot: number, facts: WorkerFacts, later: readonly number[]): Promise<void> {
    const { supervisor, canary, logger } = this.#deps;
    this.#check();
    this.#progress?.tell({ state: 'starting' });
    let successor: WorkerProcess;
    try {
      successor = await supervisor.succeed(slot, facts);
    } catch (error) {
      throw new ReloadError(`worker ${slot} does not start: ${messageOf(error)}`, { cause: error });
    }
    const before = this.#serving(slot);
    const obstacle = this.#obstacle(before, successor);
    try {
      this.#check();
      if (before !== undefined && obstacle === '') {
        this.#progress?.tell({ state: 'checking' });
        await canary(before, successor);
      }
      this.#check();
    } catch (error) {
      await supervisor.dismiss(successor, 0, KILL_AFTER_MS);
      this.#check();
      if (error instanceof ReloadError) throw error;
      throw new ReloadError(`worker ${slot} does not serve: ${messageOf(error)}`, { cause: error });
    }
    const old = supervisor.promote(successor);
    if (old === undefined) return;
    if (obstacle !== '') {
      logger.warn(
        { slot, reason: obstacle },
        'connections cannot be moved: they are closed, clients come back',
      );
    } else {
      const refusal = await this.#moveAll(slot, old, later);
      const reason = this.#stopped === undefined ? refusal : `stopped: ${this.#stopped}`;
      if (reason !== '' && old.connected && !this.#deps.isLeaving()) {
        await this.#return(slot, old);
        throw new ReloadError(reason);
      }
    }
    // Its connections are closed at the pace of the drain, with all others.
    if (this.#deps.isLeaving()) throw new ReloadError(LEAVING);
    await this.#dismiss(old, obstacle === '' ? this.#policy.restMs : this.#policy.closeMs);
  }

  /** The one that is replaced, if it could take a connection: one that starts or has crashed proves nothing. */
  #serving(slot: number): WorkerProcess | undefined {
    return this.#deps.supervisor.serving().find((process) => process.slot === slot);
  }

  /** Why nothing can be moved between the two; empty when it can. */
  #obstacle(from: WorkerProcess | undefined, to: WorkerProcess): string {
    const { supervisor } = this.#deps;
    if (!this.#policy.moves) return 'switched off in the configuration';
    if (from === undefined) return '';
    return supervisor.immovable(from) || supervisor.immovable(to);
  }

  /** Why connections do not get through at all; empty when what is left is left because of its clients. */
  async #moveAll(slot: number, from: WorkerProcess, later: readonly number[]): Promise<string> {
    const { supervisor, logger, moves, clock, isLeaving } = this.#deps;
    this.#progress?.tell({ state: 'moving' });
    const before = this.#progress?.report.moved ?? 0;
    const movingMs = this.#movingMs;
    const startMs = clock.monotonicMs();
    const refusal = await moveAway(
      { moves, logger, pause },
      {
        from,
        target: () =>
          targetFor(
            slot,
            supervisor.serving().filter((process) => process !== from),
          ),
        isStopped: () => this.#stopped !== undefined || isLeaving(),
        onReport: (moved, left) => {
          this.#movingMs = movingMs + clock.monotonicMs() - startMs;
          this.#progress?.tellMoves(before + moved, left + this.#leftOf(later), this.#movingMs);
        },
      },
    );
    return refusal === '' ? '' : `worker ${slot} is not replaced: ${refusal}`;
  }

  /** What could not be moved is closed over some time; its clients come back by themselves. */
  async #dismiss(old: WorkerProcess, overMs: number): Promise<void> {
    const rest = this.#deps.connections(old);
    this.#progress?.tell({ state: 'closing', closed: (this.#progress?.report.closed ?? 0) + rest });
    const drainMs = rest === 0 ? 0 : overMs;
    await this.#deps.supervisor.dismiss(old, drainMs, drainMs + KILL_AFTER_MS);
  }

  /** The old worker of this slot serves again, and gets back what was moved. */
  async #return(slot: number, old: WorkerProcess): Promise<void> {
    this.#isPuttingBack = true;
    this.#progress?.tell({ state: 'putting-back' });
    const successor = this.#deps.supervisor.reinstate(old);
    if (successor === undefined) return;
    await this.#moveAll(slot, successor, []);
    await this.#dismiss(successor, this.#policy.restMs);
  }

  /** Those that are replaced already get the configuration back that they had. */
  async #putBack(replaced: readonly Replaced[], before: WorkerFacts): Promise<void> {
    if (replaced.length === 0 || this.#deps.isLeaving()) return;
    const { logger, isLeaving } = this.#deps;
    this.#isPuttingBack = true;
    for (const { slot } of replaced) {
      if (isLeaving()) return;
      this.#progress?.tell({ worker: slot, state: 'putting-back' });
      try {
        await this.#replace(slot, before, []);
      } catch (error) {
        // It serves, with the new configuration.
        logger.error({ slot, reason: messageOf(error) }, 'worker could not be put back');
      }
    }
  }

  get #stopped(): string | undefined {
    return this.#isPuttingBack ? undefined : this.#aborted;
  }

  #check(): void {
    if (this.#stopped !== undefined) throw new ReloadError(`stopped: ${this.#stopped}`);
    // What is started after the others were told to leave would never be told.
    if (this.#deps.isLeaving()) throw new ReloadError(LEAVING);
  }

  #leftOf(slots: readonly number[]): number {
    const { supervisor, connections } = this.#deps;
    let left = 0;
    for (const slot of slots) {
      const process = supervisor.main(slot);
      if (process !== undefined) left += connections(process);
    }
    return left;
  }
}
