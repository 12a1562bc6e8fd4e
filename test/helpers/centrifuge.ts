// The official client, with everything that it reports kept in order.
import {
  Centrifuge as JsonCentrifuge,
  type Options,
  type Subscription,
  type SubscriptionOptions,
  type TransportEndpoint,
} from 'centrifuge';
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf';
import { type ClientOptions, WebSocket } from 'ws';
import { Inbox } from './inbox.ts';
import type { Scope } from './scope.ts';

export interface ClientEvent {
  readonly kind: string;
  readonly context: unknown;
}

export interface OfficialClientOptions {
  readonly protobuf?: boolean;
  readonly options?: Partial<Options>;
  /** For the WebSocket below it: `{ ca }` to trust a certificate, headers. */
  readonly socket?: ClientOptions;
}

const CLIENT_EVENTS = [
  'connecting',
  'connected',
  'disconnected',
  'error',
  'message',
  'subscribing',
  'subscribed',
  'unsubscribed',
  'publication',
  'join',
  'leave',
] as const;

const SUBSCRIPTION_EVENTS = [
  'subscribing',
  'subscribed',
  'unsubscribed',
  'publication',
  'join',
  'leave',
  'error',
] as const;

export class OfficialSubscription {
  readonly subscription: Subscription;
  /** Everything since the start, in order. */
  readonly history: ClientEvent[] = [];
  /** The same, for those who wait. */
  readonly #events = new Inbox<ClientEvent>();

  constructor(subscription: Subscription) {
    this.subscription = subscription;
    for (const kind of SUBSCRIPTION_EVENTS) {
      subscription.on(kind, (context: unknown) => {
        this.history.push({ kind, context });
        this.#events.put({ kind, context });
      });
    }
  }

  async next(kind: (typeof SUBSCRIPTION_EVENTS)[number], deadlineMs?: number): Promise<unknown> {
    const event = await this.#events.next(
      `'${kind}' in ${this.subscription.channel}`,
      (each) => each.kind === kind,
      deadlineMs,
    );
    return event.context;
  }

  /** Data of all publications so far, in order. */
  get publications(): unknown[] {
    return this.history.flatMap(({ kind, context }) =>
      kind === 'publication' && typeof context === 'object' && context !== null && 'data' in context
        ? [context.data]
        : [],
    );
  }
}

export class OfficialClient {
  readonly client: JsonCentrifuge;
  /** Given by the server at the latest connect. */
  id = '';
  readonly history: ClientEvent[] = [];
  readonly #events = new Inbox<ClientEvent>();

  constructor(
    scope: Scope,
    endpoint: string | TransportEndpoint[],
    { protobuf = false, options = {}, socket = {} }: OfficialClientOptions = {},
  ) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same class, declared twice by its package
    const Client = protobuf ? (ProtobufCentrifuge as unknown as typeof JsonCentrifuge) : JsonCentrifuge;
    // The client knows no options of a socket: they are bound here.
    const websocket = class extends WebSocket {
      constructor(address: string, protocols?: string | string[]) {
        super(address, protocols, socket);
      }
    };
    this.client = new Client(endpoint, { websocket, ...options });
    for (const kind of CLIENT_EVENTS) {
      this.client.on(kind, (context: unknown) => {
        this.history.push({ kind, context });
        this.#events.put({ kind, context });
      });
    }
    this.client.on('connected', ({ client }) => {
      this.id = client;
    });
    scope.teardown(() => {
      this.client.disconnect();
    });
  }

  async connect(): Promise<this> {
    this.client.connect();
    await this.next('connecting');
    await this.next('connected');
    return this;
  }

  async next(kind: (typeof CLIENT_EVENTS)[number], deadlineMs?: number): Promise<unknown> {
    const event = await this.#events.next(
      `'${kind}' of the client`,
      (each) => each.kind === kind,
      deadlineMs,
    );
    return event.context;
  }

  newSubscription(channel: string, options?: Partial<SubscriptionOptions>): OfficialSubscription {
    return new OfficialSubscription(this.client.newSubscription(channel, options));
  }

  /** Subscribes and waits until it holds. */
  async subscribe(channel: string, options?: Partial<SubscriptionOptions>): Promise<OfficialSubscription> {
    const subscription = this.newSubscription(channel, options);
    subscription.subscription.subscribe();
    await subscription.next('subscribed');
    return subscription;
  }

  /** Events of this kind so far. */
  count(kind: (typeof CLIENT_EVENTS)[number]): number {
    return this.history.filter((event) => event.kind === kind).length;
  }
}
