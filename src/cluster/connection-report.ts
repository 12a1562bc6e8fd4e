// What a worker tells the primary of its connections, gathered for a moment: how many ended, and which sids lead here.
import type { ToPrimary } from './ipc.ts';

const INTERVAL_MS = 50;

export class ConnectionReport {
  readonly #post: (message: ToPrimary) => void;
  #closed = 0;
  #boundSids = new Set<string>();
  #unboundSids = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(post: (message: ToPrimary) => void) {
    this.#post = post;
  }

  /** Requests whose URL says `sid=` with these 20 characters come to this worker from now on. */
  bindSid(sid: string): void {
    this.#unboundSids.delete(sid);
    this.#boundSids.add(sid);
    this.#schedule();
  }

  unbindSid(sid: string): void {
    this.#boundSids.delete(sid);
    this.#unboundSids.add(sid);
    this.#schedule();
  }

  /** A connection that the primary counts for this worker has ended. */
  closed(): void {
    this.#closed += 1;
    this.#schedule();
  }

  /** Says at once what is unsaid. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#closed === 0 && this.#boundSids.size === 0 && this.#unboundSids.size === 0) return;
    this.#post({
      type: 'connections',
      closed: this.#closed,
      boundSids: [...this.#boundSids],
      unboundSids: [...this.#unboundSids],
    });
    this.#closed = 0;
    this.#boundSids = new Set();
    this.#unboundSids = new Set();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.flush();
    }, INTERVAL_MS);
  }
}
