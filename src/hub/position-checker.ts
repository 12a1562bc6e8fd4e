// The safety net under live delivery (client protocol §12.4): compares what channels have seen here with the top of their
// stream, when they have been quiet for a while or when the link to the engine broke.
import type { Broker } from '../engine/broker.ts';
import type { StreamPosition } from '../protocol/publication.ts';
import type { HubChannel } from './channel.ts';
import type { Hub } from './hub.ts';

export interface PositionCheckerDeps {
  readonly hub: Hub;
  readonly broker: Pick<Broker, 'history'>;
  /** Quiet time after which a channel is compared. */
  readonly checkDelayMs: number;
  readonly historyMetaTtlMs: (channel: string) => number;
  readonly nowMs: () => number;
}

const SWEEP_MS = 1000;
/** Reads under way at once: after an interruption thousands of channels want one. */
const MAX_READS = 64;
/** A publication may overtake the history read on its way here: so long it has to arrive. */
const GRACE_MS = 2000;

interface Suspect {
  readonly top: StreamPosition;
  readonly byMs: number;
  /** The stream seemed to have gone back: to be read again before anybody is told. */
  readonly isBack: boolean;
}

export class PositionChecker {
  readonly #deps: PositionCheckerDeps;
  /** Next check of every channel with positioned members. */
  readonly #dueMs = new Map<HubChannel, number>();
  /** The same by the second of the check, so that a sweep looks only at what is due. */
  readonly #buckets = new Map<number, Set<HubChannel>>();
  readonly #suspects = new Map<HubChannel, Suspect>();
  /** To be compared as soon as may be; true: a stream that seemed to have gone back is read again. */
  readonly #urgent = new Map<HubChannel, boolean>();
  #reads = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: PositionCheckerDeps) {
    this.#deps = deps;
    deps.hub.onWatched((channel, isWatched) => {
      if (isWatched) this.#schedule(channel, deps.nowMs() + deps.checkDelayMs);
      else this.#unschedule(channel);
    });
  }

  start(): void {
    this.#timer ??= setInterval(() => this.sweep(), SWEEP_MS);
    this.#deps.hub.onInterrupted((channel) => {
      if (channel === undefined) this.checkAll();
      else this.check(channel);
    });
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Compares every channel as soon as may be. */
  checkAll(): void {
    for (const channel of this.#dueMs.keys()) this.#urgent.set(channel, false);
    this.#compareUrgent();
  }

  check(channel: HubChannel): void {
    if (channel.positionedMembers === 0) return;
    this.#urgent.set(channel, false);
    this.#compareUrgent();
  }

  sweep(): void {
    const nowMs = this.#deps.nowMs();
    for (const [channel, { byMs }] of this.#suspects) {
      if (nowMs >= byMs) this.#judge(channel);
    }
    const bucketNow = bucketOf(nowMs);
    // Taken together first: what is looked at goes into a bucket again, perhaps into the same one.
    const due = [...this.#buckets].flatMap(([bucket, channels]) =>
      bucket <= bucketNow ? [...channels] : [],
    );
    for (const channel of due) this.#checkIfDue(channel, nowMs);
    this.#compareUrgent();
  }

  #checkIfDue(channel: HubChannel, nowMs: number): void {
    if (nowMs < (this.#dueMs.get(channel) ?? 0)) return;
    const { checkDelayMs } = this.#deps;
    const quietAtMs = channel.lastPublicationMs + checkDelayMs;
    if (nowMs < quietAtMs) {
      this.#schedule(channel, quietAtMs);
      return;
    }
    this.#schedule(channel, nowMs + checkDelayMs);
    this.#urgent.set(channel, false);
  }

  #schedule(channel: HubChannel, dueMs: number): void {
    this.#unschedule(channel);
    this.#dueMs.set(channel, dueMs);
    const bucket = bucketOf(dueMs);
    const channels = this.#buckets.get(bucket);
    if (channels === undefined) this.#buckets.set(bucket, new Set([channel]));
    else channels.add(channel);
  }

  #unschedule(channel: HubChannel): void {
    const dueMs = this.#dueMs.get(channel);
    if (dueMs === undefined) return;
    this.#dueMs.delete(channel);
    const bucket = bucketOf(dueMs);
    const channels = this.#buckets.get(bucket);
    channels?.delete(channel);
    if (channels?.size === 0) this.#buckets.delete(bucket);
  }

  async #compare(channel: HubChannel, isAgain: boolean): Promise<void> {
    const { broker, historyMetaTtlMs } = this.#deps;
    // Before the read: what comes while it is under way may be newer than its answer.
    const served = highestOffsets(channel);
    this.#reads += 1;
    let top: StreamPosition;
    try {
      ({ top } = await broker.history(channel.name, {
        limit: 0,
        reverse: false,
        historyMetaTtlMs: historyMetaTtlMs(channel.name),
      }));
    } catch {
      // The engine is away: the next sweep tries again.
      this.#urgent.set(channel, isAgain);
      return;
    } finally {
      this.#reads -= 1;
    }
    const isBack = (served.get(top.epoch) ?? 0) > top.offset;
    if (isBack && isAgain) this.#tellAhead(channel, top);
    else if (isBack || isBehind(channel, top)) {
      this.#suspects.set(channel, { top, byMs: this.#deps.nowMs() + GRACE_MS, isBack });
    }
    this.#compareUrgent();
  }

  /** Each answer makes room for the next read. */
  #compareUrgent(): void {
    for (const [channel, isAgain] of this.#urgent) {
      if (this.#reads >= MAX_READS) return;
      this.#urgent.delete(channel);
      if (channel.positionedMembers > 0) void this.#compare(channel, isAgain);
    }
  }

  #judge(channel: HubChannel): void {
    const suspect = this.#suspects.get(channel);
    this.#suspects.delete(channel);
    if (suspect?.isBack === true) this.#urgent.set(channel, true);
    if (suspect === undefined || channel.hasWork) return;
    for (const member of channel.members) {
      const { positioned, offset, epoch } = member.state;
      if (!positioned || (epoch === suspect.top.epoch && offset >= suspect.top.offset)) continue;
      this.#deps.hub.insufficientState(member);
    }
  }

  /** What is published now has offsets that these take for old, until it passes theirs. */
  #tellAhead(channel: HubChannel, top: StreamPosition): void {
    for (const member of channel.members) {
      const { positioned, offset, epoch } = member.state;
      if (positioned && epoch === top.epoch && offset > top.offset) this.#deps.hub.insufficientState(member);
    }
  }
}

/** Among positioned members, by epoch. */
function highestOffsets(channel: HubChannel): ReadonlyMap<string, number> {
  const highest = new Map<string, number>();
  for (const { state } of channel.members) {
    if (state.positioned && state.offset > (highest.get(state.epoch) ?? 0)) {
      highest.set(state.epoch, state.offset);
    }
  }
  return highest;
}

function bucketOf(ms: number): number {
  return Math.floor(ms / SWEEP_MS);
}

function isBehind(channel: HubChannel, top: StreamPosition): boolean {
  for (const { state } of channel.members) {
    if (state.positioned && (state.epoch !== top.epoch || state.offset < top.offset)) return true;
  }
  return false;
}
