// What an application may do with the gateway, on every worker of every host. Implemented in app/app-gateway.ts.
import type { Data } from './app-data.ts';

export interface PublishOptions {
  /** For clients that filter by tags. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Deliver without storing. */
  readonly skipHistory?: boolean | undefined;
  /** The same key in the same channel within five minutes returns the first result and delivers nothing. */
  readonly idempotencyKey?: string | undefined;
  /** Send subscribers who negotiated it only what changed. */
  readonly delta?: boolean | undefined;
  /** Above 0: dropped unless greater than the last version seen (channels with history). */
  readonly version?: number | undefined;
  readonly versionEpoch?: string | undefined;
}

export interface Position {
  readonly offset: number;
  readonly epoch: string;
}

/** Whom it concerns: all members that are given must match. At least one is needed. */
export interface Target {
  /** Empty: anonymous connections. */
  readonly user?: string | undefined;
  /** Client id of one connection. */
  readonly client?: string | undefined;
  /** Connections subscribed to this channel. */
  readonly channel?: string | undefined;
  /** Every connection there is. */
  readonly everyone?: true | undefined;
  /** Orders: carried out for at most so many connections a second on each worker. 0 and absent: all at once. */
  readonly perSecond?: number | undefined;
}

export interface SubscribeOptions {
  /** What others see of this subscriber in presence, joins and leaves (`chan_info`). */
  readonly info?: Data;
  /** Sent to the client along with the subscription. */
  readonly data?: Data;
  readonly expireAt?: Date | undefined;
  /** Send what was published after this position. */
  readonly recoverSince?: Position | undefined;
  readonly override?: SubscriptionOverride | undefined;
}

/** Options of the namespace that are different for one subscription. */
export interface SubscriptionOverride {
  readonly presence?: boolean | undefined;
  readonly joinLeave?: boolean | undefined;
  readonly forcePushJoinLeave?: boolean | undefined;
  readonly forcePositioning?: boolean | undefined;
  readonly forceRecovery?: boolean | undefined;
}

export interface DisconnectOptions {
  /** Default 3503: the client does not come back. */
  readonly code?: number | undefined;
  readonly reason?: string | undefined;
  /** Client ids that stay. */
  readonly except?: readonly string[] | undefined;
}

export interface Present {
  readonly client: string;
  readonly user: string;
  /** Parsed JSON. */
  readonly connInfo: unknown;
  readonly chanInfo: unknown;
}

export interface HistoryOptions {
  /** Default: everything that is kept. 0: only the position. */
  readonly limit?: number | undefined;
  /** Only what came after it; before it, when reversed. */
  readonly since?: Position | undefined;
  readonly reverse?: boolean | undefined;
}

export interface HistoryPublication {
  readonly data: unknown;
  /** JSON as it was written; undefined when it is no JSON. */
  readonly text: string | undefined;
  readonly bytes: Uint8Array | undefined;
  readonly offset: number;
  readonly tags: Readonly<Record<string, string>>;
  /** The client that published it, if one did. */
  readonly info: Present | undefined;
}

export interface History {
  readonly publications: readonly HistoryPublication[];
  /** Top of the stream. */
  readonly offset: number;
  readonly epoch: string;
}

export interface ConnectionDetails {
  readonly client: string;
  readonly user: string;
  readonly transport: string;
  readonly protocol: string;
  /** SDK and version as the client names them. */
  readonly name: string;
  readonly version: string;
  readonly connectedAt: Date;
  readonly lastActivityAt: Date;
  readonly channels: readonly string[];
  /** Bytes that wait for the client to read. */
  readonly outboxBytes: number;
  /** Between the last ping and its pong; undefined when there was none. */
  readonly roundTripMs: number | undefined;
  readonly remoteAddress: string;
  readonly userAgent: string;
}

/** What all workers of all hosts were asked for. */
export interface Found<T> {
  readonly found: T;
  /** False: some worker did not answer in time, and what it knows is missing. */
  readonly complete: boolean;
}

/**
 * All methods reject with GatewayError: its `code` is 102 (unknown channel), 107 (bad request), 108 (not available), 112
 * (the stream has another epoch) or 100 (the engine is away: `temporary`). To the client of a handler that lets it pass,
 * it is an internal error.
 */
export interface Gateway {
  publish(channel: string, data: Data, options?: PublishOptions): Promise<Position>;
  /** One result or error for each channel, in their order. */
  broadcast(
    channels: readonly string[],
    data: Data,
    options?: PublishOptions,
  ): Promise<readonly (Position | Error)[]>;
  /** Success says that all workers were told, not that there was such a connection; likewise for the next two. */
  subscribe(target: Target, channel: string, options?: SubscribeOptions): Promise<void>;
  /** Without a channel: all of them. */
  unsubscribe(target: Target, channel?: string): Promise<void>;
  disconnect(target: Target, options?: DisconnectOptions): Promise<void>;
  presence(channel: string): Promise<readonly Present[]>;
  presenceStats(channel: string): Promise<{ readonly clients: number; readonly users: number }>;
  history(channel: string, options?: HistoryOptions): Promise<History>;
  /** Drops what the channel keeps; offsets go on. */
  removeHistory(channel: string): Promise<void>;
  /** Live connections, at most `limit` (1,000), ordered by client id. */
  connections(
    target: Target,
    options?: { readonly limit?: number | undefined },
  ): Promise<Found<readonly ConnectionDetails[]>>;
  /** Channels with subscribers, and how many. `pattern` is a glob. Asks all workers: not for every request. */
  channels(pattern?: string): Promise<Found<ReadonlyMap<string, number>>>;
}
