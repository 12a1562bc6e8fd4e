// How busy one worker has been lately: its running totals, over a window that a short spike does not fill.
import type { WorkerVitals } from '../ipc.ts';

export interface WorkerRates {
  readonly bytesPerSecond: number;
  /** 0 to 1. */
  readonly loopShare: number;
}

export type WorkerTotals = Pick<WorkerVitals, 'trafficBytes' | 'loopBusyMs'>;

interface Sample extends WorkerTotals {
  readonly atMs: number;
}

/** A shorter time says nothing about a worker. */
const MIN_SPAN_MS = 5000;

export class LoadWindow {
  /** Oldest first. */
  readonly #samples: Sample[] = [];

  add({ trafficBytes, loopBusyMs }: WorkerTotals, atMs: number, windowMs: number): void {
    this.#samples.push({ atMs, trafficBytes, loopBusyMs });
    const spanMs = Math.max(windowMs, MIN_SPAN_MS);
    while (atMs - (this.#samples[1]?.atMs ?? atMs) >= spanMs) this.#samples.shift();
  }

  /** Undefined while too little is known. */
  get rates(): WorkerRates | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined) return undefined;
    const spanMs = last.atMs - first.atMs;
    if (spanMs < MIN_SPAN_MS) return undefined;
    return {
      bytesPerSecond: ((last.trafficBytes - first.trafficBytes) / spanMs) * 1000,
      loopShare: Math.min(1, (last.loopBusyMs - first.loopBusyMs) / spanMs),
    };
  }

  /** What was measured so far says nothing about what comes. */
  restart(): void {
    this.#samples.length = 0;
  }
}
