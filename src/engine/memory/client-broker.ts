// The Broker of a worker at the embedded engine: what its methods send, and what it makes of the frames that come.
import type { Logger } from '../../observe/logger.ts';
import type {
  ClientInfo,
  Publication,
  PublicationDraft,
  StreamPosition,
} from '../../protocol/publication.ts';
import type { Clock } from '../../util/clock.ts';
import { UnavailableError } from '../../util/errors.ts';
import type {
  Broker,
  BrokerListener,
  HistoryFilter,
  HistoryResult,
  PublishOptions,
  PublishResult,
} from '../broker.ts';
import { type ChannelEntry, ClientChannels } from './client-channels.ts';
import type { ClientLink } from './client-link.ts';
import { FrameReader } from '../frame-reader.ts';
import type { FrameWriter } from '../frame-writer.ts';
import { Numbering, type Origin, publisherOf } from '../numbering.ts';
import { readInfo, readPublication, writeDraft, writeInfo } from '../publication-codec.ts';
import { SUPPRESSED, TAKEN } from '../publish-results.ts';
import { FrameType, PublishFlag } from './wire.ts';
import { WireError } from '../wire-error.ts';

export interface ClientBrokerDeps {
  readonly clock: Clock;
  readonly link: ClientLink;
  /** This process: unique per start. */
  readonly node: string;
  readonly listener: BrokerListener;
  readonly logger: Logger | undefined;
}

export class ClientBroker implements Broker {
  readonly #deps: ClientBrokerDeps;
  readonly #link: ClientLink;
  readonly #publisher: number;
  readonly #numbering = new Numbering();
  readonly channels: ClientChannels;
  /** Publications that the engine or the local listener took. */
  published = 0;
  publishedLocally = 0;

  constructor(deps: ClientBrokerDeps) {
    this.#deps = deps;
    this.#link = deps.link;
    this.#publisher = publisherOf(deps.node);
    this.channels = new ClientChannels(deps.listener, deps.logger);
  }

  async subscribe(channel: string): Promise<void> {
    const known = this.channels.get(channel);
    if (known !== undefined) {
      const refusal = known.state === 'subscribing' ? this.#link.refusal() : undefined;
      if (refusal !== undefined) throw refusal;
      return known.ready;
    }
    const entry = this.channels.add(channel);
    entry.ready = this.#subscribe(entry, () => {
      // Perhaps the engine took it, only too late.
      if (this.channels.remove(entry)) this.#postUnsubscribe(channel);
    });
    return entry.ready;
  }

  unsubscribe(channel: string): Promise<void> {
    const entry = this.channels.get(channel);
    if (entry !== undefined && this.channels.remove(entry)) this.#postUnsubscribe(channel);
    return Promise.resolve();
  }

  publish(
    channel: string,
    draft: PublicationDraft,
    options: PublishOptions,
  ): PublishResult | Promise<PublishResult> {
    if (options.historySize > 0 || options.acknowledged === true || (options.idempotencyKey ?? '') !== '') {
      return this.#publishStored(channel, draft, options);
    }
    const entry = this.channels.get(channel);
    const time = this.#deps.clock.wallMs();
    const obstacle = this.#obstacle(entry);
    if (obstacle !== undefined) return Promise.reject(obstacle);
    const origin = { publisher: this.#publisher, number: this.#numbering.next(channel) };
    const refusal = this.#postPlain(entry, channel, origin, time, draft);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (entry !== undefined) {
      const { data, isJson, info, tags } = draft;
      const publication = { data, isJson, info, tags, offset: 0, time };
      this.channels.deliver({ kind: 'publication', entry, after: entry.sent, publication, origin });
    }
    this.published += 1;
    if (entry?.state === 'exclusive') this.publishedLocally += 1;
    return TAKEN;
  }

  publishJoin(channel: string, info: ClientInfo): Promise<void> {
    return this.#publishPresence('join', channel, info);
  }

  publishLeave(channel: string, info: ClientInfo): Promise<void> {
    return this.#publishPresence('leave', channel, info);
  }

  async history(channel: string, filter: HistoryFilter): Promise<HistoryResult> {
    const publications: Publication[] = [];
    return this.#link.request(FrameType.history, {
      write: (frame) =>
        frame
          .string(channel)
          .u8(filter.reverse ? 1 : 0)
          .f64(filter.limit)
          .f64(filter.since?.offset ?? -1)
          .f64(filter.historyMetaTtlMs),
      part: (frame) => {
        while (!frame.done) publications.push(readStored(frame));
      },
      read: (frame) => ({ publications, top: readPosition(frame) }),
    });
  }

  async removeHistory(channel: string): Promise<void> {
    await this.#link.request(FrameType.removeHistory, {
      write: (frame) => frame.string(channel),
      read: () => undefined,
    });
  }

  /** Tells a new link all interest. Resolves when the engine has it; rejects when the link broke again. */
  async resubscribe(): Promise<void> {
    await Promise.all(
      this.channels.all().map((entry) => {
        entry.ready = this.#subscribe(entry, () => undefined);
        return entry.ready;
      }),
    );
  }

  /** Another engine goes on where the last one stopped: the same, but what is on its way stays in its place. */
  async moved(): Promise<void> {
    this.channels.moved();
    await this.resubscribe();
  }

  onFrame(frame: FrameReader): void {
    // Others may have answered to what this worker published: it comes first here too.
    this.channels.drain();
    switch (frame.type) {
      case FrameType.plain: {
        const channel = frame.string();
        if (this.#isExpected(channel)) {
          const origin = readOrigin(frame);
          const time = frame.f64();
          this.channels.plain(channel, readPublication(frame, 0, time), origin);
        }
        break;
      }
      case FrameType.delivery: {
        const channel = frame.string();
        if (this.#isExpected(channel)) this.#delivery(channel, frame);
        break;
      }
      case FrameType.join:
      case FrameType.leave: {
        const channel = frame.string();
        const kind = frame.type === FrameType.join ? 'join' : 'leave';
        if (this.#isExpected(channel)) {
          const origin = readOrigin(frame);
          this.channels.presence(kind, channel, readInfo(frame), origin);
        }
        break;
      }
      case FrameType.offer:
        this.#offered(frame.string());
        break;
      case FrameType.share: {
        this.#share(frame.string(), frame.u32());
        break;
      }
      default:
        throw new WireError(`unknown frame type ${String(frame.type)}`);
    }
  }

  #share(channel: string, grant: number): void {
    const entry = this.channels.get(channel);
    if (entry?.state === 'exclusive' && entry.grant === grant) entry.state = 'shared';
    // Also when it was given up before: the engine waits for this.
    this.#link.directly(() => {
      this.#link.begin(FrameType.shared).string(channel).u32(grant);
      this.#link.end();
    });
  }

  #isExpected(channel: string): boolean {
    const entry = this.channels.get(channel);
    return entry !== undefined && entry.state !== 'subscribing';
  }

  #delivery(channel: string, frame: FrameReader): void {
    const offset = frame.f64();
    const time = frame.f64();
    const epoch = frame.string();
    const previous = frame.u8() === 0 ? undefined : readStored(frame);
    this.channels.publication(channel, readPublication(frame, offset, time), epoch, previous);
  }

  /** Asks for exclusivity. */
  #offered(channel: string): void {
    const entry = this.channels.get(channel);
    if (entry?.state !== 'shared' || entry.asking) return;
    entry.asking = true;
    this.#link
      .request(FrameType.subscribe, {
        write: (frame) => frame.string(channel).u8(1),
        read: (frame) => {
          entry.asking = false;
          entry.grant = frame.u32();
          if (entry.grant !== 0) entry.state = 'exclusive';
        },
        failed: () => {
          entry.asking = false;
        },
      })
      // Then it stays shared.
      .catch(() => undefined);
  }

  async #subscribe(entry: ChannelEntry, failed: () => void): Promise<void> {
    await this.#link.request(FrameType.subscribe, {
      write: (frame) => frame.string(entry.channel).u8(0),
      read: () => {
        entry.state = 'shared';
      },
      failed,
    });
  }

  /** Comes back to the own listener through the engine: counted, so that what follows can wait for it. */
  #publishStored(channel: string, draft: PublicationDraft, options: PublishOptions): Promise<PublishResult> {
    const entry = this.channels.get(channel);
    const landed = (): void => {
      if (entry !== undefined) this.channels.landed(entry);
    };
    if (entry !== undefined) entry.sent += 1;
    return this.#link.request(FrameType.publish, {
      write: (frame) => {
        writeOptions(frame.string(channel), options);
        writeDraft(frame, draft);
      },
      read: (frame) => {
        const position = readPosition(frame);
        const suppressed = SUPPRESSED[frame.u8()] ?? false;
        landed();
        this.published += 1;
        return { position, suppressed };
      },
      failed: landed,
      refused: () => {
        if (entry !== undefined) entry.sent -= 1;
      },
    });
  }

  #publishPresence(kind: 'join' | 'leave', channel: string, info: ClientInfo): Promise<void> {
    const entry = this.channels.get(channel);
    const obstacle = this.#obstacle(entry);
    if (obstacle !== undefined) return Promise.reject(obstacle);
    const origin = { publisher: this.#publisher, number: this.#numbering.next(channel) };
    const refusal = this.#postInfo(entry, kind, channel, origin, info);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (entry !== undefined) this.channels.deliver({ kind, entry, after: entry.sent, info, origin });
    return Promise.resolve();
  }

  /** Why what wants no answer cannot be published now. */
  #obstacle(entry: ChannelEntry | undefined): Error | undefined {
    if (entry !== undefined && !this.channels.hasRoom(entry)) {
      return new UnavailableError('too much waits for what is on its way through the engine');
    }
    return entry?.state === 'exclusive' ? undefined : this.#link.refusal();
  }

  /** For the other workers that are subscribed: the engine sends nothing back of it. */
  #postPlain(
    entry: ChannelEntry | undefined,
    channel: string,
    origin: Origin,
    time: number,
    draft: PublicationDraft,
  ): Error | undefined {
    if (entry?.state === 'exclusive') return undefined;
    const frame = this.#link.begin(FrameType.plain).string(channel);
    writeDraft(frame.f64(origin.publisher).f64(origin.number).f64(time), draft);
    return this.#link.end();
  }

  #postInfo(
    entry: ChannelEntry | undefined,
    kind: 'join' | 'leave',
    channel: string,
    origin: Origin,
    info: ClientInfo,
  ): Error | undefined {
    if (entry?.state === 'exclusive') return undefined;
    const frame = this.#link.begin(FrameType[kind]).string(channel);
    writeInfo(frame.f64(origin.publisher).f64(origin.number), info);
    return this.#link.end();
  }

  /** Without a link there is no interest that would have to end. */
  #postUnsubscribe(channel: string): void {
    if (!this.#link.up) return;
    this.#link.begin(FrameType.unsubscribe).string(channel);
    this.#link.end();
  }
}

function writeOptions(frame: FrameWriter, options: PublishOptions): void {
  const { idempotencyKey = '', version = 0 } = options;
  frame
    .u8(
      (options.delta === true ? PublishFlag.delta : 0) |
        (idempotencyKey === '' ? 0 : PublishFlag.idempotent) |
        (version > 0 ? PublishFlag.versioned : 0),
    )
    .u32(options.historySize)
    .f64(options.historyTtlMs)
    .f64(options.historyMetaTtlMs);
  if (idempotencyKey !== '') frame.string(idempotencyKey).f64(options.idempotencyTtlMs ?? 0);
  if (version > 0) frame.f64(version).string(options.versionEpoch ?? '');
}

function readOrigin(frame: FrameReader): Origin {
  return { publisher: frame.f64(), number: frame.f64() };
}

function readPosition(frame: FrameReader): StreamPosition {
  return { offset: frame.f64(), epoch: frame.string() };
}

function readStored(frame: FrameReader): Publication {
  const offset = frame.f64();
  const time = frame.f64();
  return readPublication(FrameReader.over(frame.bytes()), offset, time);
}
