// The channels that this worker is subscribed to: brings what comes to the listener in order and without gaps, or says that
// something is missing.
import type { Logger } from '../../observe/logger.ts';
import type { StreamPosition } from '../../protocol/publication.ts';
import type { BrokerListener, HistoryResult } from '../broker.ts';
import { ChannelEntry } from './channel-entry.ts';
import { publisherOf } from '../numbering.ts';
import type { ChannelMessage, ChannelNews, Origin } from './messages.ts';
import { streamStep } from './stream-step.ts';

/** Publications read from a stream at a time. */
const PAGE = 500;
/** Streams read at the same time: after an outage thousands of channels want it. */
const MAX_READS = 32;
const RETRY_MS = 300;
const MAX_PUBLISHERS = 4096;
/** Held for all channels together; beyond it a channel goes on with what it has, and its listener is told. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;

export interface ChannelsDeps {
  readonly node: string;
  readonly listener: BrokerListener;
  readonly logger: Logger | undefined;
  /** Reads a stream and changes nothing. */
  readonly read: (channel: string, since: number, limit: number) => Promise<HistoryResult>;
}

export interface ChannelCounters {
  delivered: number;
  /** Without Redis, because it was away. */
  deliveredLocally: number;
  /** Times that an offset showed that publications are missing. */
  gaps: number;
  /** Publications read from streams because they did not come by themselves. */
  repaired: number;
  /** Times that a stream was read up to its top, after a gap or an outage: nothing is missing. */
  repairs: number;
  /** Times that a stream could not be repaired, or that the channel is new after an outage: its listener was told. */
  interruptions: number;
}

export class Channels {
  readonly counters: ChannelCounters = {
    delivered: 0,
    deliveredLocally: 0,
    gaps: 0,
    repaired: 0,
    repairs: 0,
    interruptions: 0,
  };
  readonly #deps: ChannelsDeps;
  readonly #entries = new Map<string, ChannelEntry>();
  readonly #toRepair = new Set<ChannelEntry>();
  /** Their stream could not be read. */
  readonly #toRetry = new Set<ChannelEntry>();
  #reads = 0;
  #heldBytes = 0;
  #retry: NodeJS.Timeout | undefined;
  #local: { readonly entry: ChannelEntry; readonly news: ChannelNews; readonly origin: Origin }[] = [];
  /** By node id. */
  readonly #publishers = new Map<string, number>();
  #deliveringLocally: NodeJS.Immediate | undefined;

  constructor(deps: ChannelsDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#entries.size;
  }
  get heldBytes(): number {
    return this.#heldBytes;
  }

  get(channel: string): ChannelEntry | undefined {
    return this.#entries.get(channel);
  }

  add(channel: string): ChannelEntry {
    const entry = new ChannelEntry(channel);
    this.#entries.set(channel, entry);
    return entry;
  }

  /** Removes this entry, not a newer one of the same channel. */
  remove(entry: ChannelEntry): void {
    if (!this.#has(entry)) return;
    this.#entries.delete(entry.channel);
    this.#forgetRepair(entry);
    this.#takeHeld(entry);
  }

  onMessage(channel: string, message: ChannelMessage): void {
    const entry = this.#entries.get(channel);
    if (entry === undefined || entry.state === 'subscribing') return;
    if (entry.state === 'live') this.#take(entry, message);
    else this.#hold(entry, message);
  }

  /** Some subscriber begins here: from this position on nothing may be missing. */
  began(channel: string, position: StreamPosition): void {
    const entry = this.#entries.get(channel);
    if (entry === undefined || entry.position !== undefined || position.epoch === '') return;
    entry.position = position;
    entry.began = position.offset;
  }

  lost(channel: string): void {
    const entry = this.#entries.get(channel);
    if (entry === undefined || entry.state === 'subscribing') return;
    entry.state = 'lost';
    this.#forgetRepair(entry);
  }

  back(channel: string): void {
    const entry = this.#entries.get(channel);
    if (entry?.state === 'lost') this.#repairLater(entry);
  }

  /** For the own listener only, because Redis is away. Later in this turn of the event loop. */
  deliverLocally(entry: ChannelEntry, origin: Origin, news: ChannelNews): void {
    entry.deliveredLocally = origin.number;
    this.#local.push({ entry, news, origin });
    this.#deliveringLocally ??= setImmediate(() => {
      this.#deliveringLocally = undefined;
      for (const local of this.#local.splice(0)) {
        if (!this.#has(local.entry)) continue;
        this.counters.deliveredLocally += 1;
        this.#deliver(local.entry.channel, local.news, local.origin);
      }
    });
  }

  /** Redis was given it and may have taken it or not. Should it still come, it is known by its number. */
  deliverUnsent(entry: ChannelEntry, origin: Origin, news: () => ChannelNews): void {
    if (!this.#has(entry) || entry.state === 'subscribing') return;
    if (origin.number > Math.max(entry.cameBack, entry.deliveredLocally))
      this.deliverLocally(entry, origin, news());
  }

  close(): void {
    clearTimeout(this.#retry);
    clearImmediate(this.#deliveringLocally);
    this.#local = [];
    this.#toRepair.clear();
    this.#toRetry.clear();
    this.#entries.clear();
  }

  #take(entry: ChannelEntry, message: ChannelMessage): void {
    const { news, origin } = message;
    if (origin !== undefined) {
      const isOwn = origin.node === this.#deps.node && !origin.mayBeMissing;
      if (isOwn && origin.number <= entry.deliveredLocally) return;
      if (isOwn) entry.cameBack = origin.number;
      this.#deliver(entry.channel, news, origin);
      return;
    }
    if (news.kind !== 'publication') return;
    const { offset } = news.publication;
    const step = streamStep(entry, offset, news.epoch);
    if (step === 'gap') {
      this.counters.gaps += 1;
      this.#hold(entry, message);
      this.#repairLater(entry);
      return;
    }
    if (step === 'repeat') return;
    if (step !== 'late') entry.position = { offset, epoch: news.epoch };
    if (step === 'renewed') {
      entry.began = 0;
      entry.repaired = 0;
    }
    this.#deliver(entry.channel, news);
    if (step === 'back') this.#interrupted(entry);
  }

  #hold(entry: ChannelEntry, message: ChannelMessage): void {
    entry.held.push(message);
    entry.heldBytes += message.bytes;
    this.#heldBytes += message.bytes;
    if (this.#heldBytes > MAX_HELD_BYTES) this.#goOn(entry);
  }

  #takeHeld(entry: ChannelEntry): readonly ChannelMessage[] {
    this.#heldBytes -= entry.heldBytes;
    entry.heldBytes = 0;
    return entry.held.splice(0);
  }

  #repairLater(entry: ChannelEntry): void {
    entry.state = 'repairing';
    this.#toRepair.add(entry);
    this.#repairNext();
  }

  #repairNext(): void {
    for (const entry of this.#toRepair) {
      if (this.#reads >= MAX_READS) return;
      this.#toRepair.delete(entry);
      this.#reads += 1;
      void this.#repair(entry).finally(() => {
        this.#reads -= 1;
        this.#repairNext();
      });
    }
  }

  /** Reads what is missing, in pages, up to the top. */
  async #repair(entry: ChannelEntry): Promise<void> {
    const { channel } = entry;
    entry.repairs += 1;
    const run = entry.repairs;
    const isOver = (): boolean => !this.#has(entry) || entry.state !== 'repairing' || entry.repairs !== run;
    for (;;) {
      const { position } = entry;
      if (position === undefined) break;
      let page: HistoryResult;
      try {
        page = await this.#deps.read(channel, position.offset, PAGE);
      } catch {
        // Away again, perhaps, and then it will be back; or just busy.
        if (!isOver()) this.#retryLater(entry);
        return;
      }
      if (isOver()) return;
      if (page.top.epoch !== position.epoch) break;
      for (const publication of page.publications) {
        const { offset } = publication;
        // What was trimmed leaves a gap that subscribers notice by themselves.
        entry.position = { offset, epoch: position.epoch };
        entry.repaired = offset;
        this.counters.repaired += 1;
        this.#deliver(channel, { kind: 'publication', publication, epoch: position.epoch });
      }
      if (page.publications.length < PAGE) {
        if (page.top.offset > (entry.position?.offset ?? 0)) break;
        this.counters.repairs += 1;
        this.#resume(entry);
        return;
      }
    }
    if (!isOver()) this.#goOn(entry);
  }

  /** With whatever comes next: what is missing cannot be had, or nothing is known of it. */
  #goOn(entry: ChannelEntry): void {
    entry.position = undefined;
    if (entry.state === 'lost') {
      // Only the memory is given back; `back` decides what to do.
      this.#takeHeld(entry);
      return;
    }
    this.#forgetRepair(entry);
    this.#resume(entry);
    this.#interrupted(entry);
  }

  #resume(entry: ChannelEntry): void {
    entry.state = 'live';
    const held = this.#takeHeld(entry);
    for (const [at, message] of held.entries()) {
      this.#take(entry, message);
      // Another gap: the rest waits behind it. The listener may also have left the channel.
      if (entry.isLive && this.#has(entry)) continue;
      for (const later of held.slice(at + 1)) this.onMessage(entry.channel, later);
      return;
    }
  }

  #retryLater(entry: ChannelEntry): void {
    this.#toRetry.add(entry);
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      for (const failed of this.#toRetry) this.#toRepair.add(failed);
      this.#toRetry.clear();
      this.#repairNext();
    }, RETRY_MS);
  }

  #forgetRepair(entry: ChannelEntry): void {
    entry.repairs += 1;
    this.#toRepair.delete(entry);
    this.#toRetry.delete(entry);
  }

  #deliver(channel: string, news: ChannelNews, from?: Origin): void {
    const { listener, logger } = this.#deps;
    this.counters.delivered += 1;
    const origin = from && this.#originOf(from);
    try {
      if (news.kind === 'join') listener.onJoin(channel, news.info, origin);
      else if (news.kind === 'leave') listener.onLeave(channel, news.info, origin);
      else if (news.kind === 'publication') {
        const { publication, epoch, previous } = news;
        listener.onPublication(channel, publication, epoch, previous, origin);
      }
    } catch (error) {
      // A listener's fault must cost its own delivery only.
      logger?.error({ err: error }, 'listener of the engine failed');
    }
  }

  #originOf({ node, number, mayBeMissing }: Origin): { publisher: number; number: number } {
    let publisher = this.#publishers.get(node);
    if (publisher === undefined) {
      if (this.#publishers.size >= MAX_PUBLISHERS) this.#publishers.clear();
      publisher = publisherOf(node);
      this.#publishers.set(node, publisher);
    }
    return { publisher: mayBeMissing ? -publisher : publisher, number };
  }

  #interrupted({ channel }: ChannelEntry): void {
    const { listener, logger } = this.#deps;
    this.counters.interruptions += 1;
    try {
      listener.onInterruption(channel);
    } catch (error) {
      logger?.error({ err: error }, 'listener of the engine failed');
    }
  }

  #has(entry: ChannelEntry): boolean {
    return this.#entries.get(entry.channel) === entry;
  }
}
