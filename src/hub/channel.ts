// A channel as one worker sees it: its subscribers here, and what is on the way to them.
import type { Subscription } from '../connection/subscription.ts';
import type { StreamPosition } from '../protocol/publication.ts';
import { Batch } from './batch.ts';
import { type ChannelEvent, ChannelItem, type Codecs } from './channel-item.ts';
import { Heard } from './heard.ts';

/** What a pass over the subscribers needs; the fan-out brings it. */
export interface PassDeps {
  readonly codecs: Codecs;
  readonly serve: (subscription: Subscription, batch: Batch) => void;
  readonly onPassDone: (publishedAtWallMs: number, subscribers: number) => void;
  /** So many of the pending bytes are on their way now. */
  readonly onTaken: (bytes: number) => void;
}

/** Joined into one frame at most: clients have limits on what they accept as one message. */
const MAX_BATCH_ITEMS = 64;
const MAX_BATCH_BYTES = 32_768;

/** Shared by all subscribers that are joining at the moment; beyond it they start from a history read or not at all. */
const MAX_JOIN_LOG_ITEMS = 4096;
const MAX_JOIN_LOG_BYTES = 4_194_304;

export class HubChannel {
  readonly name: string;
  /** Live subscribers. A Set keeps its iterators right while members come and go in the middle of a pass. */
  readonly members = new Set<Subscription>();
  /** Of `members`, those whose position is watched. */
  positionedMembers = 0;
  /** Subscribers between their command and its reply. */
  joiners = 0;
  /** Highest position seen, for position checks; undefined before the first publication with an offset. */
  top: StreamPosition | undefined;
  readonly heard = new Heard();
  lastPublicationMs = 0;
  /** In the fan-out's queue. */
  queued = false;
  #sequence = 0;
  // Undefined when there is none: an empty array that is kept grows old, and what is then put into it outlives its end.
  #pending: ChannelItem[] | undefined;
  #pendingBytes = 0;
  #joinLog: ChannelItem[] = [];
  #joinLogBytes = 0;
  /** The log is complete from the item after this one. */
  #joinLogFrom = 0;
  /** What the log has lost since then. */
  #forgotten: Heard | undefined;
  #batch: Batch | undefined;
  #cursor: Iterator<Subscription> | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get isEmpty(): boolean {
    return this.members.size === 0 && this.joiners === 0;
  }

  /** Sequence of the newest item. */
  get sequence(): number {
    return this.#sequence;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get hasWork(): boolean {
    return this.#batch !== undefined || this.#pending !== undefined;
  }

  /** Returns how many of its publisher are missing before it. */
  add(event: ChannelEvent): number {
    const missing = this.heard.note(event);
    this.#sequence += 1;
    const item = new ChannelItem(this.name, this.#sequence, event);
    if (event.kind === 'publication' && event.publication.offset > 0) {
      this.top = { offset: event.publication.offset, epoch: event.epoch };
    }
    if (this.#pending === undefined) this.#pending = [item];
    else this.#pending.push(item);
    this.#pendingBytes += item.bytes;
    if (this.joiners > 0) this.#logForJoiners(item);
    return missing;
  }

  /** Throws away what has not begun to go out; positioned subscribers notice the gap by themselves. */
  dropPending(): number {
    const dropped = this.#pending?.length ?? 0;
    this.#pending = undefined;
    this.#pendingBytes = 0;
    return dropped;
  }

  /** What has not reached every subscriber yet, oldest first. */
  unserved(): readonly ChannelItem[] {
    return [...(this.#batch?.items ?? []), ...(this.#pending ?? [])];
  }

  beginJoin(): number {
    if (this.joiners === 0) {
      this.#joinLogFrom = this.#sequence;
      this.#forgotten = undefined;
    }
    this.joiners += 1;
    return this.#sequence;
  }

  endJoin(): void {
    this.joiners -= 1;
    if (this.joiners > 0) return;
    this.#joinLog = [];
    this.#joinLogBytes = 0;
  }

  /** Items newer than `since`, or undefined when some are no longer known. */
  itemsSince(since: number): readonly ChannelItem[] | undefined {
    if (since < this.#joinLogFrom) return undefined;
    return this.#joinLog.filter((item) => item.sequence > since);
  }

  /**
   * What came here while somebody was joining, and is not among what was heard elsewhere; undefined when some of it is no
   * longer known.
   */
  itemsBeyond(heard: Heard): readonly ChannelItem[] | undefined {
    if (this.#forgotten !== undefined && !heard.covers(this.#forgotten)) return undefined;
    return this.#joinLog.filter(({ event }) => !heard.has(event));
  }

  /**
   * Delivers to the next `limit` subscribers, going on with the batch in progress or starting the next one. Returns how
   * many were served; fewer than `limit` means that nothing is left to deliver.
   */
  step(limit: number, pass: PassDeps): number {
    let served = 0;
    while (served < limit) {
      if (this.#batch === undefined || this.#cursor === undefined) {
        const batch = this.#nextBatch(pass);
        if (batch === undefined) return served;
        this.#batch = batch;
        this.#cursor = this.members.values();
      }
      const next = this.#cursor.next();
      if (next.done === true) {
        if (this.#batch.publishedAtWallMs > 0) {
          pass.onPassDone(this.#batch.publishedAtWallMs, this.members.size);
        }
        this.#batch = undefined;
        this.#cursor = undefined;
        // An empty pass must not make the caller believe that there is nothing left.
        if (this.#pending === undefined) return served;
      } else {
        const subscription = next.value;
        pass.serve(subscription, this.#batch);
        // Whoever leaves in the middle of a pass takes along how far it got.
        if (subscription.since < this.#batch.lastSequence) subscription.since = this.#batch.lastSequence;
        served += 1;
      }
    }
    return served;
  }

  #logForJoiners(item: ChannelItem): void {
    this.#joinLog.push(item);
    this.#joinLogBytes += item.bytes;
    while (this.#joinLog.length > MAX_JOIN_LOG_ITEMS || this.#joinLogBytes > MAX_JOIN_LOG_BYTES) {
      const oldest = this.#joinLog.shift();
      if (oldest === undefined) return;
      this.#joinLogBytes -= oldest.bytes;
      this.#joinLogFrom = oldest.sequence;
      (this.#forgotten ??= new Heard()).note(oldest.event);
    }
  }

  #nextBatch(pass: PassDeps): Batch | undefined {
    const pending = this.#pending;
    const first = pending?.[0];
    if (pending === undefined || first === undefined) return undefined;
    let end = 0;
    let bytes = 0;
    for (const item of pending) {
      const isSameKind = (item.event.kind === 'publication') === (first.event.kind === 'publication');
      if (end === MAX_BATCH_ITEMS || !isSameKind) break;
      if (end > 0 && bytes + item.bytes > MAX_BATCH_BYTES) break;
      bytes += item.bytes;
      end += 1;
    }
    const isAll = end === pending.length;
    this.#pending = isAll ? undefined : pending.slice(end);
    this.#pendingBytes -= bytes;
    pass.onTaken(bytes);
    return new Batch(isAll ? pending : pending.slice(0, end), pass.codecs);
  }
}
