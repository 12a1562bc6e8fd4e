// Replies and pushes before a codec encodes them (client protocol §4-§6).
import type { ClientInfo, Publication, StreamPosition } from './publication.ts';
import type { Command } from './commands.ts';
import type { ReplyError } from './reply-errors.ts';

/** A publication as one subscriber gets it. */
export interface DeliveredPublication extends Publication {
  /** Stands for the payload once deltas are negotiated (§16): a patch, or the whole payload. */
  readonly delta?: { readonly data: Buffer; readonly isPatch: boolean } | undefined;
  /** Only on the first publication of a stream whose epoch the subscriber does not know (§12.4). */
  readonly epoch?: string | undefined;
}

export interface SubscribeResult {
  /** Seconds until the client must refresh; absent when it need not. */
  readonly ttlS?: number | undefined;
  readonly recoverable?: boolean | undefined;
  readonly positioned?: boolean | undefined;
  readonly position?: StreamPosition | undefined;
  readonly publications?: readonly DeliveredPublication[] | undefined;
  readonly recovered?: boolean | undefined;
  readonly wasRecovering?: boolean | undefined;
  readonly delta?: boolean | undefined;
  readonly data?: Buffer | undefined;
}

export interface ConnectResult {
  readonly client: string;
  readonly version: string;
  readonly ttlS?: number | undefined;
  readonly data?: Buffer | undefined;
  readonly subs?: ReadonlyMap<string, SubscribeResult> | undefined;
  /** Seconds between pings; absent when the client need not watch for them. */
  readonly pingS?: number | undefined;
  readonly pong?: boolean | undefined;
  readonly session?: string | undefined;
  readonly node?: string | undefined;
  /** Unix milliseconds. */
  readonly time?: number | undefined;
}

export interface RefreshResult {
  readonly client: string;
  readonly version: string;
  readonly ttlS?: number | undefined;
}

export type Result =
  | { readonly kind: 'connect'; readonly result: ConnectResult }
  | { readonly kind: 'subscribe'; readonly result: SubscribeResult }
  | { readonly kind: 'unsubscribe' }
  | { readonly kind: 'publish' }
  | { readonly kind: 'presence'; readonly presence: readonly ClientInfo[] }
  | { readonly kind: 'presence_stats'; readonly clients: number; readonly users: number }
  | {
      readonly kind: 'history';
      readonly publications: readonly Publication[];
      readonly position: StreamPosition;
    }
  | { readonly kind: 'rpc'; readonly data: Buffer | undefined }
  | { readonly kind: 'refresh'; readonly result: RefreshResult }
  | { readonly kind: 'sub_refresh'; readonly ttlS?: number | undefined };

export type Push =
  | {
      readonly kind: 'publication';
      readonly channel: string;
      readonly publication: DeliveredPublication;
    }
  | { readonly kind: 'join'; readonly channel: string; readonly info: ClientInfo }
  | { readonly kind: 'leave'; readonly channel: string; readonly info: ClientInfo }
  | {
      readonly kind: 'unsubscribe';
      readonly channel: string;
      readonly code: number;
      readonly reason: string;
    }
  | { readonly kind: 'message'; readonly data: Buffer }
  | { readonly kind: 'subscribe'; readonly channel: string; readonly result: SubscribeResult }
  | { readonly kind: 'connect'; readonly result: ConnectResult }
  | { readonly kind: 'disconnect'; readonly code: number; readonly reason: string }
  | { readonly kind: 'refresh'; readonly ttlS?: number | undefined };

/** One encoded reply or push, unframed: JSON text on one line, or Protobuf bytes behind their length. */
export type Message = string | Buffer;

/** Turns frames into commands and replies into messages of one encoding; framing is `message-framing.ts`'s. */
export interface Codec<M extends Message = Message> {
  /** Throws ProtocolError. Never returns an empty list. */
  decode(frame: Buffer): readonly Command[];
  /** As for `push`: undefined when a payload has no form in this encoding. */
  reply(id: number, result: Result): M | undefined;
  error(id: number, error: ReplyError): M;
  /** Undefined when the payload cannot be expressed in this encoding (bytes that are no JSON, §3.1). */
  push(push: Push, unidirectional: boolean): M | undefined;
  /** The empty reply. */
  readonly ping: M;
}
