// Sends the clients of a worker away, spread over time, so that they do not all knock elsewhere at once: as many as it is
// told, or all of them over a time of its own. Those go first that came first: who has just come from another host that
// leaves is not sent on at once.
import type { Connection } from '../connection/connection.ts';
import { CloseCauses } from '../protocol/close-causes.ts';

export interface ConnectionDrainDeps {
  readonly connections: { readonly size: number; all(): Connection[] };
  readonly nowMs: () => number;
  /** `ordered`: closes that `closeSome` was told of so far. */
  readonly onProgress: (remaining: number, ordered: number) => void;
  /** No connection is left; called once. */
  readonly onDone: () => void;
}

const SLICE_MS = 100;

export class ConnectionDrain {
  readonly #deps: ConnectionDrainDeps;
  #timer: NodeJS.Timeout | undefined;
  #endsAtMs = 0;
  #ordered = 0;
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

  /** Nothing ends with the last of them. */
  closeSome(count: number): void {
    this.#ordered += count;
    this.#close(count);
    this.#deps.onProgress(this.#deps.connections.size, this.#ordered);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #closeSlice(): void {
    const { connections, nowMs, onProgress, onDone } = this.#deps;
    const slicesLeft = Math.max(1, Math.ceil((this.#endsAtMs - nowMs()) / SLICE_MS));
    this.#close(Math.ceil(connections.size / slicesLeft));
    onProgress(connections.size, this.#ordered);
    if (connections.size > 0) return;
    this.#isDone = true;
    this.close();
    onDone();
  }

  #close(count: number): void {
    if (count === 0) return;
    const all = this.#deps.connections.all();
    // Whoever waits for a reply gets it first, while there are others.
    const quiet = all.filter(({ isBusy }) => !isBusy);
    const busy = quiet.length < count ? all.filter(({ isBusy }) => isBusy) : [];
    for (const connection of [...quiet, ...busy].slice(0, count)) {
      connection.close(connection.hasSpoken ? CloseCauses.shutdown : CloseCauses.goingAway);
    }
  }
}
