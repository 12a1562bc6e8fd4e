// Something that happened in a channel, as it goes to subscribers: encoded once per wire format.
import { frameMessages } from '../protocol/message-framing.ts';
import type { ClientInfo, Publication } from '../protocol/publication.ts';
import type { Codec, Push } from '../protocol/replies.ts';
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
    }
  | { readonly kind: 'join' | 'leave'; readonly info: ClientInfo };

export class ChannelItem {
  readonly channel: string;
  /** Place among this worker's deliveries of the channel. */
  readonly sequence: number;
  readonly event: ChannelEvent;
  readonly #messages: (Buffer | null | undefined)[] = [];
  readonly #frames: (Buffer | null | undefined)[] = [];

  constructor(channel: string, sequence: number, event: ChannelEvent) {
    this.channel = channel;
    this.sequence = sequence;
    this.event = event;
  }

  /** Payload bytes, for limits. */
  get bytes(): number {
    return this.event.kind === 'publication' ? this.event.publication.data.length : 0;
  }

  /** The unframed push; null when the payload has no form in this encoding. */
  message(format: WireFormat, codecs: Codecs): Buffer | null {
    return (this.#messages[format.index] ??=
      codecs[format.encoding].push(this.#asPush(), format.unidirectional) ?? null);
  }

  /** The push in a frame of its own. */
  frame(format: WireFormat, codecs: Codecs): Buffer | null {
    const known = this.#frames[format.index];
    if (known !== undefined) return known;
    const message = this.message(format, codecs);
    return (this.#frames[format.index] = message && frameMessages(format, [message]));
  }

  #asPush(): Push {
    const { event, channel } = this;
    return event.kind === 'publication'
      ? { kind: 'publication', channel, publication: event.publication }
      : { kind: event.kind, channel, info: event.info };
  }
}
