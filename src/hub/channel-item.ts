// Something that happened in a channel, as it goes to subscribers: encoded once per wire format.
import { fossilDelta } from '../protocol/fossil-delta.ts';
import type { Origin } from '../engine/numbering.ts';
import { frameMessage } from '../protocol/message-framing.ts';
import { FrameCache } from './frame-cache.ts';
import type { ItemForm } from './item-form.ts';
import type { ClientInfo, Publication } from '../protocol/publication.ts';
import type { Codec, DeliveredPublication, Message, Push } from '../protocol/replies.ts';
import type { WireFormat } from '../protocol/wire-format.ts';

export type Codecs = Readonly<Record<'json' | 'protobuf', Codec>>;

export type ChannelEvent =
  | {
      readonly kind: 'publication';
      readonly publication: Publication;
      /** Empty in channels without history. */
      readonly epoch: string;
      /** Base of a delta, when the publisher asked for one. */
      readonly previous: Publication | undefined;
      /** Of what has no offset. */
      readonly origin?: Origin | undefined;
    }
  | {
      readonly kind: 'join' | 'leave';
      readonly info: ClientInfo;
      readonly origin?: Origin | undefined;
    };

/** So that many items without a payload (joins, leaves) do not wait for free. */
const ENVELOPE_BYTES = 128;

export class ChannelItem {
  readonly channel: string;
  /** Place among this worker's deliveries of the channel. */
  readonly sequence: number;
  readonly event: ChannelEvent;
  readonly #frames = new FrameCache();

  constructor(channel: string, sequence: number, event: ChannelEvent) {
    this.channel = channel;
    this.sequence = sequence;
    this.event = event;
  }

  /** What it costs while it waits, roughly: for limits. */
  get bytes(): number {
    return ENVELOPE_BYTES + (this.event.kind === 'publication' ? this.event.publication.data.length : 0);
  }

  /** Offset of the publication that a patch of this one is made against; 0 when there is none. */
  get deltaBase(): number {
    if (this.event.kind !== 'publication') return 0;
    const { previous, publication } = this.event;
    return previous !== undefined && previous.offset === publication.offset - 1 ? previous.offset : 0;
  }

  /** The unframed push; null when the payload has no form in this encoding. */
  message(format: WireFormat, codecs: Codecs, form: ItemForm): Message | null {
    return codecs[format.encoding].push(this.#asPush(format, form), format.unidirectional) ?? null;
  }

  /** The push in a frame of its own. */
  frame(format: WireFormat, codecs: Codecs, form: ItemForm): Buffer | null {
    const known = this.#frames.find(format, form);
    if (known !== undefined) return known;
    const message = this.message(format, codecs, form);
    return this.#frames.add(format, form, message === null ? null : frameMessage(format, message));
  }

  #asPush(format: WireFormat, form: ItemForm): Push {
    const { event, channel } = this;
    if (event.kind !== 'publication') return { kind: event.kind, channel, info: event.info };
    const { publication, previous } = event;
    if (form === 'plain') return { kind: 'publication', channel, publication };
    const patch =
      form === 'patch' && previous !== undefined && this.deltaBase > 0
        ? fossilDelta(previous.data, publication.data, { asText: format.encoding === 'json' })
        : undefined;
    return { kind: 'publication', channel, publication: inDeltaForm(publication, patch) };
  }
}

/** For a subscription that negotiated deltas: the patch or, without one, the whole payload. */
export function inDeltaForm(publication: Publication, patch?: Buffer): DeliveredPublication {
  const delta = { data: patch ?? publication.data, isPatch: patch !== undefined };
  return { ...publication, delta };
}
