// What a worker tells the primary of its connections, gathered for a moment: how many clients and requests ended, and which
// sids lead here.
import type { ToPrimary } from './ipc.ts';

const INTERVAL_MS = 50;

export class ConnectionReport {
  readonly #post: (message: ToPrimary) => void;
  #closed = 0;
  #answered = 0;
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

  /** A client that the primary counts for this worker is gone. */
  closed(): void {
    this.#closed += 1;
    this.#schedule();
  }

  /** A request that it counts is over, answered or not. */
  answered(): void {
    this.#answered += 1;
    this.#schedule();
  }

  /** Says at once what is unsaid. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const sids = this.#boundSids.size + this.#unboundSids.size;
    if (this.#closed + this.#answered + sids === 0) return;
    this.#post({
      type: 'connections',
      closed: this.#closed,
      answered: this.#answered,
      boundSids: [...this.#boundSids],
      unboundSids: [...this.#unboundSids],
    });
    this.#closed = 0;
    this.#answered = 0;
    this.#boundSids = new Set();
    this.#unboundSids = new Set();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.flush();
    }, INTERVAL_MS);
  }
}
