// Executes the drain of the host: tells the workers, watches what they still have, knows when it is over.
import type { Logger } from '../observe/logger.ts';
import type { Clock } from '../util/clock.ts';
import { drainTransition, type DrainEvent, type DrainPolicy, type DrainState } from './drain-state.ts';
import type { ToPrimary } from './ipc.ts';
import type { Supervisor, WorkerObserver } from './supervisor.ts';
import type { WorkerProcess } from './worker-process.ts';

interface DrainDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly supervisor: Supervisor;
  /** New clients shall be refused from now on. */
  readonly onDraining: () => void;
}

export interface DrainProgress {
  readonly state: DrainState['name'];
  /** Connections that workers have not closed yet, as they last said. */
  readonly remaining: number;
  readonly workers: number;
}

export class Drain implements WorkerObserver {
  readonly #deps: DrainDeps;
  readonly #policy: DrainPolicy;
  readonly #remaining = new Map<WorkerProcess, number>();
  readonly #watchers = new Set<(progress: DrainProgress) => void>();
  #state: DrainState = { name: 'serving' };
  #whenEnded: (() => void)[] = [];

  constructor(deps: DrainDeps, policy: DrainPolicy) {
    this.#deps = deps;
    this.#policy = policy;
  }

  get draining(): boolean {
    return this.#state.name !== 'serving';
  }

  get progress(): DrainProgress {
    let remaining = 0;
    for (const count of this.#remaining.values()) remaining += count;
    return { state: this.#state.name, remaining, workers: this.#remaining.size };
  }

  /** Starts to leave; asked again it hurries. */
  ask(reason: string): void {
    this.#deps.logger.info({ reason, state: this.#state.name }, 'asked to leave');
    this.#dispatch({ type: 'ask', nowMs: this.#deps.clock.monotonicMs() });
  }

  /** Resolves when the last worker has ended after a drain. */
  whenEnded(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#state.name === 'ended') resolve();
      else this.#whenEnded.push(resolve);
    });
  }

  /** Told whenever a worker reports; returns how to stop. */
  watch(watcher: (progress: DrainProgress) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  forked(process: WorkerProcess): void {
    this.#remaining.set(process, 0);
  }

  message(process: WorkerProcess, message: ToPrimary): void {
    if (message.type !== 'draining') return;
    this.#remaining.set(process, message.remaining);
    this.#tellWatchers();
  }

  gone(process: WorkerProcess): void {
    this.#remaining.delete(process);
    this.#tellWatchers();
  }

  #tellWatchers(): void {
    const { progress } = this;
    for (const watcher of this.#watchers) watcher(progress);
  }

  #dispatch(event: DrainEvent): void {
    const [state, effects] = drainTransition(this.#state, event, this.#policy);
    this.#state = state;
    for (const effect of effects) {
      switch (effect.type) {
        case 'refuse-new':
          this.#deps.onDraining();
          break;
        case 'leave':
          this.#leave(effect.drainMs, effect.killAfterMs);
          break;
        case 'finish':
          this.#deps.logger.info({ tookMs: Math.round(effect.tookMs) }, 'drained');
          for (const resolve of this.#whenEnded) resolve();
          this.#whenEnded = [];
          break;
      }
    }
  }

  #leave(drainMs: number, killAfterMs: number): void {
    this.#deps.logger.info({ drainMs, killAfterMs }, 'workers asked to close their connections');
    const { supervisor, clock } = this.#deps;
    supervisor.leave(drainMs, killAfterMs);
    void supervisor.whenStopped().then(() => this.#dispatch({ type: 'empty', nowMs: clock.monotonicMs() }));
  }
}
