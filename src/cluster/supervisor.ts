// Keeps one worker process per slot: executes what slotTransition decides, and tells its observers about every process.
// Health, routing, draining and figures are collaborators that observe; none of it lives here.
import cluster, { type Worker } from 'node:cluster';
import type { Logger } from '../observe/logger.ts';
import type { Random } from '../util/backoff.ts';
import type { Clock } from '../util/clock.ts';
import { UnavailableError } from '../util/errors.ts';
import { IPC_VERSION, type ToPrimary } from './ipc.ts';
import { slotTransition, type SlotEffect, type SlotEvent, type SlotPolicy } from './slot-state.ts';
import { type Slot, Slots, type SlotView, type WorkerFacts } from './slots.ts';
import { WorkerProcess, type WorkerEnd } from './worker-process.ts';

export const defaultSlotPolicy: SlotPolicy = {
  backoff: { minMs: 200, maxMs: 10_000 },
  bootTimeoutMs: 30_000,
  stableMs: 30_000,
  brakeCrashes: 6,
  brakeWindowMs: 60_000,
  brakedRetryMs: 30_000,
};

/** Told of every process, in the order in which things happen. */
export interface WorkerObserver {
  forked?(process: WorkerProcess): void;
  /** It serves from now on (true), or takes nothing new any more (false). */
  routed?(process: WorkerProcess, routed: boolean): void;
  message?(process: WorkerProcess, message: ToPrimary, handle?: unknown): void;
  gone?(process: WorkerProcess, end: WorkerEnd): void;
}

interface SupervisorDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface SupervisorConfig {
  /** Program and arguments of a worker; how it tells that it is one is node:cluster's business. */
  readonly exec: string;
  readonly args: readonly string[];
  readonly workers: number;
  readonly policy: SlotPolicy;
  /** What every worker is told at its start. */
  readonly facts: WorkerFacts;
}

export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #config: SupervisorConfig;
  readonly #slots = new Slots();
  readonly #observers: WorkerObserver[] = [];
  #whenEmpty: (() => void)[] = [];
  readonly #whenGone = new Map<WorkerProcess, () => void>();

  constructor(deps: SupervisorDeps, config: SupervisorConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  /** In the order of registration they are told of everything from now on. */
  observe(...observers: readonly WorkerObserver[]): void {
    this.#observers.push(...observers);
  }

  unobserve(observer: WorkerObserver): void {
    const index = this.#observers.indexOf(observer);
    if (index !== -1) this.#observers.splice(index, 1);
  }

  /** After `leave`: every slot has a process again. */
  revive(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const slot of this.#slots.main()) this.#dispatch(slot, { type: 'start', nowMs });
  }

  start(): void {
    const { exec, args } = this.#config;
    // Binary heads of requests travel over the channel: JSON would not carry them.
    cluster.setupPrimary({ exec, args: [...args], serialization: 'advanced' });
    for (let number = 1; number <= this.#config.workers; number++) {
      const slot = this.#slots.add(number, this.#config.facts);
      this.#dispatch(slot, { type: 'start', nowMs: this.#deps.clock.monotonicMs() });
    }
  }

  slots(): readonly SlotView[] {
    return this.#slots.views();
  }

  /** Of the slots that are ready, in their order: they take new connections. */
  serving(): readonly WorkerProcess[] {
    return this.#slots
      .main()
      .flatMap(({ state, process }) => (state.name === 'ready' && process !== undefined ? [process] : []));
  }

  /** Processes that can be talked to. */
  processes(): readonly WorkerProcess[] {
    return this.#slots.all().flatMap(({ process }) => (process?.connected === true ? [process] : []));
  }

  /** All workers close what they have and end; whoever is still there after `killAfterMs` is killed. May be repeated. */
  leave(drainMs: number, killAfterMs: number): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const slot of this.#slots.all())
      this.#dispatch(slot, { type: 'leave', nowMs, drainMs, killAfterMs });
    this.#notifyEmpty();
  }

  /** The health check lost patience with this process. */
  hung(process: WorkerProcess): void {
    const slot = this.#slots.of(process);
    if (slot !== undefined) this.#dispatch(slot, { type: 'hung', nowMs: this.#deps.clock.monotonicMs() });
  }

  /** The process that is the slot now. */
  main(number: number): WorkerProcess | undefined {
    return this.#slots.numbered(number)?.process;
  }

  /** Why this process can neither give connections away alive nor take them; empty when it can. */
  immovable(process: WorkerProcess): string {
    return this.#slots.of(process)?.immovable ?? '';
  }

  /**
   * Starts a process for this slot beside the one that serves. Resolves when it could serve, which it does not before it is
   * promoted; rejects with why it cannot, and then it is gone.
   */
  async succeed(number: number, facts: WorkerFacts): Promise<WorkerProcess> {
    const successor = this.#slots.addSuccessor(number, facts);
    const failure = await new Promise<string | undefined>((resolve) => {
      successor.onBooted = resolve;
      this.#dispatch(successor, { type: 'start', nowMs: this.#deps.clock.monotonicMs() });
    });
    const { process } = successor;
    if (failure === undefined && process !== undefined) return process;
    throw new UnavailableError(failure ?? 'it ended');
  }

  /** The successor serves from now on; the one before it takes nothing new, and is returned. */
  promote(process: WorkerProcess): WorkerProcess | undefined {
    const successor = this.#slots.of(process);
    return successor?.role === 'successor' ? this.#takeOver(successor, 'ready') : undefined;
  }

  /** A retired process is its slot again; the one that had replaced it is retired, and returned. */
  reinstate(process: WorkerProcess): WorkerProcess | undefined {
    const retired = this.#slots.of(process);
    return retired?.role === 'retired' ? this.#takeOver(retired, 'reinstate') : undefined;
  }

  /** Ends a process that is not its slot: closes what it has over `drainMs`. Resolves when it is gone. */
  async dismiss(process: WorkerProcess, drainMs: number, killAfterMs: number): Promise<void> {
    const slot = this.#slots.of(process);
    if (slot === undefined || slot.role === 'main') return;
    const gone = new Promise<void>((resolve) => this.#whenGone.set(process, resolve));
    const nowMs = this.#deps.clock.monotonicMs();
    this.#dispatch(slot, { type: 'leave', nowMs, drainMs, killAfterMs });
    await gone;
  }

  /** Resolves when no slot has a process or wants one. */
  whenStopped(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenEmpty.push(resolve);
      this.#notifyEmpty();
    });
  }

  /** Returns the process that was the slot. */
  #takeOver(slot: Slot, how: 'ready' | 'reinstate'): WorkerProcess | undefined {
    const nowMs = this.#deps.clock.monotonicMs();
    const before = this.#slots.takeOver(slot);
    this.#dispatch(slot, { type: how, nowMs });
    if (before !== undefined) this.#dispatch(before, { type: 'retire', nowMs });
    return before?.process;
  }

  #dispatch(slot: Slot, event: SlotEvent): void {
    const [state, effects] = slotTransition(slot.state, event, this.#config.policy);
    slot.state = state;
    for (const effect of effects) this.#execute(slot, effect);
  }

  #execute(slot: Slot, effect: SlotEffect): void {
    const { logger } = this.#deps;
    const { process } = slot;
    switch (effect.type) {
      case 'fork':
        this.#fork(slot);
        return;
      case 'kill':
        logger.error({ slot: slot.number, pid: process?.pid, reason: effect.reason }, 'worker killed');
        process?.kill();
        return;
      case 'arm':
        clearTimeout(slot.timer);
        slot.timer = setTimeout(() => {
          this.#dispatch(slot, { type: 'timer', nowMs: this.#deps.clock.monotonicMs() });
        }, effect.delayMs);
        return;
      case 'disarm':
        clearTimeout(slot.timer);
        slot.timer = undefined;
        return;
      case 'route':
      case 'unroute':
        if (process === undefined) return;
        for (const observer of this.#observers) observer.routed?.(process, effect.type === 'route');
        return;
      case 'tell-drain':
        process?.post(
          effect.durationMs > 0 ? { type: 'drain', durationMs: effect.durationMs } : { type: 'hurry' },
        );
        return;
      case 'tell-stop':
        process?.post({ type: 'stop' });
        return;
      case 'note-crash':
        logger.error(
          { slot: slot.number, retryMs: effect.retryMs, reason: slot.lastFailure },
          'worker crashed, a new one follows',
        );
        return;
      case 'note-brake':
        logger.fatal(
          { slot: slot.number, crashes: effect.crashes, retryMs: effect.retryMs, reason: slot.lastFailure },
          'worker crashes in a loop, trying slowly: see its log for the cause',
        );
        return;
    }
  }

  #fork(slot: Slot): void {
    slot.incarnation += 1;
    slot.complaint = undefined;
    const worker: Worker = cluster.fork();
    if (worker.process.pid === undefined) {
      // No memory, processes or descriptors: not even started, and it says so only by an error event.
      worker.on('error', (error) => {
        slot.lastFailure = `cannot start a process: ${error.message}`;
        this.#exited(slot);
      });
      return;
    }
    const process: WorkerProcess = new WorkerProcess(worker, slot.number, {
      message: (message, handle) => this.#onMessage(slot, process, message, handle),
      gone: (end) => this.#onGone(slot, process, end),
    });
    slot.process = process;
    for (const observer of this.#observers) observer.forked?.(process);
  }

  #onMessage(slot: Slot, process: WorkerProcess, message: ToPrimary, handle: unknown): void {
    if (message.type === 'hello') {
      this.#greet(slot, process, message.version);
    } else if (message.type === 'ready') {
      this.#onReady(slot, process, message.immovable);
    } else if (message.type === 'failed') {
      slot.complaint = message.reason;
      this.#deps.logger.error(
        { slot: slot.number, pid: process.pid, reason: message.reason },
        'worker cannot serve',
      );
    }
    for (const observer of this.#observers) observer.message?.(process, message, handle);
  }

  #onReady(slot: Slot, process: WorkerProcess, immovable: string): void {
    slot.immovable = immovable;
    slot.lastFailure = undefined;
    this.#deps.logger.info({ slot: slot.number, pid: process.pid }, 'worker ready');
    if (slot.role === 'successor') slot.onBooted?.(undefined);
    else this.#dispatch(slot, { type: 'ready', nowMs: this.#deps.clock.monotonicMs() });
  }

  #greet(slot: Slot, process: WorkerProcess, version: number): void {
    if (version !== IPC_VERSION) {
      slot.complaint = `worker speaks version ${version} of the control messages, the primary ${IPC_VERSION}`;
      process.kill();
      return;
    }
    const { workers: slots } = this.#config;
    const { number, incarnation, facts } = slot;
    process.post({ type: 'start', facts: { ...facts, slot: number, slots, incarnation } });
    // Told to leave before it could listen.
    if (slot.state.name === 'leaving') process.post({ type: 'stop' });
  }

  #onGone(slot: Slot, process: WorkerProcess, end: WorkerEnd): void {
    slot.process = undefined;
    slot.lastFailure =
      slot.complaint ?? (end.signal === null ? `exit code ${end.code}` : `signal ${end.signal}`);
    // The slot first, so that observers see it as it is now: reassigning looks at who is routable.
    this.#exited(slot);
    for (const observer of this.#observers) observer.gone?.(process, end);
    this.#whenGone.get(process)?.();
    this.#whenGone.delete(process);
    this.#notifyEmpty();
  }

  #exited(slot: Slot): void {
    if (slot.role !== 'main') {
      // One that is not the slot is not started again.
      clearTimeout(slot.timer);
      slot.timer = undefined;
      slot.state = { name: 'stopped', crashes: slot.state.crashes };
      this.#slots.remove(slot);
      slot.onBooted?.(slot.lastFailure ?? 'it ended');
      return;
    }
    this.#dispatch(slot, {
      type: 'exited',
      nowMs: this.#deps.clock.monotonicMs(),
      roll: this.#deps.random(),
    });
  }

  #notifyEmpty(): void {
    if (this.#slots.all().some(({ state, process }) => state.name !== 'stopped' || process !== undefined))
      return;
    const callbacks = this.#whenEmpty;
    this.#whenEmpty = [];
    for (const callback of callbacks) callback();
  }
}
