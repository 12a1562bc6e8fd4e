// Executes the drain of the host: announces it, has workers close what they have at the pace of the rest, knows when it is
// over, and puts everything back when it is taken back.
import type { Logger } from '../../observe/logger.ts';
import type { Clock } from '../../util/clock.ts';
import { HoldfastError } from '../../util/errors.ts';
import { DrainPacer } from './drain-pacer.ts';
import {
  type DrainCommand,
  type DrainEffect,
  type DrainEvent,
  type DrainPolicy,
  drainRefusal,
  type DrainState,
  drainTransition,
  planDrain,
} from './drain-state.ts';
import type { ToPrimary } from '../ipc.ts';
import { type ReconnectWindow, reconnectWindow } from './reconnect-window.ts';
import type { AcceptRate } from './rest-rate.ts';
import type { Supervisor, WorkerObserver } from '../supervisor.ts';
import type { WorkerProcess } from '../worker-process.ts';

interface DrainDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly supervisor: Supervisor;
  /** Of the whole host, as the primary counts them. */
  readonly connections: () => number;
  /** What the rest takes, as last known, and how to know better; must not reject. */
  readonly rate: { readonly current: AcceptRate; refresh(maxAgeMs: number): Promise<void> };
  /** Whenever the state is another one. */
  readonly onState: (state: DrainState['name']) => void;
}

export interface DrainProgress {
  readonly state: DrainState['name'];
  /** Who asked; null while nobody has. */
  readonly reason: string | null;
  /** The gateway ends when all are closed. */
  readonly ends: boolean;
  /** Connections at the start, how many of them are gone, and how many workers still have. */
  readonly total: number;
  readonly closed: number;
  readonly remaining: number;
  readonly workers: number;
  /** Closed a second, as things are now. */
  readonly perSecond: number;
  /** Until all are closed; null while nobody can say. */
  readonly leftMs: number | null;
  readonly window: ReconnectWindow;
  /** Connections a second that the rest takes, and who says so. */
  readonly acceptRate: number;
  readonly rateFrom: AcceptRate['from'];
}

export class DrainError extends HoldfastError {
  constructor(message: string) {
    super('HOLDFAST_DRAIN', message);
  }
}

/** For people, in readiness checks. */
const DETAILS: Readonly<Record<DrainState['name'], string>> = {
  serving: '',
  announcing: 'this host is leaving: load balancers are told',
  closing: 'this host is leaving: connections are closed',
  paused: 'this host is leaving: paused',
  drained: 'this host has left: no connections',
  ending: 'this host is leaving: it ends',
  ended: 'this host has left',
};

/** Watchers hear of every new state at once, and of numbers twice a second. */
const TELL_EVERY_MS = 500;

interface Waiting {
  readonly resolve: (progress: DrainProgress) => void;
  readonly reject: (error: DrainError) => void;
}

export class Drain implements WorkerObserver {
  readonly #deps: DrainDeps;
  readonly #policy: DrainPolicy & { readonly rateAgeMs: number };
  readonly #pacer: DrainPacer;
  readonly #watchers = new Set<(progress: DrainProgress) => void>();
  #state: DrainState = { name: 'serving' };
  #reason: string | null = null;
  #total = 0;
  /** Chosen by whoever asked. */
  #chosenMs: number | null = null;
  /** Since connections are closed; undefined before. */
  #window: ReconnectWindow | undefined;
  #timer: NodeJS.Timeout | undefined;
  #toldMs = 0;
  #whenEnded: (() => void)[] = [];
  #whenOver: (() => void)[] = [];
  #whenDrained: Waiting[] = [];

  constructor(deps: DrainDeps, policy: DrainPolicy & { readonly rateAgeMs: number }) {
    this.#deps = deps;
    this.#policy = policy;
    this.#pacer = new DrainPacer({
      clock: deps.clock,
      perSecond: () => this.#perSecond(),
      onChange: () => this.#onChange(),
    });
  }

  get draining(): boolean {
    return this.#state.name !== 'serving';
  }

  /** The process ends: nothing is to be started any more. */
  get ending(): boolean {
    const state = this.#state;
    return (
      state.name === 'ending' ||
      state.name === 'ended' ||
      ('deadlineMs' in state && state.deadlineMs !== null)
    );
  }

  /** Of a host that serves: what a drain would be. */
  get progress(): DrainProgress {
    const { acceptRate, from } = this.#deps.rate.current;
    const state = this.#state;
    const total = this.draining ? this.#total : this.#deps.connections();
    const remaining = this.draining ? (this.#pacer.remaining ?? total) : total;
    const { perSecond } = this.#pacer;
    return {
      state: state.name,
      reason: this.#reason,
      ends: this.ending || ('ends' in state && state.ends),
      total,
      closed: total - remaining,
      remaining,
      workers: this.#pacer.workers,
      perSecond: Math.round(perSecond * 10) / 10,
      leftMs: remaining === 0 ? 0 : perSecond > 0 ? Math.ceil((remaining / perSecond) * 1000) : null,
      window: this.#window ?? this.#windowOf(remaining, this.#limitMs),
      acceptRate,
      rateFrom: from,
    };
  }

  /**
   * Sends all clients away over the reconnect window, or `windowMs`; called again, it joins the drain that is under way.
   * `ends`: the gateway ends then. Resolves when no connection is left; rejects when the drain is taken back.
   */
  run(
    how: { readonly reason: string; readonly windowMs: number | null; readonly ends: boolean },
    onProgress: (progress: DrainProgress) => void,
  ): Promise<DrainProgress> {
    const nowMs = this.#nowMs;
    const unwatch = this.watch(onProgress);
    const over = new Promise<DrainProgress>((resolve, reject) => {
      this.#whenDrained.push({ resolve, reject });
    }).finally(unwatch);
    if (!this.draining) this.#begin(how.reason);
    if (how.windowMs !== null) this.#chosenMs = how.windowMs;
    this.#dispatch({ type: 'drain', nowMs, ends: how.ends });
    if (this.#state.name === 'closing' && how.windowMs !== null && !this.ending) this.#pace(null);
    if (this.#state.name === 'drained' || this.#state.name === 'ended') this.#tellDrained();
    this.#tell();
    return over;
  }

  /** Rejected with DrainError when it makes no sense. */
  command(command: Exclude<DrainCommand, 'drain'>): DrainProgress {
    const refusal = drainRefusal(this.#state, command);
    if (refusal !== undefined) throw new DrainError(refusal);
    this.#deps.logger.info({ command, state: this.#state.name }, 'drain command');
    this.#dispatch({ type: command, nowMs: this.#nowMs });
    return this.progress;
  }

  /** Leaves and ends, in time; asked again it hurries. */
  signal(name: string): void {
    this.#deps.logger.info({ reason: name, state: this.#state.name }, 'asked to leave');
    if (!this.draining) this.#begin(name);
    this.#dispatch({ type: 'signal', nowMs: this.#nowMs });
  }

  /** Resolves when the last worker has ended after a drain. */
  whenEnded(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#state.name === 'ended') resolve();
      else this.#whenEnded.push(resolve);
    });
  }

  /** Resolves when this host serves again, or has ended. */
  whenOver(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#state.name === 'serving' || this.#state.name === 'ended') resolve();
      else this.#whenOver.push(resolve);
    });
  }

  /** Told whenever something changes; returns how to stop. */
  watch(watcher: (progress: DrainProgress) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  message(process: WorkerProcess, message: ToPrimary): void {
    if (message.type === 'draining') {
      this.#pacer.report(process, message);
    } else if (message.type === 'ready') {
      // One that took the place of a dead one meanwhile has to know as well.
      if (this.draining) process.post({ type: 'leaving', detail: DETAILS[this.#state.name] });
      this.#pacer.add(process);
    }
  }

  gone(process: WorkerProcess): void {
    this.#pacer.delete(process);
  }

  /** May be called twice. */
  close(): void {
    clearTimeout(this.#timer);
    this.#pacer.close();
  }

  #begin(reason: string): void {
    this.#reason = reason;
    this.#total = this.#deps.connections();
  }

  #dispatch(event: DrainEvent): void {
    const before = this.#state.name;
    const [state, effects] = drainTransition(this.#state, event, this.#policy);
    this.#state = state;
    if (state.name !== before) {
      for (const process of this.#deps.supervisor.processes()) {
        process.post({ type: 'leaving', detail: DETAILS[state.name] });
      }
    }
    for (const effect of effects) this.#execute(effect);
    if (state.name === before) return;
    this.#deps.onState(state.name);
    this.#tell();
  }

  #execute(effect: DrainEffect): void {
    const { logger, supervisor, clock } = this.#deps;
    switch (effect.type) {
      case 'announce':
        this.#announce(effect.waitMs);
        return;
      case 'pace':
        this.#pace(effect.closeWithinMs);
        return;
      case 'close-all':
        this.#pacer.closeAll();
        return;
      case 'hold':
        clearTimeout(this.#timer);
        this.#pacer.hold();
        return;
      case 'arm':
        this.#arm(effect.delayMs, () => this.#dispatch({ type: 'timer', nowMs: this.#nowMs }));
        return;
      case 'serve-again':
        this.#serveAgain();
        return;
      case 'note-drained':
        logger.info({ tookMs: Math.round(effect.tookMs), closed: this.#total }, 'all connections closed');
        this.#pacer.close();
        this.#tellDrained();
        return;
      case 'end-workers':
        logger.info({ killAfterMs: Math.round(effect.killAfterMs) }, 'workers asked to end');
        supervisor.leave(0, effect.killAfterMs);
        void supervisor
          .whenStopped()
          .then(() => this.#dispatch({ type: 'empty', nowMs: clock.monotonicMs() }));
        return;
      case 'finish':
        logger.info({ tookMs: Math.round(effect.tookMs) }, 'drained');
        this.close();
        this.#tellDrained();
        for (const resolve of this.#whenEnded) resolve();
        this.#whenEnded = [];
        this.#tellOver();
        return;
    }
  }

  #announce(waitMs: number): void {
    const state = this.#state;
    if (state.name !== 'announcing') return;
    const { sinceMs } = state;
    this.#pacer.open();
    const refreshed = this.#deps.rate.refresh(this.#policy.rateAgeMs);
    this.#arm(waitMs, () => {
      void refreshed.then(() => this.#dispatch({ type: 'announced', nowMs: this.#nowMs, sinceMs }));
    });
  }

  #pace(closeWithinMs: number | null): void {
    const remaining = this.#pacer.remaining ?? this.#total;
    this.#window = this.#windowOf(remaining, closeWithinMs);
    const { neededMs, windowMs, limitMs } = this.#window;
    const { acceptRate, from } = this.#deps.rate.current;
    const facts = { connections: remaining, windowMs, neededMs, acceptRate, rateFrom: from };
    if (limitMs === null) this.#deps.logger.info(facts, 'connections are closed');
    else this.#deps.logger.warn(facts, 'connections are closed faster than the rest takes them');
    this.#pacer.pace(closeWithinMs);
  }

  #serveAgain(): void {
    this.#pacer.close();
    this.#reason = null;
    this.#chosenMs = null;
    this.#window = undefined;
    const waiting = this.#whenDrained;
    this.#whenDrained = [];
    for (const { reject } of waiting)
      reject(new DrainError('the drain was taken back: this host serves again'));
    this.#tellOver();
  }

  /** Time that a signal would leave for closing, of a host that serves. */
  get #limitMs(): number | null {
    return this.draining ? null : planDrain(this.#policy.timeoutMs).drainMs;
  }

  #windowOf(clients: number, limitMs: number | null): ReconnectWindow {
    const { acceptRate } = this.#deps.rate.current;
    return reconnectWindow({ clients, acceptRate, limitMs, chosenMs: this.#chosenMs });
  }

  #perSecond(): number {
    if (this.#chosenMs === null) return this.#deps.rate.current.acceptRate;
    return (this.#total / Math.max(1, this.#chosenMs)) * 1000;
  }

  #onChange(): void {
    const { remaining } = this.#pacer;
    if (remaining !== undefined) {
      // What the primary counted may be a moment old.
      this.#total = this.#state.name === 'announcing' ? remaining : Math.max(this.#total, remaining);
    }
    void this.#deps.rate.refresh(this.#policy.rateAgeMs);
    if (this.#nowMs - this.#toldMs >= TELL_EVERY_MS) this.#tell();
    if (remaining === 0) this.#dispatch({ type: 'closed', nowMs: this.#nowMs });
  }

  #arm(delayMs: number, then: () => void): void {
    clearTimeout(this.#timer);
    // A timer may be early by a part of a millisecond.
    this.#timer = setTimeout(then, Math.ceil(delayMs) + 1);
  }

  #tellDrained(): void {
    const { progress } = this;
    const waiting = this.#whenDrained;
    this.#whenDrained = [];
    for (const { resolve } of waiting) resolve(progress);
  }

  #tellOver(): void {
    for (const resolve of this.#whenOver) resolve();
    this.#whenOver = [];
  }

  #tell(): void {
    this.#toldMs = this.#nowMs;
    const { progress } = this;
    for (const watcher of this.#watchers) watcher(progress);
  }

  get #nowMs(): number {
    return this.#deps.clock.monotonicMs();
  }
}
