// The Broker over Redis: streams with scripts, everything else as plain pub/sub.
import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../observe/logger.ts';
import type { ClientInfo, Publication, PublicationDraft } from '../../protocol/publication.ts';
import { UnavailableError, messageOf } from '../../util/errors.ts';
import type {
  Broker,
  BrokerListener,
  HistoryFilter,
  HistoryResult,
  PublishOptions,
  PublishResult,
} from '../broker.ts';
import { NO_POSITION, SUPPRESSED, TAKEN } from '../publish-results.ts';
import type { ChannelEntry } from './channel-entry.ts';
import { Channels } from './channels.ts';
import type { Keys } from './keys.ts';
import { type ChannelNews, MessageWriter, type Origin, readEntry, readMessage } from './messages.ts';
import { Numbering } from '../numbering.ts';
import type { Occupancy } from './occupancy.ts';
import type { Scripts } from './scripts.ts';
import type { Shard } from './shard.ts';

const DEFAULT_IDEMPOTENCY_TTL_MS = 300_000;
/** No channel begins with it. */
const ONCE = '\u0000';
/** Of what is not counted byte by byte: names, options, envelopes. */
const CALL_BYTES = 256;

export interface RedisBrokerDeps {
  readonly clock: Clock;
  readonly node: string;
  readonly keys: Keys;
  readonly scripts: Scripts;
  readonly listener: BrokerListener;
  readonly logger: Logger | undefined;
  /** Names a new stream: short, and never the same twice. */
  readonly newEpoch: () => string;
  readonly shardOf: (channel: string) => Shard;
  /** Undefined: nobody wants to know. */
  readonly occupancy: Pick<Occupancy, 'want' | 'unwant'> | undefined;
}

export class RedisBroker implements Broker {
  readonly channels: Channels;
  published = 0;
  /** Of them, those that Redis did not take after all. */
  unsent = 0;
  readonly #deps: RedisBrokerDeps;
  readonly #writer = new MessageWriter();
  readonly #numbering = new Numbering();

  constructor(deps: RedisBrokerDeps) {
    this.#deps = deps;
    const { node, listener, logger } = deps;
    this.channels = new Channels({
      node,
      listener,
      logger,
      read: (channel, since, limit) => this.#read(channel, { limit, since: String(since), reverse: false }),
    });
  }

  async subscribe(channel: string): Promise<void> {
    const known = this.channels.get(channel);
    if (known !== undefined) {
      if (known.state === 'lost') throw new UnavailableError('Redis delivers nothing in this channel now');
      return known.ready;
    }
    const entry = this.channels.add(channel);
    entry.ready = this.#subscribe(entry);
    return entry.ready;
  }

  /** Without a connection there is no interest that would have to end. */
  unsubscribe(channel: string): Promise<void> {
    const entry = this.channels.get(channel);
    if (entry !== undefined) {
      this.channels.remove(entry);
      this.#deps.occupancy?.unwant(channel);
      this.#deps.shardOf(channel).unsubscribe(this.#deps.keys.pubSub(channel));
    }
    return Promise.resolve();
  }

  publish(
    channel: string,
    draft: PublicationDraft,
    options: PublishOptions,
  ): PublishResult | Promise<PublishResult> {
    if (options.historySize > 0) return this.#store(channel, draft, options);
    if ((options.idempotencyKey ?? '') !== '') return this.#publishOnce(channel, draft, options);
    const time = this.#deps.clock.wallMs();
    return this.#pass(channel, {
      isAcknowledged: options.acknowledged === true,
      encode: (origin) => this.#writer.publication(origin, time, draft),
      news: () => {
        const { data, isJson, info, tags } = draft;
        return { kind: 'publication', publication: { data, isJson, info, tags, offset: 0, time }, epoch: '' };
      },
    });
  }

  publishJoin(channel: string, info: ClientInfo): Promise<void> {
    return this.#passPresence('join', channel, info);
  }

  publishLeave(channel: string, info: ClientInfo): Promise<void> {
    return this.#passPresence('leave', channel, info);
  }

  async history(channel: string, filter: HistoryFilter): Promise<HistoryResult> {
    const { limit, since, reverse, historyMetaTtlMs } = filter;
    const result = await this.#read(channel, {
      limit,
      since: since === undefined ? '' : String(since.offset),
      reverse,
      metaTtlMs: Math.max(1, historyMetaTtlMs),
    });
    this.channels.began(channel, result.top);
    return result;
  }

  async removeHistory(channel: string): Promise<void> {
    const { keys, shardOf } = this.#deps;
    await shardOf(channel).call(channel, 'UNLINK', [keys.stream(channel)]);
  }

  onMessage(channel: string, message: Buffer): void {
    this.channels.onMessage(channel, readMessage(message));
  }

  async #subscribe(entry: ChannelEntry): Promise<void> {
    const { keys, shardOf } = this.#deps;
    const { channel } = entry;
    try {
      await shardOf(channel).subscribe(channel, keys.pubSub(channel));
    } catch (error) {
      this.channels.remove(entry);
      throw error;
    }
    if (entry.state === 'subscribing') entry.state = 'live';
    if (this.channels.get(channel) === entry) this.#deps.occupancy?.want(channel);
  }

  async #store(channel: string, draft: PublicationDraft, options: PublishOptions): Promise<PublishResult> {
    const { keys, scripts, shardOf, newEpoch, clock } = this.#deps;
    const { historySize, historyTtlMs, historyMetaTtlMs, delta, version = 0, versionEpoch = '' } = options;
    const { idempotencyKey = '' } = options;
    const shard = shardOf(channel);
    const entry = this.#writer.entry(clock.wallMs(), draft);
    const names = [keys.stream(channel), keys.position(channel)];
    if (idempotencyKey !== '') names.push(keys.idempotency(channel, idempotencyKey));
    const reply = await shard.run(channel, {
      script: scripts.publish,
      keys: names,
      tellsRun: true,
      args: [
        newEpoch(),
        entry,
        historySize,
        Math.max(1, historyTtlMs),
        Math.max(1, historyMetaTtlMs),
        keys.pubSub(channel),
        shard.publishCommand,
        delta === true ? '1' : '0',
        idempotencyKey === '' ? '' : idempotencyTtlMs(options),
        String(version),
        versionEpoch,
      ],
      bytes: entry.length + CALL_BYTES,
    });
    const [offset, epoch, suppressed] = asArray(reply);
    this.published += 1;
    return {
      position: { offset: Number(offset), epoch: String(epoch) },
      suppressed: SUPPRESSED[Number(suppressed)] ?? false,
    };
  }

  async #publishOnce(
    channel: string,
    draft: PublicationDraft,
    options: PublishOptions,
  ): Promise<PublishResult> {
    const { keys, scripts, shardOf, node, clock } = this.#deps;
    const shard = shardOf(channel);
    // Numbered by itself: should it be suppressed, nobody is to miss it.
    const number = this.#numbering.next(`${ONCE}${channel}`);
    const message = this.#writer.publication({ node, number, mayBeMissing: true }, clock.wallMs(), draft);
    const suppressed = await shard.run(channel, {
      script: scripts.publishOnce,
      keys: [keys.idempotency(channel, options.idempotencyKey ?? '')],
      args: [idempotencyTtlMs(options), keys.pubSub(channel), shard.publishCommand, message],
      bytes: message.length + CALL_BYTES,
    });
    this.published += 1;
    return { position: NO_POSITION, suppressed: suppressed === 1 ? 'idempotency' : false };
  }

  async #passPresence(kind: 'join' | 'leave', channel: string, info: ClientInfo): Promise<void> {
    await this.#pass(channel, {
      isAcknowledged: false,
      encode: (origin) => this.#writer.presence(kind, origin, info),
      news: () => ({ kind, info }),
    });
  }

  /** Sends what is not stored. */
  #pass(
    channel: string,
    what: {
      /**
       * Redis has to have it. Otherwise nobody waits for an answer, so that publishers are not slowed down to one publication a
       * round trip; and while Redis is away it may reach the subscribers of this worker only.
       */
      readonly isAcknowledged: boolean;
      readonly encode: (origin: Origin) => Buffer;
      readonly news: () => ChannelNews;
    },
  ): PublishResult | Promise<PublishResult> {
    const { keys, shardOf, node } = this.#deps;
    const shard = shardOf(channel);
    const entry = this.channels.get(channel);
    const refusal = shard.refusal(channel);
    const isHere = entry !== undefined && entry.state !== 'subscribing';
    if (refusal !== undefined && (what.isAcknowledged || !isHere)) return Promise.reject(refusal);
    const number = this.#numbering.next(channel);
    if (isHere && number < entry.deliveredLocally) entry.deliveredLocally = 0;
    // Also when it goes out, but would not come back.
    if (isHere && (refusal !== undefined || entry.state === 'lost')) {
      this.channels.deliverLocally(entry, { node, number, mayBeMissing: false }, what.news());
    }
    if (refusal === undefined) {
      const message = what.encode({ node, number, mayBeMissing: false });
      const args = [keys.pubSub(channel), message];
      const sent = shard.call(channel, shard.publishCommand, args, message.length + CALL_BYTES);
      if (what.isAcknowledged) return this.#acknowledged(sent);
      sent.catch((error: unknown) =>
        this.#onUnsent(error, entry, { node, number, mayBeMissing: false }, what.news),
      );
    }
    this.published += 1;
    return TAKEN;
  }

  async #acknowledged(sent: Promise<unknown>): Promise<PublishResult> {
    await sent;
    this.published += 1;
    return TAKEN;
  }

  /** The publisher was told that it is on its way: it reaches at least those who are here. */
  #onUnsent(error: unknown, entry: ChannelEntry | undefined, origin: Origin, news: () => ChannelNews): void {
    this.unsent += 1;
    this.#deps.logger?.debug({ reason: messageOf(error) }, 'redis did not take what was published');
    if (entry !== undefined) this.channels.deliverUnsent(entry, origin, news);
  }

  async #read(
    channel: string,
    filter: {
      readonly limit: number;
      readonly since: string;
      readonly reverse: boolean;
      /** Undefined: everything stays as it is. */
      readonly metaTtlMs?: number;
    },
  ): Promise<HistoryResult> {
    const { keys, scripts, shardOf, newEpoch } = this.#deps;
    const { limit, since, reverse, metaTtlMs } = filter;
    const reply = await shardOf(channel).run(channel, {
      script: scripts.history,
      keys: [keys.stream(channel), keys.position(channel)],
      tellsRun: true,
      args: [newEpoch(), metaTtlMs ?? '', limit, since, reverse ? '1' : '0'],
      bytes: CALL_BYTES,
    });
    const [offset, epoch, entries] = asArray(reply);
    return {
      publications: asArray(entries).map(readStreamEntry),
      top: { offset: Number(offset), epoch: String(epoch) },
    };
  }
}

/** `[id, [field, value]]`, where the id is `<offset>-0`. */
function readStreamEntry(entry: unknown): Publication {
  const [id, fields] = asArray(entry);
  const value = asArray(fields)[1];
  if (!Buffer.isBuffer(value))
    throw new TypeError('a stream of Redis holds something else than publications');
  return readEntry(value, Number.parseInt(String(id), 10));
}

function asArray(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw new TypeError('Redis answers something unexpected');
  return reply;
}

function idempotencyTtlMs({ idempotencyTtlMs: ttlMs = 0 }: PublishOptions): number {
  return ttlMs > 0 ? ttlMs : DEFAULT_IDEMPOTENCY_TTL_MS;
}
