// The channels that a worker is subscribed to at the embedded engine, and what it delivers on its own.
//
//   subscribing ──► shared ──(offer, ask, grant)──► exclusive
//        ▲             ▲                               │
//        └─link broke──┴───────────(share)─────────────┘
//
// What this worker publishes without history goes to the listener of this process directly, and to the engine only for
// the other workers: not at all in an exclusive channel. What it publishes with history comes back from the engine, and
// holds what follows it until then, so that nothing of this worker overtakes:
//
//   sent to the engine:   S1        S2              S: stored
//   delivered here:            p         q          p is held until S1 has landed, q until S2 has; S1 lands before S2
import type { BrokerListener } from '../broker.ts';
import type { Origin } from '../numbering.ts';
import type { ClientInfo, Publication } from '../../protocol/publication.ts';
import type { Logger } from '../../observe/logger.ts';

export interface ChannelEntry {
  readonly channel: string;
  /** `subscribing`: what comes belongs to an earlier subscription and is dropped. */
  state: 'subscribing' | 'shared' | 'exclusive';
  /** Exclusivity has been asked for and not been answered. */
  asking: boolean;
  grant: number;
  /** Own stored publications that were sent, and those of them that have come back or failed: the first ones. */
  sent: number;
  landed: number;
  /** For the own listener when what was sent before has landed; oldest first. */
  readonly held: Delivery[];
  /** Settles with the subscribe request. */
  ready: Promise<void>;
}

/** In one channel: as long as the engine takes for an answer, nobody publishes more than that. */
const MAX_HELD = 10_000;

interface DeliveryPlace {
  readonly entry: ChannelEntry;
  /** What the entry had sent when this was published. */
  readonly after: number;
  readonly origin: Origin;
}

export type Delivery = DeliveryPlace &
  (
    | { readonly kind: 'publication'; readonly publication: Publication }
    | { readonly kind: 'join' | 'leave'; readonly info: ClientInfo }
  );

export class ClientChannels {
  readonly #listener: BrokerListener;
  readonly #logger: Logger | undefined;
  readonly #entries = new Map<string, ChannelEntry>();
  /** What the listener published while it was being called. */
  #local: Delivery[] = [];
  #delivering = false;
  #drainLater: NodeJS.Immediate | undefined;
  delivered = 0;

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
      sent: 0,
      landed: 0,
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

  /**
   * The link broke: nobody is exclusive and all have to subscribe again. What was in flight has failed before, so that
   * nothing is held any more.
   */
  interrupted(): void {
    this.drain();
    for (const entry of this.#entries.values()) entry.state = 'subscribing';
  }

  /** Another engine: nobody is exclusive and all have to subscribe again; what is held still waits for what is in flight. */
  moved(): void {
    for (const entry of this.#entries.values()) entry.state = 'subscribing';
  }

  /** The oldest of those in flight has come back, or failed: then it may still come, and has lost its place. */
  landed(entry: ChannelEntry): void {
    entry.landed += 1;
    const { held, landed } = entry;
    if (held.length === 0) return;
    let due = 0;
    for (const { after } of held) {
      if (after > landed) break;
      due += 1;
    }
    this.#local.push(...held.splice(0, due));
    this.drain();
  }

  /** False when so much is held that nothing more may be published into this channel. */
  hasRoom({ held }: ChannelEntry): boolean {
    return held.length < MAX_HELD;
  }

  /** For the own listener: now, or when what was sent before it has landed. */
  deliver(delivery: Delivery): void {
    const { landed, held } = delivery.entry;
    if (delivery.after !== landed) held.push(delivery);
    else if (this.#delivering || this.#local.length > 0) {
      // A listener that publishes in turn must leave the event loop its share.
      this.#local.push(delivery);
      this.#drainLater ??= setImmediate(this.#onImmediate);
    } else this.#deliverNow(delivery);
  }

  /** Delivers what waits for its turn, now. */
  drain(): void {
    if (this.#local.length === 0 || this.#delivering) return;
    const local = this.#local;
    this.#local = [];
    for (const delivery of local) if (this.has(delivery.entry)) this.#deliverNow(delivery);
  }

  #deliverNow(delivery: Delivery): void {
    const { entry, origin } = delivery;
    this.#delivering = true;
    if (delivery.kind === 'publication') this.plain(entry.channel, delivery.publication, origin);
    else this.presence(delivery.kind, entry.channel, delivery.info, origin);
    this.#delivering = false;
  }

  readonly #onImmediate = (): void => {
    this.#drainLater = undefined;
    this.drain();
  };

  /** A publication without a place in a stream. */
  plain(channel: string, publication: Publication, origin: Origin): void {
    this.delivered += 1;
    try {
      this.#listener.onPublication(channel, publication, '', undefined, origin);
    } catch (error) {
      this.#failed(error);
    }
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

  presence(kind: 'join' | 'leave', channel: string, info: ClientInfo, origin: Origin): void {
    try {
      if (kind === 'join') this.#listener.onJoin(channel, info, origin);
      else this.#listener.onLeave(channel, info, origin);
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
