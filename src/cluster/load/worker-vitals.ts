// What a worker says of itself at each heartbeat.
import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import type { WorkerVitals } from '../ipc.ts';

/** What others measure: of its clients, and the longest time that its loop was late since the last reading. */
export type MeasuredFigures = Pick<WorkerVitals, 'outboxBytes' | 'trafficBytes' | 'loopLagMs'>;

const NO_FIGURES: MeasuredFigures = { outboxBytes: 0, trafficBytes: 0, loopLagMs: 0 };

export class VitalsReader {
  #readFigures: () => MeasuredFigures = () => NO_FIGURES;
  #loop: EventLoopUtilization = performance.eventLoopUtilization();
  #cpu = process.cpuUsage();
  #loopBusyMs = 0;
  #memory: Pick<WorkerVitals, 'rssBytes' | 'heapUsedBytes'> = { rssBytes: 0, heapUsedBytes: 0 };

  /** Where those figures come from. */
  of(readFigures: () => MeasuredFigures): void {
    this.#readFigures = readFigures;
  }

  read(): WorkerVitals {
    this.#countLoop();
    try {
      const { rss: rssBytes, heapUsed: heapUsedBytes } = process.memoryUsage();
      this.#memory = { rssBytes, heapUsedBytes };
    } catch {
      // It throws when there is no descriptor left to read them through.
    }
    return { loopBusyMs: this.#loopBusyMs, ...this.#memory, ...this.#readFigures() };
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
