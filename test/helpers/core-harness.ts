// The core of a worker in this process: hub and commands on the embedded engine (over its real socket), with clients that
// end in fake transports. Configured as a configuration file would.
import { channelSettings } from '../../src/app/channel-options.ts';
import { commandLimits, userLimits } from '../../src/app/limits.ts';
import { tokenVerifierConfig } from '../../src/app/token-config.ts';
import { commandSettings, connectionLimits } from '../../src/app/worker-settings.ts';
import { signConnectionToken, signSubscriptionToken } from '../../src/auth/sign-token.ts';
import { TokenVerifier } from '../../src/auth/token-verifier.ts';
import type { CommandDeps } from '../../src/commands/command-deps.ts';
import { CommandDispatcher } from '../../src/commands/dispatcher.ts';
import { releaseSlot } from '../../src/commands/subscribe.ts';
import { configSchema } from '../../src/config/schema.ts';
import { Connection } from '../../src/connection/connection.ts';
import type { ConnectionShared } from '../../src/connection/surroundings.ts';
import { Flusher } from '../../src/connection/flusher.ts';
import type { Session } from '../../src/connection/session.ts';
import type { Subscription } from '../../src/connection/subscription.ts';
import type { Broker, BrokerListener, PublishOptions, PublishResult } from '../../src/engine/broker.ts';
import type { MemoryEngineClient } from '../../src/engine/memory/engine-client.ts';
import type { PresenceStore } from '../../src/engine/presence-store.ts';
import { type Application, NO_APPLICATION } from '../../src/hooks/application.ts';
import { Hub } from '../../src/hub/hub.ts';
import { isReplyError, Namespaces } from '../../src/hub/namespaces.ts';
import { HotCounters } from '../../src/observe/hot-counters.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { jsonCodec } from '../../src/protocol/json-codec.ts';
import { protobufCodec } from '../../src/protocol/protobuf-codec.ts';
import { DeadlineWheel } from '../../src/util/deadline-wheel.ts';
import { type EmbeddedEngine, embeddedEngine } from './embedded-engine.ts';
import { FakeClock, passTime } from './fake-clock.ts';
import { FakeTransport } from './fake-transport.ts';
import { Inbox } from './inbox.ts';
import type { Scope } from './scope.ts';
import { isJson, type Json } from './server-frames.ts';
import { session } from './sessions.ts';
import { waitFor } from './wait-for.ts';

const SECRET = 'a secret of at least thirty-two bytes';

export interface CoreOptions {
  readonly client?: Json;
  readonly channel?: Json;
  readonly application?: Partial<Application>;
  readonly outbox?: Json;
  /** Stands between the engine and the hub, for tests that lose something on purpose. */
  readonly intercept?: (hub: BrokerListener) => BrokerListener;
  /** Stands between commands and the engine. */
  readonly wrapBroker?: (broker: Broker) => Broker;
  readonly wrapPresence?: (presence: PresenceStore) => PresenceStore;
  /** Of another core: both are then workers of one host. */
  readonly engine?: EmbeddedEngine;
}

export interface OpenOptions {
  readonly transport?: FakeTransport;
  readonly session?: Partial<Session>;
}

export class Core {
  readonly clock = new FakeClock();
  readonly wheel = new DeadlineWheel({ clock: this.clock });
  readonly flusher = new Flusher();
  readonly hot = new HotCounters();
  readonly logs: string[] = [];
  /** Ends of live subscriptions: channel and code. */
  readonly left: { readonly channel: string; readonly code: number }[] = [];
  readonly cleanUpFailures: unknown[] = [];
  /** Connections that have not ended. */
  readonly open = new Set<Connection>();
  readonly engine: EmbeddedEngine;
  readonly engineClient: MemoryEngineClient;
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly hub: Hub;
  readonly namespaces: Namespaces;
  readonly shared: ConnectionShared;
  readonly commands: CommandDeps;

  private constructor(
    options: CoreOptions,
    engine: EmbeddedEngine,
    engineClient: MemoryEngineClient,
    makeHub: (core: Core, broker: Broker, presence: PresenceStore) => Hub,
  ) {
    this.engine = engine;
    this.engineClient = engineClient;
    this.broker = options.wrapBroker?.(engineClient.broker) ?? engineClient.broker;
    this.presence = options.wrapPresence?.(engineClient.presence) ?? engineClient.presence;
    this.hub = makeHub(this, this.broker, this.presence);
    const config = configSchema.parse({
      client: { token: { hmac_secret_key: SECRET }, ...options.client },
      channel: options.channel ?? {},
      outbox: options.outbox ?? {},
    });
    const { naming, withoutNamespace, namespaces } = channelSettings(config.channel);
    this.namespaces = new Namespaces(naming, withoutNamespace, namespaces);
    const limits = userLimits(
      {
        presence: this.presence,
        random: Math.random,
        onReleaseFailure: (error) => this.cleanUpFailures.push(error),
      },
      config,
    );
    this.commands = {
      hub: this.hub,
      broker: this.broker,
      presence: this.presence,
      namespaces: this.namespaces,
      verifier: new TokenVerifier({ clock: this.clock }, tokenVerifierConfig(config.client)),
      application: { ...NO_APPLICATION, ...options.application },
      clock: this.clock,
      wheel: this.wheel,
      log: createLogger({
        level: 'debug',
        role: 'worker',
        destination: { write: (line) => void this.logs.push(line) },
      }),
      counters: this.hot,
      settings: commandSettings(config),
      ...limits,
      commandLimits: commandLimits({ hub: this.hub, clock: this.clock }, config),
      endOtherConnections: () => Promise.resolve(),
      node: 'node-1',
      version: 'holdfast test',
      random: () => 1,
    };
    const dispatcher = new CommandDispatcher(this.commands);
    this.shared = {
      ...connectionLimits(config),
      owner: {
        onCommand: (connection, command) => dispatcher.onCommand(connection, command),
        onExpire: (connection) => dispatcher.onExpire(connection),
        onSubscriptionDeadline: (connection) => dispatcher.onSubscriptionDeadline(connection),
        onClosed: (connection, cause) => {
          this.open.delete(connection);
          dispatcher.onClosed(connection, cause);
        },
      },
      wheel: this.wheel,
      clock: this.clock,
      flusher: this.flusher,
      codecs: { json: jsonCodec, protobuf: protobufCodec },
      outboxCounters: { sums: this.hot, dropped: this.hot.dropped.cell('connection_closed') },
    };
  }

  static async start(scope: Scope, options: CoreOptions = {}): Promise<Core> {
    const engine = options.engine ?? (await embeddedEngine(scope));
    // The engine wants its listener before there is a hub.
    const late: { listener?: BrokerListener } = {};
    const engineClient = await engine.connect({
      onPublication: (...args) => late.listener?.onPublication(...args),
      onJoin: (...args) => late.listener?.onJoin(...args),
      onLeave: (...args) => late.listener?.onLeave(...args),
      onInterruption: (channel) => late.listener?.onInterruption(channel),
    });
    const core = new Core(options, engine, engineClient, makeHub);
    late.listener = options.intercept?.(core.hub) ?? core.hub;
    core.hub.interests.start();
    scope.teardown(() => core.hub.interests.close());
    return core;
  }

  client(options: OpenOptions = {}): CoreClient {
    return new CoreClient(this, options.transport ?? new FakeTransport(), session(options.session));
  }

  /** Through the connect command, which must succeed. */
  async connected(connect: Json = {}, options: OpenOptions = {}): Promise<CoreClient> {
    const client = this.client(options);
    const reply = await client.command('connect', connect);
    if (reply['connect'] === undefined) throw new Error(`not connected: ${JSON.stringify(reply)}`);
    return client;
  }

  /** A connected client with a token for this user. */
  async user(user: string, claims: TokenFields = {}): Promise<CoreClient> {
    return this.connected({ token: await connectionToken(user, claims) });
  }

  /** Publishes as the server API does, with the options of the channel's namespace. */
  async publish(channel: string, data: unknown, over: Partial<PublishOptions> = {}): Promise<PublishResult> {
    const resolved = this.namespaces.resolve(channel);
    if (isReplyError(resolved)) throw new Error(resolved.message);
    const { historySize, historyTtlMs, historyMetaTtlMs } = resolved.options;
    return this.broker.publish(
      channel,
      { data: Buffer.from(JSON.stringify(data)) },
      { historySize, historyTtlMs, historyMetaTtlMs, ...over },
    );
  }

  /** Time of deadlines passes; the engine's own time does not. */
  pass(ms: number): void {
    passTime(this.clock, this.wheel, ms);
  }

  /** Everything that a connection can register, counted. */
  get registered(): Json {
    return {
      open: this.open.size,
      connections: this.hub.connectionCount,
      users: this.hub.userCount,
      channels: this.hub.channelCount,
      subscriptions: this.hub.subscriptionCount,
      queuedBytes: this.hot.queuedBytes,
    };
  }
}

function makeHub(core: Core, broker: Broker, presence: PresenceStore): Hub {
  return new Hub({
    broker,
    presence,
    codecs: { json: jsonCodec, protobuf: protobufCodec },
    flusher: core.flusher,
    counters: core.hot,
    nowMs: () => core.clock.monotonicMs(),
    observeDelivery: () => undefined,
    onLeft: (subscription: Subscription, { code }) => {
      releaseSlot(core.commands.userSubscriptions, subscription);
      core.left.push({ channel: subscription.state.channel, code });
    },
    onDropped: (reason, publications) => {
      core.hot.dropped.cell(reason).value += publications;
    },
    onCleanUpFailure: (error) => core.cleanUpFailures.push(error),
  });
}

export class CoreClient {
  readonly core: Core;
  readonly transport: FakeTransport;
  readonly connection: Connection;
  readonly #replies = new Inbox<Json>();
  readonly #pushes = new Inbox<Json>();
  #nextId = 1;

  constructor(core: Core, transport: FakeTransport, its: Session) {
    this.core = core;
    this.transport = transport;
    transport.onMessage = (message) => {
      const { push } = message;
      if (isJson(push)) this.#pushes.put(push);
      else if (message['id'] !== undefined) this.#replies.put(message);
    };
    this.connection = new Connection(transport, its, core.shared);
    core.open.add(this.connection);
  }

  /** All commands in one frame. */
  send(...commands: readonly Json[]): void {
    this.sendText(commands.map((command) => JSON.stringify(command)).join('\n'));
  }

  sendText(text: string): void {
    this.connection.onFrame(Buffer.from(text));
  }

  /** Sends one command and resolves to its reply, be it a result or an error. */
  command(kind: string, params: Json = {}): Promise<Json> {
    const id = this.#nextId++;
    this.send({ id, [kind]: params });
    return this.reply(id);
  }

  reply(id: number): Promise<Json> {
    return this.#replies.next(`the reply to command ${id}`, (reply) => reply['id'] === id);
  }

  /** How a command ends: 'ok', the code of its error, or the name of the cause for which the connection ended. */
  async outcome(kind: string, params: Json = {}): Promise<unknown> {
    const id = this.#nextId++;
    this.send({ id, [kind]: params });
    return waitFor(`an outcome of ${kind}`, () => {
      const reply = this.transport.messages.find((message) => message['id'] === id);
      if (reply === undefined) return this.transport.closedWith?.name;
      return isJson(reply['error']) ? reply['error']['code'] : 'ok';
    });
  }

  /** The result of a command that must succeed. */
  async result(kind: string, params: Json = {}): Promise<Json> {
    const reply = await this.command(kind, params);
    const result = reply[kind];
    if (!isJson(result)) throw new Error(`${kind} failed: ${JSON.stringify(reply)}`);
    return result;
  }

  subscribe(channel: string, over: Json = {}): Promise<Json> {
    return this.result('subscribe', { channel, ...over });
  }

  /** The next push that matches, such as `{ channel, pub }`. */
  push(what: string, matches: (push: Json) => boolean = () => true): Promise<Json> {
    return this.#pushes.next(what, matches);
  }

  /** Code and reason of the next unsubscribe push of the channel. */
  async unsubscribed(channel: string): Promise<unknown> {
    const matches = (push: Json): boolean => push['channel'] === channel && isJson(push['unsubscribe']);
    return (await this.push(`an unsubscribe of ${channel}`, matches))['unsubscribe'];
  }

  /** Publications of the channel so far, in order. */
  publications(channel: string): readonly Json[] {
    return this.transport.pushes
      .filter((push) => push['channel'] === channel)
      .map(({ pub }) => pub)
      .filter(isJson);
  }

  /** Data of the publications of the channel so far. */
  received(channel: string): readonly unknown[] {
    return this.publications(channel).map(({ data }) => data);
  }

  async receives(channel: string, count: number): Promise<readonly unknown[]> {
    await waitFor(`${count} publications in ${channel}`, () => this.publications(channel).length >= count);
    return this.received(channel);
  }

  /** Name of the cause for which the connection ended on this side. */
  async closed(): Promise<string> {
    const cause = await waitFor('the end of the connection', () => this.transport.closedWith);
    return cause.name;
  }

  /** The peer is gone without a word. */
  vanish(): void {
    this.connection.onTransportClosed();
  }
}

export type TokenFields = Partial<Parameters<typeof signConnectionToken>[0]>;

export function connectionToken(user: string, claims: TokenFields = {}): Promise<string> {
  return signConnectionToken({ user, ...claims }, SECRET);
}

export function subscriptionToken(
  user: string,
  channel: string,
  claims: Partial<Parameters<typeof signSubscriptionToken>[0]> = {},
): Promise<string> {
  return signSubscriptionToken({ user, channel, ...claims }, SECRET);
}
