// Asks every worker once a second whether it still turns, remembers its vitals, and gives up on one that is silent for
// too long.
import { readFileSync } from 'node:fs';
import type { Logger } from '../../observe/logger.ts';
import type { ToPrimary, WorkerVitals } from '../ipc.ts';
import type { WorkerObserver } from '../supervisor.ts';
import type { WorkerProcess } from '../worker-process.ts';

export interface HeartbeatPolicy {
  readonly intervalMs: number;
  /** Silence that is worth a line in the log. */
  readonly slowMs: number;
  /** Silence after which the process is killed. */
  readonly hungMs: number;
}

export const defaultHeartbeatPolicy: HeartbeatPolicy = { intervalMs: 1000, slowMs: 5000, hungMs: 30_000 };

export type Silence = 'answering' | 'slow' | 'hung';

/** Counts unanswered questions, not time: after a pause of the primary itself nobody is to blame. */
export function judgeSilence(unanswered: number, policy: HeartbeatPolicy): Silence {
  const silentMs = unanswered * policy.intervalMs;
  if (silentMs >= policy.hungMs) return 'hung';
  return silentMs >= policy.slowMs ? 'slow' : 'answering';
}

interface HeartbeatDeps {
  readonly logger: Logger;
  /** Called when the judgement changes, and for a hung one again until it is gone. */
  readonly onSilence: (process: WorkerProcess, silence: Silence) => void;
  /** True while a debugger holds the process: it is silent for a reason. */
  readonly isDebugged: (pid: number) => boolean;
}

interface Pulse {
  unanswered: number;
  vitals: WorkerVitals | undefined;
  judged: Silence;
}

export class Heartbeat implements WorkerObserver {
  readonly #deps: HeartbeatDeps;
  readonly #policy: HeartbeatPolicy;
  readonly #pulses = new Map<WorkerProcess, Pulse>();
  #timer: NodeJS.Timeout | undefined;
  #nextId = 1;

  constructor(deps: HeartbeatDeps, policy: HeartbeatPolicy) {
    this.#deps = deps;
    this.#policy = policy;
  }

  start(): void {
    this.#timer ??= setInterval(this.#beat, this.#policy.intervalMs);
  }

  /** May be called twice. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  vitals(process: WorkerProcess): WorkerVitals | undefined {
    return this.#pulses.get(process)?.vitals;
  }

  /** Since it should have answered: a worker that stands still cannot say how late it is. */
  silentMs(process: WorkerProcess): number {
    const unanswered = this.#pulses.get(process)?.unanswered ?? 0;
    // The latest question may still be on its way.
    return Math.max(0, unanswered - 1) * this.#policy.intervalMs;
  }

  silence(process: WorkerProcess): Silence | undefined {
    return this.#pulses.get(process)?.judged;
  }

  /** True when every ready worker answers: a watchdog may be told so. */
  get allAnswer(): boolean {
    for (const { judged } of this.#pulses.values()) if (judged !== 'answering') return false;
    return true;
  }

  /** From ready on: a worker that is still starting has its own deadline. */
  routed(process: WorkerProcess, routed: boolean): void {
    if (routed) this.#pulses.set(process, { unanswered: 0, vitals: undefined, judged: 'answering' });
  }

  message(process: WorkerProcess, message: ToPrimary): void {
    if (message.type !== 'pong') return;
    const pulse = this.#pulses.get(process);
    if (pulse === undefined) return;
    pulse.unanswered = 0;
    pulse.vitals = message.vitals;
    if (pulse.judged === 'answering') return;
    pulse.judged = 'answering';
    this.#deps.logger.warn({ pid: process.pid, loopLagMs: message.vitals.loopLagMs }, 'worker answers again');
    this.#deps.onSilence(process, 'answering');
  }

  gone(process: WorkerProcess): void {
    this.#pulses.delete(process);
  }

  readonly #beat = (): void => {
    const id = this.#nextId++;
    for (const [process, pulse] of this.#pulses) {
      this.#judge(process, pulse);
      pulse.unanswered += 1;
      // One question at a time is enough: they would only pile up in the channel of a worker that does not read.
      if (pulse.unanswered === 1) process.post({ type: 'ping', id });
    }
  };

  #judge(process: WorkerProcess, pulse: Pulse): void {
    const silence = judgeSilence(pulse.unanswered, this.#policy);
    if (silence === 'hung' && this.#deps.isDebugged(process.pid)) return;
    if (silence === 'slow' && pulse.judged === 'answering') {
      this.#deps.logger.warn({ pid: process.pid, slot: process.slot }, 'worker does not answer');
    }
    if (silence === pulse.judged && silence !== 'hung') return;
    pulse.judged = silence;
    this.#deps.onSilence(process, silence);
  }
}

/** True when a tracer is attached to the process, or it was started for the inspector. */
export function isDebugged(pid: number): boolean {
  if (process.execArgv.some((argument) => argument.startsWith('--inspect'))) return true;
  try {
    return !/^TracerPid:\t0$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    // No /proc, or no such process any more.
    return false;
  }
}
