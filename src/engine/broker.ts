// What every engine offers: channels with publications and history. Implemented by `memory/` (served by the primary)
// and by `redis/`; both pass test/contract/broker.
import type { ClientInfo, Publication, PublicationDraft, StreamPosition } from '../protocol/publication.ts';
import type { Origin } from './numbering.ts';

export interface PublishOptions {
  /** Publications kept; 0 means that the channel has no history and the publication gets no offset. */
  readonly historySize: number;
  readonly historyTtlMs: number;
  /** How long offset and epoch outlive the publications. */
  readonly historyMetaTtlMs: number;
  /** The same key in the same channel within `idempotencyTtlMs` returns the first result and delivers nothing. */
  readonly idempotencyKey?: string | undefined;
  readonly idempotencyTtlMs?: number | undefined;
  /** Above 0: dropped when not greater than the last one seen under the same `versionEpoch` (history channels only). */
  readonly version?: number | undefined;
  readonly versionEpoch?: string | undefined;
  /**
   * Resolve only when the engine has it, also without history. For publishers that take turns at several workers (the
   * server API behind a load balancer): what they publish next is behind it for everybody.
   */
  readonly acknowledged?: boolean | undefined;
  /** Hand the previous publication of the stream to the listeners, as the base of a delta. */
  readonly delta?: boolean | undefined;
}

export interface PublishResult {
  /** Offset 0 and an empty epoch in channels without history. */
  readonly position: StreamPosition;
  readonly suppressed: false | 'idempotency' | 'version';
}

export interface HistoryFilter {
  /** 0: only the position; -1: everything kept. */
  readonly limit: number;
  /** Forward: entries with a greater offset. Reverse: entries with a smaller one. The epoch is the caller's to compare. */
  readonly since?: StreamPosition | undefined;
  readonly reverse: boolean;
  readonly historyMetaTtlMs: number;
}

export interface HistoryResult {
  readonly publications: readonly Publication[];
  /** Top of the stream; a stream that did not exist gets its epoch now. */
  readonly top: StreamPosition;
}

/** All methods reject with UnavailableError when the engine cannot be reached, within a second. */
export interface Broker {
  /**
   * Resolves when every later publication of the channel will reach the listener. Subscribing twice is harmless.
   * One subscription a process: the hub counts its subscribers.
   */
  subscribe(channel: string): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  /** The result itself, at once, where there is nothing to wait for: no promise is made for each of them. */
  publish(
    channel: string,
    draft: PublicationDraft,
    options: PublishOptions,
  ): PublishResult | Promise<PublishResult>;
  publishJoin(channel: string, info: ClientInfo): Promise<void>;
  publishLeave(channel: string, info: ClientInfo): Promise<void>;
  history(channel: string, filter: HistoryFilter): Promise<HistoryResult>;
  /** Drops the publications and keeps the position: offsets go on. */
  removeHistory(channel: string): Promise<void>;
}

/**
 * Called for subscribed channels, never before `subscribe` was called for it. Publications with history come in the order
 * of their offsets, the same everywhere. Everything else comes in the order of each publishing process, its publications
 * with history included, and after whatever that process had seen before: publications without history of two processes
 * at the same time may come in another order here than there. What a publish that was rejected left behind has no order.
 */
export interface BrokerListener {
  /**
   * `epoch` is empty in channels without history. `previous` is the publication before this one, when asked for with
   * `delta` and still known. `origin` comes with everything that has no offset.
   */
  onPublication(
    channel: string,
    publication: Publication,
    epoch: string,
    previous?: Publication,
    origin?: Origin,
  ): void;
  onJoin(channel: string, info: ClientInfo, origin?: Origin): void;
  onLeave(channel: string, info: ClientInfo, origin?: Origin): void;
  /**
   * Deliveries may have been lost, in this channel or, without one, in every channel (the link to the engine broke): positions
   * must be compared.
   */
  onInterruption(channel?: string): void;
}
