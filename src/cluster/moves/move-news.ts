// Tells workers where their connections have got to, a few at a time: each by itself would cost the primary a third of the move.
// Nobody waits for it: the connection goes on at its new place.
import type { MovedTo, ToWorker } from '../ipc.ts';

interface Told {
  post(message: ToWorker): void;
}

const GATHER_MS = 4;

export class MoveNews {
  readonly #waiting = new Map<Told, MovedTo[]>();
  #timer: NodeJS.Timeout | undefined;

  add(worker: Told, moved: MovedTo): void {
    const news = this.#waiting.get(worker);
    if (news === undefined) this.#waiting.set(worker, [moved]);
    else news.push(moved);
    this.#timer ??= setTimeout(this.tellAll, GATHER_MS);
  }

  /** Now: before something is said that only holds with it. */
  readonly tellAll = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [worker, moves] of this.#waiting) worker.post({ type: 'moved', moves });
    this.#waiting.clear();
  };
}
