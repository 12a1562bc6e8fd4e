// What one channel delivers in one pass: the same bytes for every subscriber that is up to date.
import type { Subscription } from '../connection/subscription.ts';
import { frameMessages } from '../protocol/message-framing.ts';
import type { Message } from '../protocol/replies.ts';
import type { WireFormat } from '../protocol/wire-format.ts';
import type { ChannelItem, Codecs } from './channel-item.ts';
import { FrameCache } from './frame-cache.ts';
import type { ItemForm } from './item-form.ts';

/** Offsets of publications that follow each other in one epoch. */
interface StreamRange {
  readonly first: number;
  readonly last: number;
  readonly epoch: string;
}

/** Items in order, at least one: publications only, or joins and leaves only. */
export class Batch {
  readonly items: readonly ChannelItem[];
  readonly range: StreamRange | undefined;
  readonly #codecs: Codecs;
  readonly #firstSequence: number;
  readonly #isPublications: boolean;
  #frames: FrameCache | undefined;

  constructor(items: readonly ChannelItem[], codecs: Codecs) {
    this.items = items;
    this.#codecs = codecs;
    this.#firstSequence = items[0]?.sequence ?? 0;
    this.#isPublications = items[0]?.event.kind === 'publication';
    this.range = rangeOf(items);
  }

  get lastSequence(): number {
    return this.#firstSequence + this.items.length - 1;
  }

  /** When the engine took the first publication; 0 when unknown or of no interest (joins, leaves). */
  get publishedAtWallMs(): number {
    const event = this.items[0]?.event;
    return event?.kind === 'publication' ? event.publication.time : 0;
  }

  /** All items in one frame; null when one has no form in this encoding. */
  frame(format: WireFormat, form: ItemForm): Buffer | null {
    const only = this.items.length === 1 ? this.items[0] : undefined;
    if (only !== undefined) return only.frame(format, this.#codecs, form);
    this.#frames ??= new FrameCache();
    const known = this.#frames.find(format, form);
    return known === undefined ? this.#frames.add(format, form, this.#encode(format, form)) : known;
  }

  /** In which form the subscriber may get the frame of the whole batch as it is; undefined: item by item. */
  formFor(subscription: Subscription): ItemForm | undefined {
    const { state } = subscription;
    if (subscription.since >= this.#firstSequence) return undefined;
    if (subscription.matches !== undefined || subscription.seen !== undefined) return undefined;
    if (!this.#isPublications) return state.joinLeavePushes ? 'plain' : undefined;
    const { range } = this;
    if (state.positioned) {
      if (range === undefined || state.offset + 1 !== range.first || state.epoch !== range.epoch)
        return undefined;
    }
    if (!state.delta) return 'plain';
    return range !== undefined && state.deltaBase + 1 === range.first ? 'patch' : undefined;
  }

  #encode(format: WireFormat, form: ItemForm): Buffer | null {
    const messages: Message[] = [];
    for (const item of this.items) {
      const message = item.message(format, this.#codecs, form);
      if (message === null) return null;
      messages.push(message);
    }
    return frameMessages(format, messages);
  }
}

function rangeOf(items: readonly ChannelItem[]): StreamRange | undefined {
  let first = 0;
  let last = 0;
  let epoch = '';
  for (const { event } of items) {
    if (event.kind !== 'publication' || event.publication.offset === 0) return undefined;
    const { offset } = event.publication;
    if (first === 0) {
      first = offset;
      epoch = event.epoch;
    } else if (offset !== last + 1 || event.epoch !== epoch) return undefined;
    last = offset;
  }
  return { first, last, epoch };
}
