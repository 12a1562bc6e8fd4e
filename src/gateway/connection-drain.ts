// Sends the clients of a worker away, spread over time, so that they do not all knock elsewhere at once.
import type { Connection } from '../connection/connection.ts';
import { CloseCauses } from '../protocol/close-causes.ts';

export interface ConnectionDrainDeps {
  readonly connections: { readonly size: number; all(): Connection[] };
  readonly nowMs: () => number;
  readonly onProgress: (remaining: number) => void;
  /** No connection is left; called once. */
  readonly onDone: () => void;
}

const SLICE_MS = 100;

export class ConnectionDrain {
  readonly #deps: ConnectionDrainDeps;
  #timer: NodeJS.Timeout | undefined;
  #endsAtMs = 0;
  #isDone = false;

  constructor(deps: ConnectionDrainDeps) {
    this.#deps = deps;
  }

  /** Closes evenly over `durationMs`. Called again, the new time counts; once done, nothing happens any more. */
  start(durationMs: number): void {
    if (this.#isDone) return;
    this.#endsAtMs = this.#deps.nowMs() + durationMs;
    this.#timer ??= setInterval(() => this.#closeSlice(), SLICE_MS);
    this.#closeSlice();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #closeSlice(): void {
    const { connections, nowMs, onProgress, onDone } = this.#deps;
    const slicesLeft = Math.max(1, Math.ceil((this.#endsAtMs - nowMs()) / SLICE_MS));
    const slice = connections.all().slice(0, Math.ceil(connections.size / slicesLeft));
    for (const connection of slice) {
      connection.close(connection.hasSpoken ? CloseCauses.shutdown : CloseCauses.goingAway);
    }
    onProgress(connections.size);
    if (connections.size > 0) return;
    this.#isDone = true;
    this.close();
    onDone();
  }
}
