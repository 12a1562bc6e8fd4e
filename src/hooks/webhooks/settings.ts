// What webhooks take of the configuration.
import type { CloseCause } from '../../protocol/close-causes.ts';
import type { ReplyError } from '../../protocol/reply-errors.ts';

export interface EndpointSettings {
  readonly url: string;
  readonly timeoutMs: number;
  /** Lower-case names of the client's request headers that are passed on. */
  readonly httpHeaders: readonly string[];
  /** The same for headers that the client wrote into its connect command. */
  readonly emulatedHeaders: readonly string[];
  readonly staticHeaders: Readonly<Record<string, string>>;
  readonly includeMeta: boolean;
  /** Payloads travel as base64. */
  readonly binary: boolean;
  /** What a status other than 200 means to the client. */
  readonly statuses: ReadonlyMap<number, StatusMeaning>;
}

export type StatusMeaning =
  | { readonly kind: 'error'; readonly error: ReplyError }
  | { readonly kind: 'disconnect'; readonly cause: CloseCause };

/** By the name that namespaces give; the three kinds of question have a `default` each. */
export type EndpointsByName = ReadonlyMap<string, EndpointSettings>;

export interface WebhookSettings {
  readonly connect: EndpointSettings | undefined;
  readonly refresh: EndpointSettings | undefined;
  readonly subscribe: EndpointsByName;
  readonly publish: EndpointsByName;
  readonly subRefresh: EndpointsByName;
  readonly rpc: RpcSettings;
}

export interface RpcSettings {
  /** Ends the namespace in the name of a method. */
  readonly boundary: string;
  /** Undefined: methods without a namespace are not asked about here. */
  readonly withoutNamespace: EndpointSettings | undefined;
  readonly namespaces: EndpointsByName;
}

export type WebhookEvent = 'connect' | 'refresh' | 'subscribe' | 'publish' | 'rpc' | 'sub_refresh';
