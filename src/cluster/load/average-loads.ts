// How busy the workers have been lately, as they say at every heartbeat.
import type { Clock } from '../../util/clock.ts';
import type { ToPrimary } from '../ipc.ts';
import { LoadWindow, type WorkerRates } from './load-window.ts';
import type { WorkerObserver } from '../supervisor.ts';
import type { WorkerProcess } from '../worker-process.ts';

export class AverageLoads implements WorkerObserver {
  readonly #clock: Clock;
  readonly #windowMs: () => number;
  readonly #windows = new Map<WorkerProcess, LoadWindow>();

  constructor(clock: Clock, windowMs: () => number) {
    this.#clock = clock;
    this.#windowMs = windowMs;
  }

  /** Undefined while too little is known. */
  rates(process: WorkerProcess): WorkerRates | undefined {
    return this.#windows.get(process)?.rates;
  }

  /** Connections have changed places. */
  restart(): void {
    for (const window of this.#windows.values()) window.restart();
  }

  message(process: WorkerProcess, message: ToPrimary): void {
    if (message.type !== 'pong') return;
    let window = this.#windows.get(process);
    if (window === undefined) this.#windows.set(process, (window = new LoadWindow()));
    window.add(message.vitals, this.#clock.monotonicMs(), this.#windowMs());
  }

  gone(process: WorkerProcess): void {
    this.#windows.delete(process);
  }
}
