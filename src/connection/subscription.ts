// One connection's place in one channel: what it was allowed, and how far it has been served.
import type { ClientInfo } from '../protocol/publication.ts';
import type { Connection } from './connection.ts';

export type TagsPredicate = (tags: Readonly<Record<string, string>> | undefined) => boolean;

/** Everything of a subscription that moves with its connection. */
export interface SubscriptionState {
  readonly channel: string;
  /** Made by the server: losing its position closes the connection instead of unsubscribing (§12.4). */
  readonly serverSide: boolean;
  /** The server watches that it misses nothing. */
  readonly positioned: boolean;
  readonly recoverable: boolean;
  /** Gets join and leave pushes. */
  readonly joinLeavePushes: boolean;
  /** Its own coming and going is announced. */
  readonly announced: boolean;
  readonly inPresence: boolean;
  /** Negotiated deltas (§16). */
  readonly delta: boolean;
  /** What others see of this subscriber; replaced by a refresh. */
  info: ClientInfo;
  /** Tags filter as the client sent it (§17); undefined lets everything through. */
  readonly filter: unknown;
  /** Unix milliseconds; Infinity is never. */
  expireAtWallMs: number;
  /** The client refreshes it with a token (else the application does). */
  readonly clientSideRefresh: boolean;
  /** With deltas: offset of the last publication sent on this subscription, 0 before the first (§16). */
  deltaBase: number;
  /** Last publication served; meaningful when positioned. */
  offset: number;
  epoch: string;
}

/** Of a channel's events. */
export interface Seen {
  has(event: unknown): boolean;
}

export class Subscription {
  readonly connection: Connection;
  readonly state: SubscriptionState;
  /** Sequence of the channel on this worker when the subscriber joined: what is not newer is not for it. */
  since: number;
  /** False until the subscribe reply is on its way; what arrives meanwhile waits with the hub. */
  live = false;
  /** Taken out of its channel while its connection is on the way to another worker. */
  suspended = false;
  /** What it had from the worker that had it before, as long as some of it may still come here, too. */
  seen: Seen | undefined;
  /** `state.filter` compiled. */
  readonly matches: TagsPredicate | undefined;

  constructor(connection: Connection, state: SubscriptionState, since: number, matches?: TagsPredicate) {
    this.connection = connection;
    this.state = state;
    this.since = since;
    this.matches = matches;
  }
}
