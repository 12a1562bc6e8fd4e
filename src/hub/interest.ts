// Keeps this worker subscribed at the engine to just the channels that have subscribers here. The last one's leaving takes
// effect after a delay: channels that empty and fill again (a page change, a reconnect) cost nothing.
import type { Broker } from '../engine/broker.ts';

const LINGER_MS = 3000;
const SWEEP_MS = 1000;

type InterestBroker = Pick<Broker, 'subscribe' | 'unsubscribe'>;

interface Interest {
  /** Settles when the engine has answered. */
  subscribed: Promise<void>;
  /** Monotonic time since which nobody wants the channel; Infinity while somebody does. */
  idleSinceMs: number;
}

export class Interests {
  readonly #broker: InterestBroker;
  readonly #nowMs: () => number;
  readonly #interests = new Map<string, Interest>();
  readonly #idle = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: { readonly broker: InterestBroker; readonly nowMs: () => number }) {
    this.#broker = deps.broker;
    this.#nowMs = deps.nowMs;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Resolves when publications of the channel reach this worker. */
  want(channel: string): Promise<void> {
    const known = this.#interests.get(channel);
    if (known !== undefined) {
      known.idleSinceMs = Infinity;
      this.#idle.delete(channel);
      return known.subscribed;
    }
    const interest: Interest = { subscribed: this.#broker.subscribe(channel), idleSinceMs: Infinity };
    this.#interests.set(channel, interest);
    interest.subscribed.catch(() => {
      // The next one who wants it tries again.
      if (this.#interests.get(channel) === interest) this.#forget(channel);
    });
    return interest.subscribed;
  }

  /** Nobody here wants the channel any more. */
  release(channel: string): void {
    const interest = this.#interests.get(channel);
    if (interest === undefined) return;
    interest.idleSinceMs = this.#nowMs();
    this.#idle.delete(channel);
    this.#idle.add(channel);
  }

  #sweep(): void {
    const before = this.#nowMs() - LINGER_MS;
    for (const channel of this.#idle) {
      const interest = this.#interests.get(channel);
      // Insertion order is the order of release: the rest is younger.
      if (interest !== undefined && interest.idleSinceMs > before) return;
      this.#forget(channel);
      // What fails here only costs deliveries that nobody takes; the engine drops them with the link.
      this.#broker.unsubscribe(channel).catch(() => undefined);
    }
  }

  #forget(channel: string): void {
    this.#interests.delete(channel);
    this.#idle.delete(channel);
  }
}
