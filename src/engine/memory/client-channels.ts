// The channels that a worker is subscribed to at the embedded engine, and how far it may deliver on its own.
//
//   subscribing ──► shared ──(offer, ask, grant)──► exclusive
//        ▲             ▲                               │
//        └─link broke──┴───────────(share)─────────────┘
//
// In an exclusive channel a publication without history goes to the listener of this process directly. While something of
// this worker is still on its way through the engine it is held until that has come back, so that nothing overtakes.
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
  /** For the local listener, as soon as nothing is in flight. */
  held: Delivery[];
  /** Settles with the subscribe request. */
  ready: Promise<void>;
}

/** In one channel: as long as the engine takes for an answer, nobody publishes more than that. */
const MAX_HELD = 10_000;

export type Delivery =
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
      held: [],
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
    for (const entry of this.#entries.values()) {
      this.#release(entry);
      entry.asking = false;
      entry.inFlight = 0;
    }
    this.drain();
    for (const entry of this.#entries.values()) entry.state = 'subscribing';
  }

  /**
   * Exclusivity ends here, at once. What was published before has been delivered when this returns, but for what is held:
   * that is returned, to follow through the engine what is in flight.
   */
  share(entry: ChannelEntry): readonly Delivery[] {
    entry.state = 'shared';
    this.drain();
    return entry.held.splice(0);
  }

  /** One of those in flight has come back. */
  landed(entry: ChannelEntry): void {
    entry.inFlight -= 1;
    if (entry.inFlight === 0 && entry.state === 'exclusive') this.#release(entry);
  }

  /** For the own listener, at the end of this turn of the caller. False when too many wait. */
  deliverLocally(delivery: Delivery): boolean {
    const { inFlight, held } = delivery.entry;
    if (inFlight === 0) this.#enqueue(delivery);
    else if (held.length < MAX_HELD) held.push(delivery);
    else return false;
    return true;
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

  #release({ held }: ChannelEntry): void {
    for (const delivery of held.splice(0)) this.#enqueue(delivery);
  }

  #enqueue(delivery: Delivery): void {
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
