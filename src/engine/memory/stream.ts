// One channel's stream: the publications kept, the position, the version. Pure: time comes in with every call.
//
// Two clocks run on it: publications go `historyTtlMs` after the last one came, position and epoch go
// `historyMetaTtlMs` after they were last used, never before the publications. Then the stream is forgotten: the next one of
// the channel has another epoch.

/** A publication as its publisher encoded it. */
export interface StoredPublication {
  readonly offset: number;
  /** Unix milliseconds. */
  readonly time: number;
  readonly body: Buffer;
}

export interface AppendOptions {
  readonly historySize: number;
  readonly historyTtlMs: number;
  readonly historyMetaTtlMs: number;
  /** 0: none. */
  readonly version: number;
  readonly versionEpoch: string;
}

export interface StreamFilter {
  readonly limit: number;
  readonly sinceOffset: number | undefined;
  readonly reverse: boolean;
}

/** All of a stream but its entries, with times relative to the moment it was taken. */
export interface StreamState {
  readonly epoch: string;
  readonly top: number;
  readonly version: number;
  readonly versionEpoch: string;
  readonly entriesLeftMs: number;
  readonly metaLeftMs: number;
}

const NOTHING: readonly StoredPublication[] = [];
/** Takes the place of an entry that is gone, so that its bytes are not held until the array is compacted. */
const DROPPED: StoredPublication = { offset: 0, time: 0, body: Buffer.alloc(0) };
const MIN_COMPACTION = 32;

export class Stream {
  readonly epoch: string;
  #top = 0;
  #version = 0;
  #versionEpoch = '';
  /** Entries [#head, length) are kept, in order of offset and without gaps. */
  #entries: StoredPublication[] = [];
  #head = 0;
  #bytes = 0;
  #entriesUntilMs = Infinity;
  #metaUntilMs = Infinity;

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  static restore(state: StreamState, entries: readonly StoredPublication[], nowMs: number): Stream {
    const stream = new Stream(state.epoch);
    stream.#top = state.top;
    stream.#version = state.version;
    stream.#versionEpoch = state.versionEpoch;
    stream.#entries = [...entries];
    for (const { body } of entries) stream.#bytes += body.length;
    stream.#entriesUntilMs = nowMs + state.entriesLeftMs;
    stream.#metaUntilMs = nowMs + state.metaLeftMs;
    return stream;
  }

  state(nowMs: number): StreamState {
    return {
      epoch: this.epoch,
      top: this.#top,
      version: this.#version,
      versionEpoch: this.#versionEpoch,
      entriesLeftMs: this.#entriesUntilMs - nowMs,
      metaLeftMs: this.#metaUntilMs - nowMs,
    };
  }

  get top(): number {
    return this.#top;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** When `expire` has something to do next. */
  get nextExpiryMs(): number {
    return this.length > 0 ? this.#entriesUntilMs : this.#metaUntilMs;
  }

  /** Takes a publication in and returns it, or undefined when its version is not newer than the last one. */
  append(body: Buffer, time: number, options: AppendOptions, nowMs: number): StoredPublication | undefined {
    const { version, versionEpoch } = options;
    this.touch(options.historyMetaTtlMs, nowMs);
    if (version > 0) {
      if (versionEpoch === this.#versionEpoch && version <= this.#version) return undefined;
      this.#version = version;
      this.#versionEpoch = versionEpoch;
    }
    this.#top += 1;
    const entry: StoredPublication = { offset: this.#top, time, body };
    this.#entries.push(entry);
    this.#bytes += body.length;
    this.#trim(options.historySize);
    this.#entriesUntilMs = nowMs + options.historyTtlMs;
    return entry;
  }

  last(): StoredPublication | undefined {
    return this.length > 0 ? this.#entries.at(-1) : undefined;
  }

  read(filter: StreamFilter): readonly StoredPublication[] {
    const { limit, sinceOffset, reverse } = filter;
    if (limit === 0 || this.length === 0) return NOTHING;
    const oldest = this.#top - this.length + 1;
    const entries = this.#entries;
    if (reverse) {
      // Offsets are without gaps, so that an offset is an index.
      const end = sinceOffset === undefined ? entries.length : this.#indexOf(sinceOffset, oldest);
      const start = limit < 0 ? this.#head : Math.max(this.#head, end - limit);
      return entries.slice(start, end).toReversed();
    }
    const start = sinceOffset === undefined ? this.#head : this.#indexOf(sinceOffset + 1, oldest);
    return entries.slice(start, limit < 0 ? entries.length : start + limit);
  }

  /** Drops what is kept; offsets go on. */
  clear(): void {
    this.#entries = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#entriesUntilMs = Infinity;
  }

  /** Drops all but so many of the latest. */
  keep(size: number): void {
    this.#trim(size);
  }

  /** Keeps position and epoch for so long from now on. */
  touch(metaTtlMs: number, nowMs: number): void {
    this.#metaUntilMs = nowMs + metaTtlMs;
  }

  /** Drops what is due; true when nothing of the stream is left. */
  expire(nowMs: number): boolean {
    if (nowMs >= this.#entriesUntilMs) this.clear();
    return this.length === 0 && nowMs >= this.#metaUntilMs;
  }

  /** Index of the entry with this offset, or the nearest place in or behind what is kept. */
  #indexOf(offset: number, oldest: number): number {
    return this.#head + Math.min(Math.max(offset - oldest, 0), this.length);
  }

  #trim(size: number): void {
    while (this.length > size) {
      this.#bytes -= this.#entries[this.#head]?.body.length ?? 0;
      this.#entries[this.#head] = DROPPED;
      this.#head += 1;
    }
    // Compacting when half of the array is gone costs each publication O(1) in the long run.
    if (this.#head >= MIN_COMPACTION && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }
}
