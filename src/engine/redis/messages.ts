// What travels through pub/sub.
//
//   publication  u8 1 | origin | f64 time | publication          (see publication-codec)
//   once         u8 5 | like a publication; its numbers are of their own, and may be missing
//   stored       u8 2 | f64 offset | epoch | u8 0, or 1, f64 offset, bytes entry: the one before | entry
//   join, leave  u8 3, 4 | origin | client info
//   entry        f64 time | publication                          as streams keep it; `stored` is written by publish.lua
//   origin       node | f64 number: counts what this node sends to this channel without storing it (see numbering)
import { FrameReader } from '../frame-reader.ts';
import { FrameWriter } from '../frame-writer.ts';
import { readInfo, readPublication, writeDraft, writeInfo } from '../publication-codec.ts';
import { WireError } from '../wire-error.ts';
import type { ClientInfo, Publication, PublicationDraft } from '../../protocol/publication.ts';

const Type = { publication: 1, stored: 2, join: 3, leave: 4, once: 5 } as const;

/** What a channel's listener is told. */
export type ChannelNews =
  | {
      readonly kind: 'publication';
      readonly publication: Publication;
      /** Empty without history. */
      readonly epoch: string;
      readonly previous?: Publication | undefined;
    }
  | { readonly kind: 'join' | 'leave'; readonly info: ClientInfo };

export interface Origin {
  readonly node: string;
  readonly number: number;
  /** Of numbers that were taken, some are never sent. */
  readonly mayBeMissing: boolean;
}

export interface ChannelMessage {
  readonly news: ChannelNews;
  /** Undefined for what is stored: its offset counts it. */
  readonly origin: Origin | undefined;
  readonly bytes: number;
}

export class MessageWriter {
  readonly #writer = new FrameWriter();

  publication(origin: Origin, time: number, draft: PublicationDraft): Buffer {
    this.#origin(origin.mayBeMissing ? Type.once : Type.publication, origin).f64(time);
    writeDraft(this.#writer, draft);
    return this.#take();
  }

  presence(kind: 'join' | 'leave', origin: Origin, info: ClientInfo): Buffer {
    writeInfo(this.#origin(Type[kind], origin), info);
    return this.#take();
  }

  entry(time: number, draft: PublicationDraft): Buffer {
    writeDraft(this.#writer.f64(time), draft);
    return this.#take();
  }

  info(info: ClientInfo): Buffer {
    writeInfo(this.#writer, info);
    return this.#take();
  }

  #origin(type: number, { node, number }: Origin): FrameWriter {
    return this.#writer.u8(type).string(node).f64(number);
  }

  #take(): Buffer {
    const segments = this.#writer.take();
    const [only] = segments;
    return segments.length === 1 && only !== undefined ? only : Buffer.concat(segments);
  }
}

/** Throws WireError. Payloads are views of the message. */
export function readMessage(message: Buffer): ChannelMessage {
  const reader = FrameReader.over(message);
  const type = reader.u8();
  const bytes = message.length;
  if (type === Type.stored) return { news: readStored(reader), origin: undefined, bytes };
  if (type !== Type.publication && type !== Type.once && type !== Type.join && type !== Type.leave) {
    throw new WireError(`unknown message type ${type}`);
  }
  const origin = { node: reader.string(), number: reader.f64(), mayBeMissing: type === Type.once };
  if (type === Type.publication || type === Type.once) {
    const publication = readPublication(reader, 0, reader.f64());
    return { news: { kind: 'publication', publication, epoch: '' }, origin, bytes };
  }
  return {
    news: { kind: type === Type.join ? 'join' : 'leave', info: readInfo(reader) },
    origin,
    bytes,
  };
}

export function readEntry(entry: Buffer, offset: number): Publication {
  const reader = FrameReader.over(entry);
  return readPublication(reader, offset, reader.f64());
}

function readStored(reader: FrameReader): ChannelNews {
  const offset = reader.f64();
  const epoch = reader.string();
  let previous: Publication | undefined;
  if (reader.u8() !== 0) {
    const previousOffset = reader.f64();
    previous = readEntry(reader.bytes(), previousOffset);
  }
  const publication = readEntry(reader.rest(), offset);
  return { kind: 'publication', publication, epoch, previous };
}
