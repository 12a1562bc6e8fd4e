// Whether the host comes up: workers that are ready, workers that crash, or one that says that it never will be.
import { ConfigError } from '../util/errors.ts';
import type { ToPrimary } from './ipc.ts';
import type { WorkerObserver } from './supervisor.ts';
import type { WorkerProcess } from './worker-process.ts';

export class StartWatch implements WorkerObserver {
  readonly #booting = new Set<WorkerProcess>();
  #isReady = false;
  #hopeless: ConfigError | undefined;
  #onChange: (() => void) | undefined;

  /**
   * Resolves when there is a ready worker and no other one is still starting: the first would get everybody who waits at
   * the door. For those others it waits at most `patienceMs`. Rejects with what is wrong in the configuration; a worker
   * that crashes for other reasons is tried again.
   */
  async serving(patienceMs: number): Promise<void> {
    await this.#until(() => this.#isReady || this.#hopeless !== undefined);
    if (this.#hopeless !== undefined) throw this.#hopeless;
    await this.#until(() => this.#booting.size === 0, patienceMs);
  }

  /** Resolves when no worker is starting, or after `patienceMs`. */
  settled(patienceMs: number): Promise<void> {
    return this.#until(() => this.#booting.size === 0, patienceMs);
  }

  forked(process: WorkerProcess): void {
    this.#booting.add(process);
  }

  message(process: WorkerProcess, message: ToPrimary): void {
    if (message.type === 'ready') {
      this.#isReady = true;
      this.#settled(process);
    } else if (message.type === 'failed' && message.isConfig && !this.#isReady) {
      this.#hopeless ??= new ConfigError(message.reason);
      this.#settled(process);
    }
  }

  gone(process: WorkerProcess): void {
    this.#settled(process);
  }

  #settled(process: WorkerProcess): void {
    this.#booting.delete(process);
    this.#onChange?.();
  }

  async #until(isTrue: () => boolean, patienceMs?: number): Promise<void> {
    if (isTrue()) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onChange = (): void => {
        if (isTrue()) resolve();
      };
      if (patienceMs !== undefined) timer = setTimeout(resolve, patienceMs);
    });
    clearTimeout(timer);
    this.#onChange = undefined;
  }
}
