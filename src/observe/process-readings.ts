// What one process costs and how late its event loop is, as metrics with a `worker` label.
import {
  type EventLoopUtilization,
  type IntervalHistogram,
  monitorEventLoopDelay,
  performance,
} from 'node:perf_hooks';
import { heapUsedBytes, residentBytes } from '../util/memory.ts';
import type { Metrics, Reading } from './metrics.ts';

export interface ProcessReadingsDeps {
  readonly metrics: Metrics;
  /** Worker slot, or `primary`. */
  readonly worker: string;
  readonly version: string;
}

export interface LagStats {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** The monitor's timer fires this often; it records the time between two firings, so this much is no lag. */
const RESOLUTION_MS = 20;
const WINDOW_MS = 5_000;
/** Lag of the last 15 seconds, the usual scrape interval: a peak between two scrapes is seen by any number of scrapers. */
const WINDOWS = 3;
const NO_LAG: LagStats = { p50Ms: 0, p99Ms: 0, maxMs: 0 };

export class ProcessReadings {
  readonly #worker: string;
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;
  #windows: readonly LagStats[] = [];
  #cpuAtWindow = process.cpuUsage();
  #windowBeganMs = performance.now();
  #cpuPercent = 0;

  constructor(deps: ProcessReadingsDeps) {
    const { metrics, worker } = deps;
    this.#worker = worker;
    this.#delay.enable();
    this.#timer = setInterval(() => this.#endWindow(), WINDOW_MS).unref();
    metrics.read('workerLag', () => this.#lagReadings());
    metrics.read('workerBusy', () => [[[worker], busySeconds(performance.eventLoopUtilization())]]);
    metrics.read('workerCpu', () => {
      const { user, system } = process.cpuUsage();
      return [
        [[worker, 'user'], user / 1e6],
        [[worker, 'system'], system / 1e6],
      ];
    });
    metrics.read('workerResident', () => [[[worker], residentBytes()]]);
    metrics.read('workerHeap', () => [[[worker], heapUsedBytes()]]);
    metrics.read('workerUptime', () => [[[worker], process.uptime()]]);
    metrics.read('buildInfo', () => [[[deps.version, process.version], 1]]);
  }

  /** The worst of the last windows and of the one that runs. */
  lag(): LagStats {
    return [...this.#windows, lagOf(this.#delay)].reduce(worse, NO_LAG);
  }

  /** Processor time of the last full window, in percent of one core; resident bytes now. */
  usage(): { readonly cpu: number; readonly rss: number } {
    return { cpu: this.#cpuPercent, rss: residentBytes() };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#delay.disable();
  }

  #endWindow(): void {
    this.#windows = [...this.#windows, lagOf(this.#delay)].slice(-WINDOWS);
    this.#delay.reset();
    const nowMs = performance.now();
    const { user, system } = process.cpuUsage(this.#cpuAtWindow);
    this.#cpuPercent = Math.round((user + system) / (nowMs - this.#windowBeganMs)) / 10;
    this.#cpuAtWindow = process.cpuUsage();
    this.#windowBeganMs = nowMs;
  }

  #lagReadings(): Reading[] {
    const { p50Ms, p99Ms, maxMs } = this.lag();
    return [
      [[this.#worker, 'p50'], p50Ms / 1000],
      [[this.#worker, 'p99'], p99Ms / 1000],
      [[this.#worker, 'max'], maxMs / 1000],
    ];
  }
}

function lagOf(delay: IntervalHistogram): LagStats {
  if (delay.count === 0) return NO_LAG;
  return {
    p50Ms: lateMs(delay.percentile(50)),
    p99Ms: lateMs(delay.percentile(99)),
    maxMs: lateMs(delay.max),
  };
}

function lateMs(intervalNs: number): number {
  return Math.max(0, intervalNs / 1e6 - RESOLUTION_MS);
}

function worse(one: LagStats, other: LagStats): LagStats {
  return {
    p50Ms: Math.max(one.p50Ms, other.p50Ms),
    p99Ms: Math.max(one.p99Ms, other.p99Ms),
    maxMs: Math.max(one.maxMs, other.maxMs),
  };
}

function busySeconds(utilization: EventLoopUtilization): number {
  return utilization.active / 1000;
}
