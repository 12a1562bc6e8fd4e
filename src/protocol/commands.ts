// Commands as the codecs decode them (client protocol §4, §5). Absent fields hold the zero value of their type; payloads
// are raw bytes, undefined when absent.
import type { StreamPosition } from './publication.ts';

export interface SubscribeRequest {
  readonly channel: string;
  readonly token: string;
  readonly recover: boolean;
  readonly epoch: string;
  readonly offset: number;
  readonly data: Buffer | undefined;
  readonly positioned: boolean;
  readonly recoverable: boolean;
  readonly joinLeave: boolean;
  readonly delta: string;
  /** Undecoded tags filter tree (§17), for `tags-filter.ts`. */
  readonly filter: unknown;
  readonly flag: number;
  readonly type: number;
}

/** Of somebody who has said nothing but the name of the channel. */
export const PLAIN_SUBSCRIBE: SubscribeRequest = Object.freeze({
  channel: '',
  token: '',
  recover: false,
  epoch: '',
  offset: 0,
  data: undefined,
  positioned: false,
  recoverable: false,
  joinLeave: false,
  delta: '',
  filter: undefined,
  flag: 0,
  type: 0,
});

/** `SubscribeRequest.flag`: answer error 112 instead of `recovered: false`. */
export const SUBSCRIBE_FLAG_REJECT_UNRECOVERED = 2;

export interface ConnectRequest {
  readonly token: string;
  readonly data: Buffer | undefined;
  /** Positions of server-side subscriptions the client had before, by channel. */
  readonly subs: ReadonlyMap<string, SubscribeRequest>;
  readonly name: string;
  readonly version: string;
  /** Emulated headers; untrusted. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface HistoryRequest {
  readonly channel: string;
  readonly limit: number;
  readonly since: StreamPosition | undefined;
  readonly reverse: boolean;
}

export type Command =
  | { readonly kind: 'connect'; readonly id: number; readonly request: ConnectRequest }
  | { readonly kind: 'subscribe'; readonly id: number; readonly request: SubscribeRequest }
  | { readonly kind: 'unsubscribe'; readonly id: number; readonly channel: string }
  | {
      readonly kind: 'publish';
      readonly id: number;
      readonly channel: string;
      readonly data: Buffer | undefined;
      readonly isJson: boolean;
      readonly type: number;
    }
  | { readonly kind: 'presence'; readonly id: number; readonly channel: string }
  | { readonly kind: 'presence_stats'; readonly id: number; readonly channel: string }
  | { readonly kind: 'history'; readonly id: number; readonly request: HistoryRequest }
  | { readonly kind: 'send'; readonly id: number; readonly data: Buffer | undefined }
  | {
      readonly kind: 'rpc';
      readonly id: number;
      readonly method: string;
      readonly data: Buffer | undefined;
    }
  | { readonly kind: 'refresh'; readonly id: number; readonly token: string }
  | {
      readonly kind: 'sub_refresh';
      readonly id: number;
      readonly channel: string;
      readonly token: string;
      readonly type: number;
    }
  | { readonly kind: 'pong'; readonly id: 0 };

export type CommandKind = Command['kind'];

export const PONG: Command = Object.freeze({ kind: 'pong', id: 0 });

/** Order in which members win when a command carries several (§4). */
export const COMMAND_MEMBERS = [
  'connect',
  'subscribe',
  'unsubscribe',
  'publish',
  'presence',
  'presence_stats',
  'history',
  'send',
  'rpc',
  'refresh',
  'sub_refresh',
] as const;
