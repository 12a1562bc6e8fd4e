// The channels that a worker is subscribed to at the embedded engine, and how far it may deliver on its own.
//
//   subscribing ──► shared ──(offer, ask, grant)──► exclusive
//        ▲             ▲                               │
//        └─link broke──┴───────────(share)─────────────┘
//
// In an exclusive channel a publication without history goes to the listener of this process directly, unless something
// of this worker is still on its way through the engine: then it follows that, so that nothing overtakes.
import type { BrokerListener } from '../broker.ts';
import type { ClientInfo, Publication } from '../../protocol/publication.ts';
import type { Logger } from '../../observe/logger.ts';

export interface ChannelEntry {
  readonly channel: string;
  /** `subscribing`: what comes belongs to an earlier subscription and is dropped. */
  state: 'subscribing' | 'shared' | 'exclusive';
  /** Exclusivity has been asked for and not been answered. */
  asking: boolean;
  grant: number;
  /** Own publications on their way through the engine, counted while asking or exclusive. */
  inFlight: number;
  /** Settles with the subscribe request. */
  ready: Promise<void>;
}

type Delivery =
  | { readonly kind: 'publication'; readonly entry: ChannelEntry; readonly publication: Publication }
  | { readonly kind: 'join' | 'leave'; readonly entry: ChannelEntry; readonly info: ClientInfo };

export class ClientChannels {
  readonly #listener: BrokerListener;
  readonly #logger: Logger | undefined;
  readonly #entries = new Map<string, ChannelEntry>();
  /** Local deliveries of this turn. */
  #local: Delivery[] = [];
  #draining = false;
  #drainLater: NodeJS.Immediate | undefined;
  delivered = 0;
  deliveredLocally = 0;

  constructor(listener: BrokerListener, logger: Logger | undefined) {
    this.#listener = listener;
    this.#logger = logger;
  }

  get size(): number {
    return this.#entries.size;
  }

  get exclusive(): number {
    let count = 0;
    for (const entry of this.#entries.values()) if (entry.state === 'exclusive') count += 1;
    return count;
  }

  get(channel: string): ChannelEntry | undefined {
    return this.#entries.get(channel);
  }

  all(): readonly ChannelEntry[] {
    return [...this.#entries.values()];
  }

  add(channel: string): ChannelEntry {
    const entry: ChannelEntry = {
      channel,
      state: 'subscribing',
      asking: false,
      grant: 0,
      inFlight: 0,
      ready: Promise.resolve(),
    };
    this.#entries.set(channel, entry);
    return entry;
  }

  /** Removes this entry, not a newer one of the same channel; false when it is not there any more. */
  remove(entry: ChannelEntry): boolean {
    return this.has(entry) && this.#entries.delete(entry.channel);
  }

  has(entry: ChannelEntry): boolean {
    return this.#entries.get(entry.channel) === entry;
  }

  /** The link broke: nobody is exclusive and all have to subscribe again. */
  interrupted(): void {
    this.drain();
    for (const entry of this.#entries.values()) {
      entry.state = 'subscribing';
      entry.asking = false;
      entry.inFlight = 0;
    }
  }

  /** Exclusivity ends here, at once; what was published before is delivered before this returns. */
  share(channel: string, grant: number): void {
    const entry = this.#entries.get(channel);
    if (entry?.state !== 'exclusive' || entry.grant !== grant) return;
    this.drain();
    entry.state = 'shared';
  }

  /** Delivers to the own listener, at the end of this turn of the caller. */
  deliverLocally(delivery: Delivery): void {
    this.#local.push(delivery);
    if (this.#local.length > 1) return;
    if (!this.#draining) {
      queueMicrotask(() => {
        this.drain();
      });
      return;
    }
    // A listener that publishes in turn must leave the event loop its share.
    this.#drainLater ??= setImmediate(() => {
      this.#drainLater = undefined;
      this.drain();
    });
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    const local = this.#local;
    this.#local = [];
    for (const delivery of local) {
      if (!this.has(delivery.entry)) continue;
      this.deliveredLocally += 1;
      const { channel } = delivery.entry;
      if (delivery.kind === 'publication') this.publication(channel, delivery.publication, '');
      else this.presence(delivery.kind, channel, delivery.info);
    }
    this.#draining = false;
  }

  publication(channel: string, publication: Publication, epoch: string, previous?: Publication): void {
    this.delivered += 1;
    try {
      if (previous === undefined) this.#listener.onPublication(channel, publication, epoch);
      else this.#listener.onPublication(channel, publication, epoch, previous);
    } catch (error) {
      this.#failed(error);
    }
  }

  presence(kind: 'join' | 'leave', channel: string, info: ClientInfo): void {
    try {
      if (kind === 'join') this.#listener.onJoin(channel, info);
      else this.#listener.onLeave(channel, info);
    } catch (error) {
      this.#failed(error);
    }
  }

  interruption(): void {
    try {
      this.#listener.onInterruption();
    } catch (error) {
      this.#failed(error);
    }
  }

  close(): void {
    clearImmediate(this.#drainLater);
    this.#local = [];
    this.#entries.clear();
  }

  /** A listener's fault must cost its own delivery only. */
  #failed(error: unknown): void {
    this.#logger?.error({ err: error }, 'listener of the engine failed');
  }
}
