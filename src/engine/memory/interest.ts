// Which link wants which channel, and who need not send what only its own worker wants.
//
// Publications with a place in a stream go to every link in one order. All others were delivered by the publishing worker
// itself and go to the other links in the order of each publisher: links are FIFO, both ways, and what a worker publishes
// after it has seen something reaches every other one after that.
//
// A channel whose only subscriber is the worker that publishes into it needs no trip through the engine: after a few
// such publications the worker is offered exclusivity and may ask for it. Why nobody misses anything:
// - A grant is given to the only subscriber, and ends before another one is admitted.
// - Another subscriber is admitted only when the holder has confirmed that it sends everything again (or its link ended).
//   What it publishes later follows the confirmation in the FIFO and reaches both.
// - Confirmations carry the number of the grant: a late one cannot end a newer grant.

/** What the table needs of a link. */
export interface InterestedLink {
  /** Channels of the table that name this link; kept by the table. */
  readonly channels: Set<string>;
  /** Answers a subscribe request; grant 0: not exclusive. */
  subscribed(requestId: number, grant: number): void;
  offer(channel: string): void;
  share(channel: string, grant: number): void;
}

interface Waiting<L> {
  readonly link: L;
  readonly requestId: number;
}

interface ChannelInterest<L> {
  readonly channel: string;
  readonly links: L[];
  /** Sends nothing of its own here; then it is the only one of `links`. */
  holder: L | undefined;
  grant: number;
  /** When the holder was asked to share, if it was. */
  sharingSinceMs: number;
  waiting: Waiting<L>[];
  /** Publications in a row of the only subscriber. */
  alone: number;
}

/** Publications of a sole subscriber that go by before it is offered exclusivity. */
const OFFER_AFTER = 3;

/** Told when the first link wants a channel, and when the last one no longer does. */
export type OccupancyObserver<L> = (channel: string, isOccupied: boolean, link: L) => void;

export class InterestTable<L extends InterestedLink> {
  readonly #channels = new Map<string, ChannelInterest<L>>();
  readonly #sharing = new Set<ChannelInterest<L>>();
  readonly #onOccupancy: OccupancyObserver<L>;
  #grants = 0;

  constructor(onOccupancy: OccupancyObserver<L> = () => undefined) {
    this.#onOccupancy = onOccupancy;
  }

  get channels(): number {
    return this.#channels.size;
  }

  /** Answers the request at once or when the holder of the channel has let go. */
  subscribe(link: L, channel: string, requestId: number, wantsExclusive: boolean, nowMs: number): void {
    const interest = this.#channels.get(channel) ?? this.#create(channel);
    link.channels.add(channel);
    if (interest.holder === link) this.#release(interest);
    if (interest.holder !== undefined) {
      interest.waiting.push({ link, requestId });
      if (!this.#sharing.has(interest)) this.#askToShare(interest, interest.holder, nowMs);
      return;
    }
    if (!interest.links.includes(link)) {
      interest.links.push(link);
      interest.alone = 0;
      if (interest.links.length === 1) this.#onOccupancy(channel, true, link);
    }
    if (wantsExclusive && interest.links.length === 1) {
      interest.holder = link;
      this.#grants = this.#grants === MAX_GRANT ? 1 : this.#grants + 1;
      interest.grant = this.#grants;
    }
    link.subscribed(requestId, interest.holder === undefined ? 0 : interest.grant);
  }

  unsubscribe(link: L, channel: string): void {
    const interest = this.#channels.get(channel);
    if (!link.channels.delete(channel) || interest === undefined) return;
    interest.waiting = interest.waiting.filter((waiting) => waiting.link !== link);
    const index = interest.links.indexOf(link);
    if (index !== -1) {
      interest.links.splice(index, 1);
      interest.alone = 0;
    }
    if (interest.holder === link) this.#release(interest);
    if (interest.links.length > 0) return;
    this.#channels.delete(channel);
    this.#onOccupancy(channel, false, link);
  }

  /** The holder confirms that it sends everything from now on. */
  shared(link: L, channel: string, grant: number): void {
    const interest = this.#channels.get(channel);
    if (interest?.holder === link && interest.grant === grant) this.#release(interest);
  }

  /** Who is interested in what this link publishes now, perhaps itself. */
  publishing(link: L, channel: string): readonly L[] {
    const interest = this.#channels.get(channel);
    if (interest === undefined) return NOBODY;
    if (interest.links.length === 1 && interest.links[0] === link && interest.holder === undefined) {
      interest.alone += 1;
      if (interest.alone === OFFER_AFTER) link.offer(channel);
    }
    return interest.links;
  }

  /** Who gets what is published into this channel. */
  links(channel: string): readonly L[] {
    return this.#channels.get(channel)?.links ?? NOBODY;
  }

  /** Nobody waits for a holder to let go. */
  get isSettled(): boolean {
    return this.#sharing.size === 0;
  }

  /** Ends all interest of a link. */
  drop(link: L): void {
    for (const channel of link.channels) this.unsubscribe(link, channel);
  }

  /** Holders that were asked to share before `sinceMs` and have not answered. */
  unresponsive(sinceMs: number): L[] {
    const holders = new Set<L>();
    for (const { sharingSinceMs, holder } of this.#sharing) {
      if (sharingSinceMs < sinceMs && holder !== undefined) holders.add(holder);
    }
    return [...holders];
  }

  #create(channel: string): ChannelInterest<L> {
    const interest: ChannelInterest<L> = {
      channel,
      links: [],
      holder: undefined,
      grant: 0,
      sharingSinceMs: 0,
      waiting: [],
      alone: 0,
    };
    this.#channels.set(channel, interest);
    return interest;
  }

  #askToShare(interest: ChannelInterest<L>, holder: L, nowMs: number): void {
    interest.sharingSinceMs = nowMs;
    this.#sharing.add(interest);
    holder.share(interest.channel, interest.grant);
  }

  #release(interest: ChannelInterest<L>): void {
    interest.holder = undefined;
    interest.alone = 0;
    interest.sharingSinceMs = 0;
    this.#sharing.delete(interest);
    const { waiting } = interest;
    interest.waiting = [];
    for (const { link, requestId } of waiting) {
      if (!interest.links.includes(link)) interest.links.push(link);
      link.subscribed(requestId, 0);
    }
  }
}

const MAX_GRANT = 0xffffffff;
const NOBODY: readonly never[] = [];
