// One worker's registry: which connections there are, who they belong to, which channels they follow. Publications of the
// engine come in here and go out through the fan-out.
import { createHash } from 'node:crypto';
import type { Connection } from '../connection/connection.ts';
import type { Flusher } from '../connection/flusher.ts';
import type { Subscription } from '../connection/subscription.ts';
import type { Broker, BrokerListener } from '../engine/broker.ts';
import type { Origin } from '../engine/numbering.ts';
import type { PresenceStore } from '../engine/presence-store.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import type { ClientInfo, Publication } from '../protocol/publication.ts';
import { type UnsubscribeCode, UnsubscribeCodes } from '../protocol/unsubscribe-codes.ts';
import { HubChannel } from './channel.ts';
import type { ChannelEvent, Codecs } from './channel-item.ts';
import { FanOut } from './fan-out.ts';
import { Interests } from './interest.ts';
import { type ServingDeps, serveBatch, serveItem } from './serving.ts';

export interface HubCounters {
  delivered: number;
  publicationsIn: number;
  /** Noticed by the numbers of their publishers. */
  publicationsMissed: number;
}

export interface HubDeps {
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly codecs: Codecs;
  readonly flusher: Flusher;
  readonly counters: HubCounters;
  readonly nowMs: () => number;
  /** From the engine taking a publication to its first write here. */
  readonly observeDelivery: (publishedAtWallMs: number, subscribers: number) => void;
  /** A live subscription has ended. */
  readonly onLeft: (subscription: Subscription, code: UnsubscribeCode) => void;
  readonly onDropped: (reason: 'fanout_overload', publications: number) => void;
  readonly onCleanUpFailure: (error: unknown) => void;
}

/** Not yet delivered payload bytes over all channels, beyond which a channel's backlog is thrown away. */
const MAX_PENDING_BYTES = 67_108_864;

export class Hub implements BrokerListener {
  readonly serving: ServingDeps;
  readonly interests: Interests;
  /** The engine did not take what a subscriber owed it: a join, a leave, a presence entry. It expires there by itself. */
  readonly onCleanUpFailure: (error: unknown) => void;
  readonly #deps: HubDeps;
  readonly #fanOut: FanOut;
  readonly #connections = new Map<string, Connection>();
  readonly #byUser = new Map<string, Set<Connection>>();
  /** By digest of the secret: how long a look-up takes says nothing about the secrets that are there. */
  readonly #bySession = new Map<string, Connection>();
  readonly #channels = new Map<string, HubChannel>();
  #subscriptions = 0;
  #onInterruption: (channel?: HubChannel) => void = () => undefined;
  #onWatched: (channel: HubChannel, isWatched: boolean) => void = () => undefined;

  constructor(deps: HubDeps) {
    this.#deps = deps;
    this.onCleanUpFailure = deps.onCleanUpFailure;
    this.interests = new Interests({ broker: deps.broker, nowMs: deps.nowMs });
    this.serving = {
      codecs: deps.codecs,
      counters: deps.counters,
      onInsufficientState: (subscription) => this.insufficientState(subscription),
    };
    this.#fanOut = new FanOut({
      flusher: deps.flusher,
      codecs: deps.codecs,
      serve: (subscription, batch) => serveBatch(this.serving, subscription, batch),
      onPassDone: deps.observeDelivery,
    });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  get subscriptionCount(): number {
    return this.#subscriptions;
  }

  get userCount(): number {
    return this.#byUser.size;
  }

  connections(): IterableIterator<Connection> {
    return this.#connections.values();
  }

  connection(client: string): Connection | undefined {
    return this.#connections.get(client);
  }

  /** Connections of a user; "" are the anonymous ones. */
  connectionsOf(user: string): ReadonlySet<Connection> {
    return this.#byUser.get(user) ?? NO_CONNECTIONS;
  }

  connectionOfSession(secret: string): Connection | undefined {
    return this.#bySession.get(digestOf(secret));
  }

  channels(): IterableIterator<HubChannel> {
    return this.#channels.values();
  }

  channel(name: string): HubChannel | undefined {
    return this.#channels.get(name);
  }

  /** What to do when deliveries may have been lost, in this channel or in every one. */
  onInterrupted(listener: (channel?: HubChannel) => void): void {
    this.#onInterruption = listener;
  }

  /** A channel has its first member whose position is to be watched, or has lost the last one. */
  onWatched(listener: (channel: HubChannel, isWatched: boolean) => void): void {
    this.#onWatched = listener;
  }

  /** A client has been accepted. */
  add(connection: Connection): void {
    const { client, user, secret } = connection.session;
    this.#connections.set(client, connection);
    if (secret !== '') this.#bySession.set(digestOf(secret), connection);
    let same = this.#byUser.get(user);
    if (same === undefined) this.#byUser.set(user, (same = new Set()));
    same.add(connection);
  }

  /** Gives up everything the connection registered. False when it never had been added. */
  remove(connection: Connection): boolean {
    for (const subscription of connection.subscriptions.values()) {
      this.leave(subscription, UnsubscribeCodes.disconnect);
    }
    return this.withdraw(connection);
  }

  /** Takes it out of the registry, its subscriptions apart. False when it was not there. */
  withdraw(connection: Connection): boolean {
    const { client, user, secret } = connection.session;
    if (this.#connections.get(client) !== connection) return false;
    this.#connections.delete(client);
    if (secret !== '') this.#bySession.delete(digestOf(secret));
    const same = this.#byUser.get(user);
    same?.delete(connection);
    if (same?.size === 0) this.#byUser.delete(user);
    return true;
  }

  /** Registers the subscription; it gets nothing before `admit`. */
  enrol(subscription: Subscription): void {
    subscription.connection.subscriptions.set(subscription.state.channel, subscription);
    this.#subscriptions += 1;
  }

  channelToJoin(name: string): HubChannel {
    let channel = this.#channels.get(name);
    if (channel === undefined) this.#channels.set(name, (channel = new HubChannel(name)));
    return channel;
  }

  /** From here on the subscriber gets what the channel delivers. */
  admit(subscription: Subscription, channel: HubChannel): void {
    subscription.live = true;
    subscription.suspended = false;
    subscription.since = channel.sequence;
    channel.members.add(subscription);
    if (!subscription.state.positioned) return;
    channel.positionedMembers += 1;
    if (channel.positionedMembers === 1) this.#onWatched(channel, true);
  }

  /** Brings the subscriber at once what the channel has for it, whatever turn it would have. */
  catchUp(subscription: Subscription, channel: HubChannel): void {
    for (const item of channel.unserved()) serveItem(this.serving, subscription, item);
    if (subscription.live) subscription.since = channel.sequence;
  }

  /** The subscriber gets nothing more until it is admitted again. */
  suspend(subscription: Subscription, channel: HubChannel): void {
    subscription.live = false;
    subscription.suspended = true;
    channel.members.delete(subscription);
    if (subscription.state.positioned) this.#unwatch(channel);
  }

  /** Its connection goes on elsewhere: it is over here, and nobody hears of it. */
  forgo(subscription: Subscription): void {
    const { connection, state } = subscription;
    if (!connection.subscriptions.delete(state.channel)) return;
    this.#subscriptions -= 1;
    if (state.inPresence) this.#deps.presence.handOver(state.channel, state.info.client);
  }

  isEnrolled(subscription: Subscription): boolean {
    const { connection, state } = subscription;
    return !connection.isClosed && connection.subscriptions.get(state.channel) === subscription;
  }

  /** Ends a subscription on this side; tells the client nothing. Harmless when it ended already. */
  leave(subscription: Subscription, code: UnsubscribeCode): void {
    const { connection, state } = subscription;
    if (connection.subscriptions.get(state.channel) !== subscription) return;
    connection.subscriptions.delete(state.channel);
    this.#subscriptions -= 1;
    // A joiner that never became live is taken back by the joining itself, which may be waiting for the engine.
    if (!subscription.live && !subscription.suspended) return;
    const channel = this.#channels.get(state.channel);
    if (channel !== undefined) {
      channel.members.delete(subscription);
      if (state.positioned && subscription.live) this.#unwatch(channel);
      this.releaseIfEmpty(channel);
    }
    subscription.live = false;
    subscription.suspended = false;
    this.#deps.onLeft(subscription, code);
    if (state.inPresence) this.forgetPresence(subscription);
    if (state.announced)
      this.#deps.broker.publishLeave(state.channel, state.info).catch(this.onCleanUpFailure);
  }

  #unwatch(channel: HubChannel): void {
    channel.positionedMembers -= 1;
    if (channel.positionedMembers === 0) this.#onWatched(channel, false);
  }

  /** What others see of this subscriber, from now on. */
  showAs(subscription: Subscription, info: ClientInfo): void {
    const { state } = subscription;
    state.info = info;
    if (state.inPresence) this.#deps.presence.add(state.channel, info).catch(this.onCleanUpFailure);
  }

  forgetPresence({ connection, state: { channel, info } }: Subscription): void {
    // A newer subscription of the same client has the same entry: it goes with that one.
    if (connection.subscriptions.get(channel)?.state.inPresence === true) return;
    this.#deps.presence.remove(channel, info.client).catch(this.onCleanUpFailure);
  }

  releaseIfEmpty(channel: HubChannel): void {
    if (!channel.isEmpty || this.#channels.get(channel.name) !== channel) return;
    this.#channels.delete(channel.name);
    this.interests.release(channel.name);
  }

  /** Ends a subscription and tells the client. */
  unsubscribe(subscription: Subscription, code: UnsubscribeCode): void {
    const { connection, state } = subscription;
    this.leave(subscription, code);
    connection.push({ kind: 'unsubscribe', channel: state.channel, code: code.code, reason: code.reason });
  }

  /** The subscriber has missed something: it is told to recover (client protocol §12.4). */
  insufficientState(subscription: Subscription): void {
    if (subscription.state.serverSide) subscription.connection.close(CloseCauses.insufficientState);
    else this.unsubscribe(subscription, UnsubscribeCodes.insufficientState);
  }

  onPublication(
    channel: string,
    publication: Publication,
    epoch: string,
    previous?: Publication,
    origin?: Origin,
  ): void {
    this.#deliver(channel, { kind: 'publication', publication, epoch, previous, origin });
  }

  onJoin(channel: string, info: ClientInfo, origin?: Origin): void {
    this.#deliver(channel, { kind: 'join', info, origin });
  }

  onLeave(channel: string, info: ClientInfo, origin?: Origin): void {
    this.#deliver(channel, { kind: 'leave', info, origin });
  }

  onInterruption(name?: string): void {
    if (name === undefined) {
      this.#onInterruption();
      return;
    }
    const channel = this.#channels.get(name);
    if (channel !== undefined) this.#onInterruption(channel);
  }

  #deliver(name: string, event: ChannelEvent): void {
    this.#deps.counters.publicationsIn += 1;
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    if (event.kind === 'publication') channel.lastPublicationMs = this.#deps.nowMs();
    const bytesBefore = channel.pendingBytes;
    this.#deps.counters.publicationsMissed += channel.add(event);
    if (this.#fanOut.addPendingBytes(channel.pendingBytes - bytesBefore) > MAX_PENDING_BYTES) {
      const freed = channel.pendingBytes;
      this.#deps.onDropped('fanout_overload', channel.dropPending());
      this.#fanOut.addPendingBytes(-freed);
    }
    this.#fanOut.enqueue(channel);
  }
}

const NO_CONNECTIONS: ReadonlySet<Connection> = new Set();

function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}
