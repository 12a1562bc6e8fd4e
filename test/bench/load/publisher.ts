// Publishes on a schedule over the connections it is given: open loop, so that a slow server does not slow it down.
import type { LoadConnection } from './connection.ts';
import { monotonicUs } from './monotonic.ts';
import { type PublishOrder, type PublishResult, channelName } from './orders.ts';
import { encodePayload, streamKey } from './payload.ts';

const US_PER_S = 1_000_000;

export class Publisher {
  readonly #connections: readonly LoadConnection[];
  /** First publisher number of this process: numbers are unique over the whole run. */
  readonly #firstNumber: number;
  readonly #published = new Map<number, number>();

  constructor(connections: readonly LoadConnection[], firstNumber: number) {
    this.#connections = connections;
    this.#firstNumber = firstNumber;
  }

  /** Ends early when `stopped` says so. */
  async run(order: PublishOrder, stopped: () => boolean): Promise<PublishResult> {
    const gapUs = (US_PER_S * order.burst) / order.perSecond;
    const turns = Math.max(1, Math.round((order.durationMs * 1000) / gapUs));
    const startUs = monotonicUs();
    let dueUs = startUs;
    let latestUs = 0;
    for (let turn = 0; turn < turns && !stopped(); turn++) {
      const waitMs = (dueUs - monotonicUs()) / 1000;
      if (waitMs > 0.2) await sleep(waitMs);
      latestUs = Math.max(latestUs, monotonicUs() - dueUs);
      this.#turn(order, turn);
      dueUs += order.jitter ? gapUs * (0.5 + Math.random()) : gapUs;
    }
    return { startUs, tookMs: (monotonicUs() - startUs) / 1000, published: [...this.#published], latestUs };
  }

  #turn(order: PublishOrder, turn: number): void {
    const channel = order.channels[turn % order.channels.length] ?? 0;
    const index = channel % this.#connections.length;
    const connection = this.#connections[index];
    if (connection === undefined) return;
    if (order.burst > 1) connection.cork();
    for (let i = 0; i < order.burst; i++) {
      const key = streamKey(this.#firstNumber + index, channel);
      const sequence = (this.#published.get(key) ?? 0) + 1;
      this.#published.set(key, sequence);
      connection.publish(channelName(channel), encodePayload(key, sequence, monotonicUs(), order.sizeBytes));
    }
    if (order.burst > 1) connection.uncork();
  }
}

async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
