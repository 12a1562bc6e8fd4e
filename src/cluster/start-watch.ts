// Whether the host comes up at all: the first worker that is ready, or a worker that says that it never will be.
import { ConfigError } from '../util/errors.ts';
import type { ToPrimary } from './ipc.ts';
import type { WorkerObserver } from './supervisor.ts';
import type { WorkerProcess } from './worker-process.ts';

export class StartWatch implements WorkerObserver {
  #outcome: 'starting' | 'ready' | ConfigError = 'starting';
  #waiting: (() => void)[] = [];

  /** Rejects with what is wrong in the configuration. A worker that crashes for other reasons is tried again. */
  async firstReady(): Promise<void> {
    if (this.#outcome === 'starting') await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#outcome instanceof ConfigError) throw this.#outcome;
  }

  message(_process: WorkerProcess, message: ToPrimary): void {
    if (this.#outcome !== 'starting') return;
    if (message.type === 'ready') this.#end('ready');
    else if (message.type === 'failed' && message.isConfig) this.#end(new ConfigError(message.reason));
  }

  #end(outcome: 'ready' | ConfigError): void {
    this.#outcome = outcome;
    for (const resolve of this.#waiting) resolve();
    this.#waiting = [];
  }
}
