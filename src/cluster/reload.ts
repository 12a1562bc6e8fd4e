// Replaces all workers, one after the other, while their clients stay connected: a new one starts and proves itself, the
// old one is taken out of routing, its connections are moved, and it ends. What goes wrong stops it where it is safe.
import type { Logger } from '../observe/logger.ts';
import type { Clock } from '../util/clock.ts';
import { HoldfastError, messageOf } from '../util/errors.ts';
import { pause } from '../util/pause.ts';
import type { MoveReport } from './ipc.ts';
import type { OrderedMoves } from './ordered-moves.ts';
import type { Supervisor, WorkerFacts } from './supervisor.ts';
import type { WorkerProcess } from './worker-process.ts';

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

export interface ReloadProgress {
  readonly state: 'starting' | 'checking' | 'moving' | 'closing' | 'putting-back' | 'done' | 'failed';
  /** Worker in progress, and how many there are. */
  readonly worker: number;
  readonly workers: number;
  /** Workers that are replaced. */
  readonly replaced: number;
  readonly moved: number;
  /** Connections still to be moved from all workers. */
  readonly left: number;
  /** Could not be moved, and were told to come back. */
  readonly closed: number;
  /** Moves a second, lately; 0 while nothing is known. */
  readonly perSecond: number;
  /** Until the last connection is moved; null while nothing is known. */
  readonly leftMs: number | null;
}

export class ReloadError extends HoldfastError {
  constructor(message: string, options?: ErrorOptions) {
    super('HOLDFAST_RELOAD', message, options);
  }
}

/** After its connections are gone a worker ends its requests and what it has under way. */
const KILL_AFTER_MS = 10_000;
/** Orders to the same worker, when its target dies in between or does not take connections. */
const MOVE_ATTEMPTS = 5;
/** Between two of them: descriptors that were all in use may be free again. */
const REFUSED_PAUSE_MS = 1000;

interface Replaced {
  readonly slot: number;
}

export class Reload {
  readonly #deps: ReloadDeps;
  readonly #watchers = new Set<(progress: ReloadProgress) => void>();
  #policy: ReloadPolicy;
  #progress: ReloadProgress | undefined;
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
    return (
      this.#progress !== undefined && this.#progress.state !== 'done' && this.#progress.state !== 'failed'
    );
  }

  get progress(): ReloadProgress | undefined {
    return this.#progress;
  }

  watch(watcher: (progress: ReloadProgress) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Resolves when all workers are new. Rejects with ReloadError: then as many as may be are as they were. */
  async run(next: WorkerFacts, before: WorkerFacts, policy: ReloadPolicy): Promise<ReloadProgress> {
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
    this.#progress = started;
    const replaced: Replaced[] = [];
    try {
      for (const [index, slot] of slots.entries()) {
        this.#tell({ worker: slot });
        await this.#replace(slot, next, slots.slice(index + 1));
        replaced.push({ slot });
        this.#tell({ replaced: replaced.length });
      }
    } catch (error) {
      const reason = messageOf(error);
      logger.error({ reason, replaced: replaced.length }, 'reload stopped');
      await this.#putBack(replaced, before);
      this.#tell({ state: 'failed' });
      throw error instanceof HoldfastError ? error : new ReloadError(reason, { cause: error });
    }
    this.#tell({ state: 'done', left: 0, leftMs: 0 });
    const { moved, closed } = this.#progress;
    logger.info({ moved, closed, tookMs: Math.round(clock.monotonicMs() - startMs) }, 'reloaded');
    return this.#progress;
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
    this.#tell({ state: 'starting' });
    let successor: WorkerProcess;
    try {
      successor = await supervisor.succeed(slot, facts);
    } catch (error) {
      throw new ReloadError(`worker ${slot} does not start: ${messageOf(error)}`, { cause: error });
    }
    const before = supervisor.main(slot);
    const obstacle = this.#obstacle(before, successor);
    try {
      this.#check();
      if (before !== undefined && obstacle === '') {
        this.#tell({ state: 'checking' });
        await canary(before, successor);
      }
      this.#check();
    } catch (error) {
      await supervisor.dismiss(successor, 0, KILL_AFTER_MS);
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
    if (this.#deps.isLeaving()) throw new ReloadError('stopped: this host is leaving');
    await this.#dismiss(old, obstacle === '' ? this.#policy.restMs : this.#policy.closeMs);
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
    const { supervisor, logger } = this.#deps;
    this.#tell({ state: 'moving' });
    let refusal = '';
    for (let attempt = 1; attempt <= MOVE_ATTEMPTS && from.connected; attempt += 1) {
      const to = this.#targetFor(slot, from);
      if (to === undefined) {
        await pause(500);
        continue;
      }
      const report = await this.#move(from, to, later);
      if (this.#stopped !== undefined || report.left === 0) return '';
      logger.warn({ slot, left: report.left, reason: report.ended }, 'not all connections were moved');
      refusal = report.refused ? `worker ${slot} is not replaced: ${report.ended ?? ''}` : '';
      if (report.refused) await pause(REFUSED_PAUSE_MS);
      // Where the target lives, more attempts would end alike.
      else if (to.connected && supervisor.main(slot) === to) return '';
    }
    return refusal;
  }

  /** The one that replaces it or, while that one is down, any other that serves. */
  #targetFor(slot: number, from: WorkerProcess): WorkerProcess | undefined {
    const ready = this.#deps.supervisor.serving().filter((process) => process !== from);
    return ready.find((process) => process.slot === slot) ?? ready[0];
  }

  /** Moves what can be moved; resolves to the last report. */
  #move(from: WorkerProcess, to: WorkerProcess, later: readonly number[]): Promise<MoveReport> {
    const before = this.#progress?.moved ?? 0;
    const { moves, clock } = this.#deps;
    const movingMs = this.#movingMs;
    const startMs = clock.monotonicMs();
    const ended = moves.run(from, to, ({ moved, left }) => {
      this.#movingMs = movingMs + clock.monotonicMs() - startMs;
      this.#tellMoves(before + moved, left + this.#leftOf(later));
    });
    if (this.#stopped !== undefined) moves.stop();
    return ended;
  }

  /** What could not be moved is closed over some time; its clients come back by themselves. */
  async #dismiss(old: WorkerProcess, overMs: number): Promise<void> {
    const rest = this.#deps.connections(old);
    this.#tell({ state: 'closing', closed: (this.#progress?.closed ?? 0) + rest });
    const drainMs = rest === 0 ? 0 : overMs;
    await this.#deps.supervisor.dismiss(old, drainMs, drainMs + KILL_AFTER_MS);
  }

  /** The old worker of this slot serves again, and gets back what was moved. */
  async #return(slot: number, old: WorkerProcess): Promise<void> {
    this.#isPuttingBack = true;
    this.#tell({ state: 'putting-back' });
    const successor = this.#deps.supervisor.reinstate(old);
    if (successor === undefined) return;
    await this.#moveAll(slot, successor, []);
    await this.#dismiss(successor, this.#policy.restMs);
  }

  /** Those that are replaced already get the configuration back that they had. */
  async #putBack(replaced: readonly Replaced[], before: WorkerFacts): Promise<void> {
    if (replaced.length === 0 || this.#deps.isLeaving()) return;
    const { logger } = this.#deps;
    this.#isPuttingBack = true;
    for (const { slot } of replaced) {
      this.#tell({ worker: slot, state: 'putting-back' });
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

  #tellMoves(moved: number, left: number): void {
    const seconds = this.#movingMs / 1000;
    const perSecond = seconds > 0 ? moved / seconds : 0;
    const leftMs = perSecond > 0 ? Math.round((left / perSecond) * 1000) : null;
    this.#tell({ moved, left, perSecond: Math.round(perSecond), leftMs });
  }

  #tell(change: Partial<ReloadProgress>): void {
    if (this.#progress === undefined) return;
    this.#progress = { ...this.#progress, ...change };
    for (const watcher of this.#watchers) watcher(this.#progress);
  }
}
