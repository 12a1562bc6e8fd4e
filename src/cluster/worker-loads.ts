// How busy each worker has been lately: what its heartbeats said, over a window that a short spike does not fill.
import type { Clock } from '../util/clock.ts';
import type { ToPrimary, WorkerVitals } from './ipc.ts';
import type { WorkerObserver } from './supervisor.ts';
import type { WorkerProcess } from './worker-process.ts';

export interface WorkerRates {
  readonly bytesPerSecond: number;
  /** 0 to 1. */
  readonly loopShare: number;
}

interface Sample extends Pick<WorkerVitals, 'trafficBytes' | 'loopBusyMs'> {
  readonly atMs: number;
}

/** A shorter time says nothing about a worker. */
const MIN_SPAN_MS = 5000;

export class WorkerLoads implements WorkerObserver {
  readonly #clock: Clock;
  readonly #windowMs: () => number;
  /** Oldest first. */
  readonly #samples = new Map<WorkerProcess, Sample[]>();

  constructor(clock: Clock, windowMs: () => number) {
    this.#clock = clock;
    this.#windowMs = windowMs;
  }

  /** Undefined while too little is known. */
  rates(process: WorkerProcess): WorkerRates | undefined {
    const samples = this.#samples.get(process) ?? [];
    const [first] = samples;
    const last = samples.at(-1);
    if (first === undefined || last === undefined) return undefined;
    const spanMs = last.atMs - first.atMs;
    if (spanMs < MIN_SPAN_MS) return undefined;
    return {
      bytesPerSecond: ((last.trafficBytes - first.trafficBytes) / spanMs) * 1000,
      loopShare: Math.min(1, (last.loopBusyMs - first.loopBusyMs) / spanMs),
    };
  }

  /** Connections have changed places: what was measured before says nothing any more. */
  restart(): void {
    for (const samples of this.#samples.values()) samples.splice(0, samples.length - 1);
  }

  message(process: WorkerProcess, message: ToPrimary): void {
    if (message.type !== 'pong') return;
    let samples = this.#samples.get(process);
    if (samples === undefined) this.#samples.set(process, (samples = []));
    const { trafficBytes, loopBusyMs } = message.vitals;
    const atMs = this.#clock.monotonicMs();
    samples.push({ atMs, trafficBytes, loopBusyMs });
    const windowMs = Math.max(this.#windowMs(), MIN_SPAN_MS);
    while (atMs - (samples[1]?.atMs ?? atMs) >= windowMs) samples.shift();
  }

  gone(process: WorkerProcess): void {
    this.#samples.delete(process);
  }
}
