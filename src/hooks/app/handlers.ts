// What an app module exports: a handler for each thing that clients do. All are optional; what has no handler is decided
// by tokens and by the namespace.
import type { Data, Received } from './app-data.ts';
import type { Gateway, SubscriptionOverride } from './gateway.ts';

/** Whose command it is. */
export interface Caller {
  /** Client id, one for each connection. */
  readonly client: string;
  /** Empty for anonymous users, and in `connect`. */
  readonly user: string;
  readonly transport: string;
  readonly protocol: 'json' | 'protobuf';
  /** What `connect` (or the token) returned as `meta`. */
  readonly meta: unknown;
  /** Request headers named in `app.http_headers`, lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Headers of the connect command named in `app.emulated_headers`; a client can forge them. */
  readonly emulatedHeaders: Readonly<Record<string, string>>;
}

export interface Context {
  readonly gateway: Gateway;
  /** Aborted when the handler has taken longer than `app.timeout`: its answer is no longer awaited. */
  readonly signal: AbortSignal;
}

export interface ConnectRequest extends Received {
  readonly caller: Caller;
  /** SDK and version as the client names them. */
  readonly name: string;
  readonly version: string;
  /** Server-side channels that the client had before. */
  readonly channels: readonly string[];
}

export interface ConnectResult {
  /** Empty or absent: anonymous. */
  readonly user?: string | undefined;
  /** When the connection ends, unless refreshed. */
  readonly expireAt?: Date | undefined;
  /** What others see of this user (`conn_info`). */
  readonly info?: Data;
  /** For the client, with the connect reply. */
  readonly data?: Data;
  /** For the application alone: comes with every later request of this connection. */
  readonly meta?: Data;
  /** Channels to subscribe the client to. */
  readonly channels?: readonly string[] | undefined;
  /** The same, with options. */
  readonly subs?: Readonly<Record<string, SubscribeResult>> | undefined;
}

export interface RefreshRequest {
  readonly caller: Caller;
}

export interface RefreshResult {
  readonly expired?: boolean | undefined;
  /** Absent: never. */
  readonly expireAt?: Date | undefined;
  readonly info?: Data;
  readonly meta?: Data;
}

export interface SubscribeRequest extends Received {
  readonly caller: Caller;
  readonly channel: string;
}

export interface SubscribeResult {
  readonly expireAt?: Date | undefined;
  /** What others see of this subscriber (`chan_info`). */
  readonly info?: Data;
  /** For the client, with the subscribe reply. */
  readonly data?: Data;
  readonly override?: SubscriptionOverride | undefined;
}

export interface PublishRequest extends Received {
  readonly caller: Caller;
  readonly channel: string;
}

export interface PublishResult {
  /** Say yes to the client and deliver nothing. */
  readonly drop?: boolean | undefined;
  /** Instead of what the client sent. */
  readonly data?: Data;
  readonly skipHistory?: boolean | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly delta?: boolean | undefined;
  readonly version?: number | undefined;
  readonly versionEpoch?: string | undefined;
}

export interface RpcRequest extends Received {
  readonly caller: Caller;
  readonly method: string;
}

export interface SubRefreshRequest {
  readonly caller: Caller;
  readonly channel: string;
}

export interface SubRefreshResult {
  readonly expired?: boolean | undefined;
  /** Absent: never. */
  readonly expireAt?: Date | undefined;
  readonly info?: Data;
}

export interface MessageRequest extends Received {
  readonly caller: Caller;
}

export interface DisconnectEvent {
  readonly caller: Caller;
  readonly time: Date;
  readonly code: number;
  readonly reason: string;
}

export interface UnsubscribeEvent extends DisconnectEvent {
  readonly channel: string;
}

export interface ChannelEvent {
  readonly channel: string;
  readonly time: Date;
}

type Awaitable<T> = T | Promise<T>;
/** Null and undefined refuse. */
type Answer<T> = Awaitable<T | null | undefined>;

export type RpcHandler = (request: RpcRequest, context: Context) => Awaitable<Data>;

export interface App {
  /** Once on each worker, before it takes clients. Throwing keeps the worker from starting. */
  start?(gateway: Gateway): Awaitable<void>;
  /** Once on each worker, when its connections are gone. */
  stop?(): Awaitable<void>;
  /** A client came without a token. Nothing returned: it is closed (3501). */
  connect?(request: ConnectRequest, context: Context): Answer<ConnectResult>;
  /** A connection's time is up. Nothing returned: it has expired (3005). */
  refresh?(request: RefreshRequest, context: Context): Answer<RefreshResult>;
  /** A client subscribes, to whatever channel, without a token. Nothing returned: error 103. `{}` says yes. */
  subscribe?(request: SubscribeRequest, context: Context): Answer<SubscribeResult>;
  /** A client publishes, into whatever channel. Nothing returned: error 103. `{}` says yes. */
  publish?(request: PublishRequest, context: Context): Answer<PublishResult>;
  /** A call: one function for all methods, or one for each. What it returns is the reply. */
  rpc?: RpcHandler | Readonly<Record<string, RpcHandler>>;
  /** A subscription's time is up. Nothing returned: it has expired. */
  subRefresh?(request: SubRefreshRequest, context: Context): Answer<SubRefreshResult>;
  /** The protocol's `send`: there is no reply. */
  message?(request: MessageRequest, context: Context): Awaitable<void>;
  /** Told afterwards, once, on the worker that saw it; nothing waits for these. */
  disconnect?(event: DisconnectEvent, context: Context): Awaitable<void>;
  unsubscribe?(event: UnsubscribeEvent, context: Context): Awaitable<void>;
  channelOccupied?(event: ChannelEvent, context: Context): Awaitable<void>;
  channelVacated?(event: ChannelEvent, context: Context): Awaitable<void>;
}
