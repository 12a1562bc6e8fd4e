// Takes up connections that another worker had. The primary hears of it before a single byte is read or written: should this
// process die earlier, the connection is whole and somebody else's.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '../connection/connection.ts';
import type { TagsPredicate } from '../connection/subscription.ts';
import { slotKey } from '../commands/subscribe.ts';
import type { UserSlots } from '../commands/user-slots.ts';
import type { PresenceStore } from '../engine/presence-store.ts';
import type { ConnectionOpener } from '../gateway/connection-opener.ts';
import type { UpgradeHandler } from '../gateway/upgrade.ts';
import { Arrivals } from '../hub/arrivals.ts';
import { Departure } from '../hub/departures.ts';
import type { Hub } from '../hub/hub.ts';
import type { Logger } from '../observe/logger.ts';
import { parseTagsFilter } from '../protocol/tags-filter.ts';
import { messageOf } from '../util/errors.ts';
import { type ConnectionHandle, socketOver } from '../util/native-handle.ts';
import { decodeConnection, type MovingConnection } from './payload.ts';
import type { PeerMessage } from './peer-messages.ts';

export interface MoveInLink {
  /** `told` is called when the message is on its way, with an error when it is not. */
  arrived(move: MoveId, node: string, told: (error: Error | null) => void): void;
  /** Not a byte was touched. */
  declined(move: MoveId, reason: string): void;
  tellPeer(to: number, message: PeerMessage): void;
  readonly connections: { closed(): void };
}

export interface MoveId {
  /** Process id of the worker that has sent it. */
  readonly from: number;
  readonly id: number;
}

export interface MoveInDeps {
  readonly link: MoveInLink;
  readonly hub: Hub;
  readonly upgrades: UpgradeHandler;
  readonly opener: ConnectionOpener;
  readonly presence: PresenceStore;
  readonly userConnections: UserSlots | undefined;
  readonly userSubscriptions: UserSlots | undefined;
  readonly log: Logger;
  /** This process on the node bus. */
  readonly node: string;
  readonly settle: () => Promise<void>;
  /** See Arrivals. */
  readonly onLost: () => void;
  /** See MoveOutDeps. */
  readonly onGone: (connection: Connection) => void;
}

/** What is held for a connection elsewhere is not lost at once: an engine that is away for a moment is asked again. */
const CLAIM_ATTEMPTS = 10;
const CLAIM_RETRY_MS = 1000;

export class MoveIn {
  readonly #deps: MoveInDeps;
  /** By the process that sends. */
  readonly #arrivals = new Map<number, Arrivals>();
  /** Taken up, and the primary may not have heard of it. */
  readonly #untold = new Set<Connection>();

  constructor(deps: MoveInDeps) {
    this.#deps = deps;
  }

  take(move: MoveId, payload: Uint8Array, handle: ConnectionHandle | undefined): void {
    const { link, log } = this.#deps;
    if (handle === undefined) {
      link.declined(move, 'the connection itself did not come');
      return;
    }
    let refusal: string | undefined;
    try {
      refusal = this.#adopt(move, payload, handle);
    } catch (error) {
      log.error({ err: error }, 'connection could not be taken up');
      refusal = messageOf(error);
    }
    if (refusal === undefined) return;
    // Only this process's copy of the descriptor.
    if (handle.fd >= 0) handle.close();
    link.declined(move, refusal);
  }

  onPeer(from: number, message: PeerMessage): void {
    switch (message.kind) {
      case 'prepare':
        void this.#prepare(from, message.request, message.channels);
        return;
      case 'settled':
        void this.#arrivals.get(from)?.settled(message.upTo);
        return;
      case 'end':
        void this.#arrivals.get(from)?.close();
        this.#arrivals.delete(from);
        return;
      case 'prepared':
      case 'unprepared':
        return;
    }
  }

  /** A worker is gone without having said the end. */
  forget(from: number): void {
    this.onPeer(from, { kind: 'end' });
  }

  /** The primary is gone: it will not hear of them. */
  abandon(): void {
    for (const connection of this.#untold) this.#giveUp(connection);
  }

  async #prepare(from: number, request: number, channels: readonly string[]): Promise<void> {
    const { link } = this.#deps;
    try {
      await this.#arrivalsOf(from).prepare(channels);
      link.tellPeer(from, { kind: 'prepared', request });
    } catch (error) {
      const reason = messageOf(error);
      link.tellPeer(from, { kind: 'unprepared', request, reason });
    }
  }

  #arrivalsOf(from: number): Arrivals {
    const { hub, settle, onLost } = this.#deps;
    let arrivals = this.#arrivals.get(from);
    if (arrivals === undefined) {
      arrivals = new Arrivals({ hub, settle, matcher: matcherOf, onLost });
      this.#arrivals.set(from, arrivals);
    }
    return arrivals;
  }

  /** Why not, or undefined. */
  #adopt(move: MoveId, payload: Uint8Array, handle: ConnectionHandle): string | undefined {
    const moving = decodeConnection(payload);
    if (moving === undefined) return 'it is written in a form that is not known here';
    const arrivals = this.#arrivalsOf(move.from);
    if (!arrivals.isPrepared(moving.subscriptions)) {
      void this.#adoptUnprepared(move, moving, handle);
      return undefined;
    }
    return this.#adoptInto(arrivals, move, moving, handle);
  }

  /**
   * Meant for another worker that has died, as has the one that sent it. What was published without history since it was let
   * go is lost; what has history is found by its offset.
   */
  async #adoptUnprepared(move: MoveId, moving: MovingConnection, handle: ConnectionHandle): Promise<void> {
    const { hub, settle, onLost, link } = this.#deps;
    const arrivals = new Arrivals({ hub, settle, matcher: matcherOf, onLost });
    let refusal: string | undefined;
    try {
      await arrivals.prepare(moving.subscriptions.map(({ state }) => state.channel));
      refusal = this.#adoptInto(arrivals, move, moving, handle);
    } catch (error) {
      refusal = messageOf(error);
    }
    await arrivals.close();
    if (refusal === undefined) return;
    if (handle.fd >= 0) handle.close();
    link.declined(move, refusal);
  }

  /** Why not, or undefined. */
  #adoptInto(
    arrivals: Arrivals,
    move: MoveId,
    moving: MovingConnection,
    handle: ConnectionHandle,
  ): string | undefined {
    const { link, hub, upgrades, opener, node } = this.#deps;
    const socket = socketOver(handle);
    const adopted = upgrades.adopt(socket, moving.tail, moving.facts);
    if (adopted === undefined) {
      socket.destroy();
      return 'connections of this kind are not served here';
    }
    socket.once('close', () => link.connections.closed());
    this.#shareRates(moving);
    const connection = opener.adopt(adopted.transport, moving.snapshot);
    adopted.attach(connection);
    connection.queueUnsent(moving.unsent);
    if (connection.isLive) hub.add(connection);
    arrivals.adopt(connection, move.id, moving.subscriptions);
    this.#untold.add(connection);
    link.arrived(move, node, (error) => {
      if (error !== null) return this.#giveUp(connection);
      if (!this.#untold.delete(connection)) return;
      connection.thaw();
      this.#claim(connection);
      // What its last publications there have led to comes before what it publishes here.
      void this.#letGo(connection);
    });
    return undefined;
  }

  /** Whoever has sent it cannot know that it is here, and goes on with it, or has given it up as well. */
  #giveUp(connection: Connection): void {
    if (!this.#untold.delete(connection)) return;
    const { hub, onGone } = this.#deps;
    onGone(connection);
    Departure.of(hub, connection)?.complete();
    hub.withdraw(connection);
    connection.forsake('');
  }

  async #letGo(connection: Connection): Promise<void> {
    await this.#deps.settle();
    connection.letGo();
  }

  /** Connections of one user share what the user may. */
  #shareRates({ snapshot: { session } }: MovingConnection): void {
    if (session.rates === undefined || session.user === '') return;
    for (const other of this.#deps.hub.connectionsOf(session.user)) {
      if (other.session.rates === undefined) continue;
      session.rates = { ...session.rates, ofUser: other.session.rates.ofUser };
      return;
    }
  }

  #claim(connection: Connection): void {
    const { presence, userConnections, userSubscriptions } = this.#deps;
    const { user, client } = connection.session;
    if (user !== '' && userConnections !== undefined && connection.isLive) {
      void this.#try(
        () => userConnections.takeOver(user, client),
        connection,
        () => true,
      );
    }
    for (const subscription of connection.subscriptions.values()) {
      const { channel, info, inPresence, serverSide } = subscription.state;
      const isThere = (): boolean => subscription.live;
      if (inPresence) void this.#try(() => presence.add(channel, info), connection, isThere);
      if (user === '' || serverSide || userSubscriptions === undefined) continue;
      const key = slotKey(client, channel);
      void this.#try(() => userSubscriptions.takeOver(user, key), connection, isThere);
    }
  }

  async #try(claim: () => Promise<void>, connection: Connection, isWanted: () => boolean): Promise<void> {
    for (let attempt = 1; attempt <= CLAIM_ATTEMPTS; attempt += 1) {
      if (connection.isClosed || !isWanted()) return;
      try {
        await claim();
        return;
      } catch (error) {
        this.#deps.log.debug({ err: error, attempt }, 'what a moved connection holds could not be claimed');
      }
      await delay(CLAIM_RETRY_MS, undefined, { ref: false });
    }
  }
}

function matcherOf(filter: unknown): TagsPredicate | undefined {
  return filter === undefined ? undefined : parseTagsFilter(filter).matches;
}
