// Keeps one worker process per slot: executes what slotTransition decides, and tells its observers about every process.
// Health, routing, draining and figures are collaborators that observe; none of it lives here.
import cluster, { type Worker } from 'node:cluster';
import type { Logger } from '../observe/logger.ts';
import type { Random } from '../util/backoff.ts';
import type { Clock } from '../util/clock.ts';
import { IPC_VERSION, type StartFacts, type ToPrimary } from './ipc.ts';
import {
  initialSlotState,
  slotTransition,
  type SlotEffect,
  type SlotEvent,
  type SlotPolicy,
  type SlotState,
} from './slot-state.ts';
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
  message?(process: WorkerProcess, message: ToPrimary): void;
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
  readonly facts: Pick<StartFacts, 'config' | 'engineSocketPath'>;
}

export interface SlotView {
  readonly slot: number;
  readonly state: SlotState;
  readonly process: WorkerProcess | undefined;
  /** Processes this slot has had. */
  readonly incarnation: number;
  readonly addresses: readonly string[];
  readonly lastFailure: string | undefined;
}

interface Slot {
  readonly number: number;
  state: SlotState;
  process: WorkerProcess | undefined;
  incarnation: number;
  timer: NodeJS.Timeout | undefined;
  addresses: readonly string[];
  /** Why the process that runs says it cannot serve. */
  complaint: string | undefined;
  /** Why the last process ended; forgotten when another is ready. */
  lastFailure: string | undefined;
}

export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #config: SupervisorConfig;
  readonly #slots: Slot[] = [];
  readonly #observers: WorkerObserver[] = [];
  #whenEmpty: (() => void)[] = [];

  constructor(deps: SupervisorDeps, config: SupervisorConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  /** In the order of registration they are told of everything from now on. */
  observe(...observers: readonly WorkerObserver[]): void {
    this.#observers.push(...observers);
  }

  start(): void {
    const { exec, args } = this.#config;
    // Binary heads of requests travel over the channel: JSON would not carry them.
    cluster.setupPrimary({ exec, args: [...args], serialization: 'advanced' });
    for (let number = 1; number <= this.#config.workers; number++) {
      const slot: Slot = {
        number,
        state: initialSlotState,
        process: undefined,
        incarnation: 0,
        timer: undefined,
        addresses: [],
        complaint: undefined,
        lastFailure: undefined,
      };
      this.#slots.push(slot);
      this.#dispatch(slot, { type: 'start', nowMs: this.#deps.clock.monotonicMs() });
    }
  }

  slots(): readonly SlotView[] {
    return this.#slots.map((slot) => ({
      slot: slot.number,
      state: slot.state,
      process: slot.process,
      incarnation: slot.incarnation,
      addresses: slot.addresses,
      lastFailure: slot.lastFailure,
    }));
  }

  /** Processes that can be talked to. */
  processes(): readonly WorkerProcess[] {
    return this.#slots.flatMap(({ process }) => (process?.connected === true ? [process] : []));
  }

  /** All workers close what they have and end; whoever is still there after `killAfterMs` is killed. May be repeated. */
  leave(drainMs: number, killAfterMs: number): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const slot of this.#slots) this.#dispatch(slot, { type: 'leave', nowMs, drainMs, killAfterMs });
    this.#notifyEmpty();
  }

  /** The health check lost patience with this process. */
  hung(process: WorkerProcess): void {
    const slot = this.#slots.find((candidate) => candidate.process === process);
    if (slot !== undefined) this.#dispatch(slot, { type: 'hung', nowMs: this.#deps.clock.monotonicMs() });
  }

  /** Resolves when no slot has a process or wants one. */
  whenStopped(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenEmpty.push(resolve);
      this.#notifyEmpty();
    });
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
    slot.addresses = [];
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
      message: (message) => this.#onMessage(slot, process, message),
      gone: (end) => this.#onGone(slot, process, end),
    });
    slot.process = process;
    for (const observer of this.#observers) observer.forked?.(process);
  }

  #onMessage(slot: Slot, process: WorkerProcess, message: ToPrimary): void {
    if (message.type === 'hello') {
      this.#greet(slot, process, message.version);
    } else if (message.type === 'ready') {
      slot.addresses = message.addresses;
      slot.lastFailure = undefined;
      const { addresses } = message;
      this.#deps.logger.info({ slot: slot.number, pid: process.pid, addresses }, 'worker ready');
      this.#dispatch(slot, { type: 'ready', nowMs: this.#deps.clock.monotonicMs() });
    } else if (message.type === 'failed') {
      slot.complaint = message.reason;
      this.#deps.logger.error(
        { slot: slot.number, pid: process.pid, reason: message.reason },
        'worker cannot serve',
      );
    }
    for (const observer of this.#observers) observer.message?.(process, message);
  }

  #greet(slot: Slot, process: WorkerProcess, version: number): void {
    if (version !== IPC_VERSION) {
      slot.complaint = `worker speaks version ${version} of the control messages, the primary ${IPC_VERSION}`;
      process.kill();
      return;
    }
    const { workers, facts } = this.#config;
    const { number, incarnation } = slot;
    process.post({ type: 'start', facts: { ...facts, slot: number, slots: workers, incarnation } });
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
    this.#notifyEmpty();
  }

  #exited(slot: Slot): void {
    this.#dispatch(slot, {
      type: 'exited',
      nowMs: this.#deps.clock.monotonicMs(),
      roll: this.#deps.random(),
    });
  }

  #notifyEmpty(): void {
    if (this.#slots.some(({ state, process }) => state.name !== 'stopped' || process !== undefined)) return;
    const callbacks = this.#whenEmpty;
    this.#whenEmpty = [];
    for (const callback of callbacks) callback();
  }
}
