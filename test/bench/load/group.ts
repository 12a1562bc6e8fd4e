// All clients of one generator process, and the orders they carry out.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { LoadConnection } from './connection.ts';
import { dialects } from './dialects.ts';
import { Histogram } from './histogram.ts';
import { type Tally, emptyTally } from './ledger.ts';
import { monotonicUs } from './monotonic.ts';
import {
  type OpenOrder,
  type OpenResult,
  type PublishOrder,
  type PublishResult,
  type SettleOrder,
  type SettleResult,
  type SubscribeOrder,
  type WindowResult,
  channelsOf,
} from './orders.ts';
import { pollingSession } from './polling-session.ts';
import { channelOfKey } from './payload.ts';
import { Publisher } from './publisher.ts';

const READ_BUFFER_BYTES = 64 * 1024;
const OPEN_PATIENCE_MS = 30_000;
/** After which a client of a server that strands some tries again, as its own client library would (later). */
const STRANDED_AFTER_MS = 3000;
/** Time for a repeat that should not be there to arrive after everything that should. */
const AFTERMATH_MS = 150;
/** Files that a generator process needs besides its connections. */
const RESERVED_DESCRIPTORS = 100;

export interface GroupDeps {
  /** First publisher number of this process. */
  readonly firstPublisher: number;
  readonly onProgress: (text: string) => void;
}

export class LoadGroup {
  readonly #deps: GroupDeps;
  readonly #tally: Tally = emptyTally();
  readonly #latencies = new Histogram();
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  readonly #connections: LoadConnection[] = [];
  readonly #publisher: Publisher;
  readonly #faults: string[] = [];
  #deliveredAtMark = 0;
  #lastDeliveryUs = 0;
  #repeatedOpens = 0;

  constructor(deps: GroupDeps) {
    this.#deps = deps;
    this.#publisher = new Publisher(this.#connections, deps.firstPublisher);
  }

  async open(order: OpenOrder): Promise<OpenResult> {
    const limit = descriptorLimit() - RESERVED_DESCRIPTORS;
    if (this.#connections.length + order.count > limit) {
      throw new Error(`descriptors limit this process to ${limit} connections: use more generators`);
    }
    const firstSlot = this.#connections.length;
    this.#repeatedOpens = 0;
    return this.#each(order.count, order.atOnce, order.perSecond, 'connected', async (index) => {
      await this.#openOne(order, index, firstSlot + index);
    });
  }

  async subscribe(order: SubscribeOrder): Promise<OpenResult> {
    return this.#each(this.#connections.length, order.atOnce, 0, 'subscribed', async (index) => {
      await new Promise<void>((resolve) => {
        this.#connections[index]?.subscribe(channelsOf(index, order.assignment), resolve);
      });
    });
  }

  async publish(order: PublishOrder): Promise<PublishResult> {
    const result = await this.#publisher.run(order, () => this.#faults.length > 0);
    this.#throwFaults();
    return result;
  }

  /** Begins a window of measurement. */
  mark(): void {
    this.#latencies.reset();
    this.#deliveredAtMark = this.#tally.delivered;
  }

  async settle(order: SettleOrder): Promise<SettleResult & WindowResult> {
    const published = new Map(order.published);
    const expected = this.#expected(published);
    let seen = -1;
    let seenAtUs = 0;
    while (this.#tally.delivered < expected && this.#faults.length === 0) {
      const nowUs = monotonicUs();
      if (this.#tally.delivered !== seen) {
        seen = this.#tally.delivered;
        seenAtUs = nowUs;
        this.#deps.onProgress(`${seen} of ${expected} delivered`);
      } else if (nowUs - seenAtUs > order.patienceMs * 1000) break;
      await sleep(20);
    }
    await sleep(AFTERMATH_MS);
    this.#throwFaults();
    let lost = 0;
    for (const connection of this.#connections) lost += connection.ledger.lost(published);
    return {
      ...this.#tally,
      lost,
      latencies: this.#latencies.state(),
      deliveries: this.#tally.delivered - this.#deliveredAtMark,
      lastDeliveryUs: this.#lastDeliveryUs,
    };
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  #expected(published: ReadonlyMap<number, number>): number {
    const byChannel = new Map<number, number>();
    for (const [key, count] of published) {
      const channel = channelOfKey(key);
      byChannel.set(channel, (byChannel.get(channel) ?? 0) + count);
    }
    let expected = 0;
    for (const connection of this.#connections) {
      for (const channel of connection.channelNumbers) expected += byChannel.get(channel) ?? 0;
    }
    return expected;
  }

  async #openOne(order: OpenOrder, index: number, slot: number): Promise<void> {
    while (!(await this.#attempt(order, index, slot))) {
      this.#repeatedOpens++;
      this.#connections[slot]?.close();
    }
  }

  /** Resolves false when the server has stranded the client. */
  async #attempt(order: OpenOrder, index: number, slot: number): Promise<boolean> {
    const { target, localAddress } = order;
    const dialect = dialects[order.dialect];
    const path = dialect.polls
      ? `${dialect.path}&sid=${await pollingSession(target, localAddress)}`
      : dialect.path;
    return new Promise((resolve) => {
      const patience = setTimeout(() => {
        if (dialect.mayStrand) resolve(false);
      }, STRANDED_AFTER_MS);
      this.#connections[slot] = new LoadConnection(
        {
          target,
          localAddress,
          dialect,
          path,
          tally: this.#tally,
          latencies: this.#latencies,
          readBuffer: this.#readBuffer,
          onDelivered: this.#onDelivered,
          onFault: this.#onFault,
        },
        channelsOf(index, order.assignment),
        () => {
          clearTimeout(patience);
          resolve(true);
        },
      );
    });
  }

  /** Does `count` things, each timed, with bounds on how many run at once and how many begin in a second. */
  async #each(
    count: number,
    atOnce: number,
    perSecond: number,
    done: string,
    one: (index: number) => Promise<void>,
  ): Promise<OpenResult> {
    const times = new Histogram();
    const startUs = monotonicUs();
    const counts = { begun: 0, ended: 0 };
    let endedBefore = -1;
    let progressUs = startUs;
    const run = async (index: number): Promise<void> => {
      const beganUs = monotonicUs();
      try {
        await one(index);
      } catch (error) {
        this.#onFault(String(error));
        return;
      }
      times.record(monotonicUs() - beganUs);
      counts.ended++;
    };
    while (counts.ended < count) {
      this.#throwFaults();
      const nowUs = monotonicUs();
      const allowed = perSecond === 0 ? count : Math.floor(((nowUs - startUs) / 1_000_000) * perSecond) + 1;
      while (counts.begun < Math.min(count, allowed) && counts.begun - counts.ended < atOnce) {
        void run(counts.begun++);
      }
      if (counts.ended !== endedBefore) {
        endedBefore = counts.ended;
        progressUs = nowUs;
        this.#deps.onProgress(`${counts.ended} of ${count} ${done}`);
      } else if (nowUs - progressUs > OPEN_PATIENCE_MS * 1000) {
        throw new Error(
          `only ${counts.ended} of ${count} ${done}, then no progress for ${OPEN_PATIENCE_MS} ms (${this.#stages()})`,
        );
      }
      await sleep(1);
    }
    const tookMs = (monotonicUs() - startUs) / 1000;
    return { tookMs, latencies: times.state(), repeated: this.#repeatedOpens };
  }

  /** How many connections stand where on their way to being ready. */
  #stages(): string {
    const counts = new Map<string, number>();
    for (const { stage } of this.#connections) counts.set(stage, (counts.get(stage) ?? 0) + 1);
    return [...counts].map(([stage, count]) => `${count} ${stage}`).join(', ');
  }

  readonly #onDelivered = (nowUs: number): void => {
    this.#lastDeliveryUs = nowUs;
  };

  readonly #onFault = (what: string): void => {
    if (this.#faults.length < 10) this.#faults.push(what);
  };

  #throwFaults(): void {
    if (this.#faults.length > 0) throw new Error(`a connection failed: ${this.#faults.join('; ')}`);
  }
}

export function descriptorLimit(): number {
  const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return Number(line?.[1] ?? 1024);
}
