// What the application may be asked and told, in the terms that webhooks and the app module share. The commands room asks
// through this interface and does not know who answers.
import type { CloseCause } from '../protocol/close-causes.ts';
import type { ReplyError } from '../protocol/reply-errors.ts';

/** Who it is about; the same in every question. */
export interface Subject {
  readonly client: string;
  /** Empty for an anonymous user, and before connect was decided. */
  readonly user: string;
  readonly transport: string;
  readonly protocol: 'json' | 'protobuf';
  /** Raw JSON that only the application sees. */
  readonly meta: Buffer | undefined;
  /** Request headers that configuration asked to keep, lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Headers that the client put into its connect command; untrusted. */
  readonly emulatedHeaders: Readonly<Record<string, string>>;
}

/** How a question ends when the application could be reached. Otherwise it rejects (UnavailableError: temporary). */
export type Decision<Answer> =
  | { readonly kind: 'yes'; readonly answer: Answer }
  | { readonly kind: 'error'; readonly error: ReplyError }
  | { readonly kind: 'disconnect'; readonly cause: CloseCause };

export type MessageDecision = Exclude<Decision<undefined>, { readonly kind: 'error' }>;

/** Options of the namespace that an answer changes for one subscription. Only what it names is present. */
export interface SubscriptionOverride {
  readonly presence?: boolean;
  readonly joinLeave?: boolean;
  readonly forcePushJoinLeave?: boolean;
  readonly forcePositioning?: boolean;
  readonly forceRecovery?: boolean;
}

/** Payloads are raw JSON (or bytes); times are Unix milliseconds, 0 for never. */
export interface SubscriptionAnswer {
  readonly info: Buffer | undefined;
  readonly data: Buffer | undefined;
  readonly expireAtMs: number;
  readonly override: SubscriptionOverride;
}

export interface ConnectQuestion {
  readonly subject: Subject;
  readonly data: Buffer | undefined;
  readonly name: string;
  readonly version: string;
  /** Server-side channels that the client asks to restore. */
  readonly channels: readonly string[];
}

export interface ConnectAnswer {
  readonly user: string;
  readonly info: Buffer | undefined;
  readonly meta: Buffer | undefined;
  readonly data: Buffer | undefined;
  readonly expireAtMs: number;
  readonly subs: ReadonlyMap<string, SubscriptionAnswer>;
}

export interface RefreshAnswer {
  readonly expired: boolean;
  readonly expireAtMs: number;
  /** Undefined: stays as it is. */
  readonly info: Buffer | undefined;
  readonly meta: Buffer | undefined;
}

export interface SubscribeQuestion {
  readonly subject: Subject;
  readonly channel: string;
  readonly token: string;
  readonly data: Buffer | undefined;
}

export interface PublishQuestion {
  readonly subject: Subject;
  readonly channel: string;
  readonly data: Buffer;
}

export interface PublishAnswer {
  /** Accepted, but nobody gets it. */
  readonly drop: boolean;
  /** Undefined: published as it came. */
  readonly data: Buffer | undefined;
  readonly skipHistory: boolean;
  readonly tags: Readonly<Record<string, string>> | undefined;
  readonly idempotencyKey: string | undefined;
  readonly delta: boolean;
  readonly version: number;
  readonly versionEpoch: string;
}

export interface RpcQuestion {
  readonly subject: Subject;
  readonly method: string;
  readonly data: Buffer | undefined;
}

export interface SubRefreshQuestion {
  readonly subject: Subject;
  readonly channel: string;
}

export interface SubRefreshAnswer {
  readonly expired: boolean;
  readonly expireAtMs: number;
  readonly info: Buffer | undefined;
}

/** What happened, told afterwards: nobody waits for it. Times are Unix milliseconds. */
export type Notice =
  | {
      readonly kind: 'disconnect';
      readonly timeMs: number;
      readonly subject: Subject;
      readonly code: number;
      readonly reason: string;
    }
  | {
      readonly kind: 'unsubscribe';
      readonly timeMs: number;
      readonly subject: Subject;
      readonly channel: string;
      readonly code: number;
      readonly reason: string;
    }
  | {
      readonly kind: 'channel_occupied' | 'channel_vacated';
      readonly timeMs: number;
      readonly channel: string;
    };

/**
 * Each member is undefined where nobody wants to be asked. Functions that take a proxy name serve namespaces that name
 * one; whoever has no such name is asked for all of them.
 */
export interface Application {
  readonly connect: ((question: ConnectQuestion) => Promise<Decision<ConnectAnswer>>) | undefined;
  readonly refresh: ((subject: Subject) => Promise<Decision<RefreshAnswer>>) | undefined;
  /** `proxy`: as the namespace names it; undefined when it names none. */
  subscribe(
    proxy: string | undefined,
  ): ((question: SubscribeQuestion) => Promise<Decision<SubscriptionAnswer>>) | undefined;
  publish(
    proxy: string | undefined,
  ): ((question: PublishQuestion) => Promise<Decision<PublishAnswer>>) | undefined;
  subRefresh(
    proxy: string | undefined,
  ): ((question: SubRefreshQuestion) => Promise<Decision<SubRefreshAnswer>>) | undefined;
  /** By the method's RPC namespace. Answers with the raw data of the reply. */
  rpc(method: string): ((question: RpcQuestion) => Promise<Decision<Buffer | undefined>>) | undefined;
  /** The protocol's `send`. It has no reply: the answer is yes or a disconnect, and it never rejects. */
  readonly message: ((subject: Subject, data: Buffer) => Promise<MessageDecision>) | undefined;
  /** Never throws, never waits. */
  notify(notice: Notice): void;
}

/** Nobody to ask. */
export const NO_APPLICATION: Application = Object.freeze({
  connect: undefined,
  refresh: undefined,
  subscribe: () => undefined,
  publish: () => undefined,
  subRefresh: () => undefined,
  rpc: () => undefined,
  message: undefined,
  notify: () => undefined,
});
