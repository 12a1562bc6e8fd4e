// All streams of the embedded engine. Pure of I/O; the owner calls `sweep` about once a second, and what is due is never
// seen even when it does not.
import type { StreamPosition } from '../../protocol/publication.ts';
import type { Clock } from '../../util/clock.ts';
import { ExpiryBuckets } from './expiry-buckets.ts';
import { IdempotencyCache } from './idempotency.ts';
import { decodeState, encodeState } from './store-state.ts';
import { type AppendOptions, type StoredPublication, Stream, type StreamFilter } from './stream.ts';

const DEFAULT_IDEMPOTENCY_TTL_MS = 300_000;
const DEFAULT_MAX_IDEMPOTENCY_KEYS = 100_000;
/** What the objects cost beside the bytes that they hold, about. */
const PUBLICATION_BYTES = 250;
const STREAM_BYTES = 1000;
/** Of the limit: what is left when room has been made, so that not every publication has to. */
const ROOMY = 0.95;
const NO_POSITION: StreamPosition = Object.freeze({ offset: 0, epoch: '' });

export interface MemoryStoreDeps {
  readonly clock: Clock;
  /** Names a new stream: short, and never the same twice. */
  readonly newEpoch: () => string;
  readonly maxIdempotencyKeys?: number | undefined;
  /** Of streams and what they keep; without a limit by default. */
  readonly maxHistoryBytes?: number | undefined;
}

export interface StoreOptions extends AppendOptions {
  /** Empty: none. */
  readonly idempotencyKey: string;
  /** 0: the default. */
  readonly idempotencyTtlMs: number;
}

export interface StoreOutcome {
  readonly position: StreamPosition;
  readonly suppressed: false | 'idempotency' | 'version';
  /** Absent when suppressed or when the channel has no history. */
  readonly stored?: StoredPublication | undefined;
  /** The one before it, when still kept. */
  readonly previous?: StoredPublication | undefined;
}

export interface HistoryPage {
  readonly publications: readonly StoredPublication[];
  readonly top: StreamPosition;
}

export class MemoryStore {
  readonly #clock: Clock;
  readonly #newEpoch: () => string;
  /** In the order of use. */
  readonly #streams = new Map<string, Stream>();
  /** Those with publications, by their latest one: the oldest gives room first. */
  readonly #filled = new Map<string, Stream>();
  readonly #expiry: ExpiryBuckets<string>;
  readonly #idempotency: IdempotencyCache;
  #publications = 0;
  #bytes = 0;
  #evicted = 0;
  readonly #maxHistoryBytes: number;

  constructor(deps: MemoryStoreDeps) {
    this.#clock = deps.clock;
    this.#newEpoch = deps.newEpoch;
    this.#expiry = new ExpiryBuckets(deps.clock.monotonicMs());
    this.#idempotency = new IdempotencyCache(deps.maxIdempotencyKeys ?? DEFAULT_MAX_IDEMPOTENCY_KEYS);
    this.#maxHistoryBytes = deps.maxHistoryBytes ?? Infinity;
  }

  /** Channels that have a position. */
  get streams(): number {
    return this.#streams.size;
  }
  /** Kept in all streams. */
  get publications(): number {
    return this.#publications;
  }
  /** Of the publications kept. */
  get bytes(): number {
    return this.#bytes;
  }
  /** What streams and publications take, about. */
  get historyBytes(): number {
    return this.#bytes + this.#publications * PUBLICATION_BYTES + this.#streams.size * STREAM_BYTES;
  }
  /** Publications that had to go before their time. */
  get evicted(): number {
    return this.#evicted;
  }
  get idempotencyKeys(): number {
    return this.#idempotency.size;
  }

  /** `body` is kept as it is: the caller hands over a buffer that holds nothing else. */
  publish(channel: string, body: Buffer, options: StoreOptions): StoreOutcome {
    const nowMs = this.#clock.monotonicMs();
    const { idempotencyKey } = options;
    if (idempotencyKey !== '') {
      const position = this.#idempotency.get(channel, idempotencyKey, nowMs);
      if (position !== undefined) return { position, suppressed: 'idempotency' };
    }
    const outcome = options.historySize > 0 ? this.#append(channel, body, options, nowMs) : PASSED_ON;
    if (idempotencyKey !== '' && outcome.suppressed === false) {
      const ttlMs = options.idempotencyTtlMs > 0 ? options.idempotencyTtlMs : DEFAULT_IDEMPOTENCY_TTL_MS;
      this.#idempotency.set(channel, idempotencyKey, outcome.position, nowMs + ttlMs);
    }
    return outcome;
  }

  history(channel: string, filter: StreamFilter, metaTtlMs: number): HistoryPage {
    const nowMs = this.#clock.monotonicMs();
    const stream = this.#used(channel, nowMs);
    stream.touch(metaTtlMs, nowMs);
    this.#expiry.add(channel, stream.nextExpiryMs);
    return { publications: stream.read(filter), top: { offset: stream.top, epoch: stream.epoch } };
  }

  removeHistory(channel: string): void {
    const stream = this.#live(channel, this.#clock.monotonicMs());
    if (stream === undefined) return;
    this.#counted(channel, stream, () => {
      stream.clear();
    });
    this.#expiry.add(channel, stream.nextExpiryMs);
  }

  /** Forgets what is due. */
  sweep(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const channel of this.#expiry.takeDue(nowMs)) {
      const stream = this.#live(channel, nowMs);
      if (stream !== undefined) this.#expiry.add(channel, stream.nextExpiryMs);
    }
    this.#idempotency.expire(nowMs);
  }

  /** Everything, as pieces of about a megabyte. Nothing may be changed until the last of them was taken. */
  exportState(): Generator<Buffer> {
    return encodeState({
      streams: this.#streams,
      keys: this.#idempotency.entries(),
      monotonicMs: this.#clock.monotonicMs(),
      wallMs: this.#clock.wallMs(),
    });
  }

  /**
   * Takes over what another store exported; lifetimes went on meanwhile. Throws WireError, and takes nothing, when the
   * pieces are not complete and in order.
   */
  importState(pieces: Iterable<Buffer>): void {
    const nowMs = this.#clock.monotonicMs();
    const { streams, keys } = decodeState(pieces, nowMs, this.#clock.wallMs());
    for (const [channel, stream] of streams) {
      const known = this.#streams.get(channel);
      if (known !== undefined) this.#counted(channel, known, () => known.clear());
      this.#streams.set(channel, stream);
      if (stream.length > 0) this.#filled.set(channel, stream);
      this.#publications += stream.length;
      this.#bytes += stream.bytes;
      this.#expiry.delete(channel);
      this.#expiry.add(channel, stream.nextExpiryMs);
    }
    this.#makeRoom();
    for (const { name, position, untilMs } of keys) this.#idempotency.restore(name, position, untilMs);
  }

  #append(channel: string, body: Buffer, options: StoreOptions, nowMs: number): StoreOutcome {
    const stream = this.#used(channel, nowMs);
    const previous = stream.last();
    const append = (): StoredPublication | undefined =>
      stream.append(body, this.#clock.wallMs(), options, nowMs);
    const stored = this.#counted(channel, stream, append);
    if (stored !== undefined) {
      this.#filled.delete(channel);
      this.#filled.set(channel, stream);
    }
    this.#expiry.add(channel, stream.nextExpiryMs);
    this.#makeRoom();
    const position = { offset: stream.top, epoch: stream.epoch };
    return stored === undefined
      ? { position, suppressed: 'version' }
      : { position, suppressed: false, stored, previous };
  }

  /** The stream as it is now, without what is due; undefined when nothing is left of it. */
  #live(channel: string, nowMs: number): Stream | undefined {
    const stream = this.#streams.get(channel);
    if (stream === undefined || nowMs < stream.nextExpiryMs) return stream;
    if (!this.#counted(channel, stream, () => stream.expire(nowMs))) return stream;
    this.#streams.delete(channel);
    this.#expiry.delete(channel);
    return undefined;
  }

  /** The stream, made when there is none; the latest in the order of use. */
  #used(channel: string, nowMs: number): Stream {
    const known = this.#live(channel, nowMs);
    const stream = known ?? new Stream(this.#newEpoch());
    this.#streams.delete(channel);
    this.#streams.set(channel, stream);
    if (known === undefined) this.#makeRoom();
    return stream;
  }

  /**
   * Takes publications from the channels that had none for longest; their positions stay, so that who would recover from what
   * is gone is told so. When positions alone are too many those not used for longest are forgotten.
   */
  #makeRoom(): void {
    if (this.historyBytes <= this.#maxHistoryBytes) return;
    const roomyBytes = this.#maxHistoryBytes * ROOMY;
    const before = this.#publications;
    for (const [channel, stream] of this.#filled) {
      if (this.historyBytes <= roomyBytes) break;
      if (this.#filled.size > 1) this.#counted(channel, stream, () => stream.clear());
      else this.#shorten(channel, stream, roomyBytes);
    }
    this.#evicted += before - this.#publications;
    if (this.historyBytes <= this.#maxHistoryBytes) return;
    for (const [channel, stream] of this.#streams) {
      // The latest is in use by whoever asked for it.
      if (this.historyBytes <= roomyBytes || this.#streams.size === 1) break;
      this.#counted(channel, stream, () => stream.clear());
      this.#streams.delete(channel);
      this.#expiry.delete(channel);
    }
  }

  /** The only one that keeps anything: its latest stay. */
  #shorten(channel: string, stream: Stream, roomyBytes: number): void {
    while (this.historyBytes > roomyBytes && stream.length > 1)
      this.#counted(channel, stream, () => stream.keep(Math.ceil(stream.length / 2)));
  }

  #counted<T>(channel: string, stream: Stream, change: () => T): T {
    const { length, bytes } = stream;
    const result = change();
    if (stream.length === 0) this.#filled.delete(channel);
    this.#publications += stream.length - length;
    this.#bytes += stream.bytes - bytes;
    return result;
  }
}

const PASSED_ON: StoreOutcome = Object.freeze({ position: NO_POSITION, suppressed: false });
