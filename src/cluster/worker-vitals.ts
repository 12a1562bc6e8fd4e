// What a worker says of itself at each heartbeat.
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { WorkerVitals } from './ipc.ts';

/** What the process knows of its clients. */
export type ClientFigures = Pick<WorkerVitals, 'outboxBytes' | 'trafficBytes'>;

const LAG_RESOLUTION_MS = 20;
const NO_FIGURES: ClientFigures = { outboxBytes: 0, trafficBytes: 0 };

export class VitalsReader {
  readonly #lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  #readFigures: () => ClientFigures = () => NO_FIGURES;
  #loop: EventLoopUtilization = performance.eventLoopUtilization();
  #cpu = process.cpuUsage();
  #loopBusyMs = 0;
  #memory: Pick<WorkerVitals, 'rssBytes' | 'heapUsedBytes'> = { rssBytes: 0, heapUsedBytes: 0 };

  constructor() {
    this.#lag.enable();
  }

  /** Where the figures of its clients come from. */
  of(readFigures: () => ClientFigures): void {
    this.#readFigures = readFigures;
  }

  read(): WorkerVitals {
    const loopLagMs = Math.max(0, this.#lag.max / 1e6 - LAG_RESOLUTION_MS);
    this.#lag.reset();
    this.#countLoop();
    try {
      const { rss: rssBytes, heapUsed: heapUsedBytes } = process.memoryUsage();
      this.#memory = { rssBytes, heapUsedBytes };
    } catch {
      // It throws when there is no descriptor left to read them through.
    }
    return { loopLagMs, loopBusyMs: this.#loopBusyMs, ...this.#memory, ...this.#readFigures() };
  }

  /** May be called twice. */
  close(): void {
    this.#lag.disable();
  }

  /** Waiting for a processor that others use looks like work to the loop, and other threads' work is none of it. */
  #countLoop(): void {
    const loop = performance.eventLoopUtilization();
    const { user, system } = process.cpuUsage(this.#cpu);
    this.#loopBusyMs += Math.max(0, Math.min(loop.active - this.#loop.active, (user + system) / 1000));
    this.#loop = loop;
    this.#cpu = process.cpuUsage();
  }
}
