// One connection on its way to another worker: it falls silent and is written down in one turn of the event loop, in which
// nothing can happen to it. From then on it is neither here nor there, until somebody says where it goes on.
import type { SendHandle } from 'node:child_process';
import type { Connection } from '../connection/connection.ts';
import type { WebSocketTransport } from '../gateway/websocket-transport.ts';
import { Departure } from '../hub/departures.ts';
import type { Hub } from '../hub/hub.ts';
import type { Clock } from '../util/clock.ts';
import type { ConnectionHandle } from '../util/native-handle.ts';
import { pack } from './payload.ts';

export interface LeavingDeps {
  readonly hub: Hub;
  readonly clock: Clock;
}

/** Where a copy of a socket stays meanwhile. */
export interface ParkingPlace {
  /** Resolves to the number under which it is there; undefined when it could not be taken. */
  park(handle: ConnectionHandle & SendHandle): Promise<number | undefined>;
  unpark(number: number): void;
}

export interface WrittenDown {
  readonly leaving: Leaving;
  /** For the other worker; not kept here. */
  readonly payload: Buffer;
}

/** A peer that has more to read is waited for: it all passes through the primary. */
const MAX_UNSENT_BYTES = 2 * 1024 * 1024;

export class Leaving {
  readonly connection: Connection;
  readonly sinceMs: number;
  /** The one connection that there is: what is open here, or the number of what is parked. */
  readonly copy: (ConnectionHandle & SendHandle) | number;
  readonly #transport: WebSocketTransport;
  readonly #departure: Departure;

  /**
   * Of a connection that is held and owes nothing. `unsent`: its peer has not taken everything, and it is as before.
   * Undefined: it cannot leave now for another reason, and goes on.
   */
  static of(
    connection: Connection,
    transport: WebSocketTransport,
    { hub, clock }: LeavingDeps,
  ): WrittenDown | 'unsent' | undefined {
    const sinceMs = clock.monotonicMs();
    connection.flush();
    const frozen = transport.freeze();
    if (typeof frozen === 'string') return frozen === 'unsent' ? frozen : undefined;
    const departure = connection.isClosed ? undefined : Departure.of(hub, connection);
    connection.flush();
    const isSilent = connection.hasWritten && transport.pendingBytes === 0;
    if (connection.isClosed || connection.isBusy || !isSilent || departure === undefined) {
      transport.thaw();
      departure?.undo();
      return undefined;
    }
    const payload = pack({ connection, transport, departure }, frozen.tail, []);
    return { leaving: new Leaving(connection, transport, departure, sinceMs, frozen.handle), payload };
  }

  /**
   * One whose peer has not taken everything takes that along, and has no way back: a copy is parked first, and this one is
   * closed, by which libuv would go on writing. Undefined as above; `mayLeave` is asked when it has been parked.
   */
  static async withUnsent(
    connection: Connection,
    transport: WebSocketTransport,
    { hub, clock }: LeavingDeps,
    place: ParkingPlace,
    mayLeave: () => boolean,
  ): Promise<WrittenDown | undefined> {
    if (connection.unsentBytes > MAX_UNSENT_BYTES) return undefined;
    const sinceMs = clock.monotonicMs();
    const frozen = transport.freeze(true);
    if (typeof frozen === 'string') return undefined;
    const parked = await place.park(frozen.handle);
    // In one turn from here until this worker's copy is closed.
    const isWanted = parked !== undefined && !connection.isClosed && mayLeave();
    const departure = isWanted ? Departure.of(hub, connection) : undefined;
    const unsent = transport.unsent();
    const isReady =
      !connection.isClosed &&
      !connection.isBusy &&
      connection.unsentBytes <= MAX_UNSENT_BYTES &&
      transport.obstacle === undefined;
    if (!isReady || parked === undefined || unsent === undefined || departure === undefined) {
      if (parked !== undefined) place.unpark(parked);
      transport.thaw();
      departure?.undo();
      return undefined;
    }
    const payload = pack({ connection, transport, departure }, frozen.tail, [unsent]);
    transport.destroy();
    return { leaving: new Leaving(connection, transport, departure, sinceMs, parked), payload };
  }

  private constructor(
    connection: Connection,
    transport: WebSocketTransport,
    departure: Departure,
    sinceMs: number,
    copy: Leaving['copy'],
  ) {
    this.connection = connection;
    this.sinceMs = sinceMs;
    this.copy = copy;
    this.#transport = transport;
    this.#departure = departure;
  }

  /** It goes on here as if nothing had been; or has ended, if its copy was parked. */
  undo(): void {
    this.#transport.thaw();
    this.#departure.undo();
    this.connection.thaw();
  }

  /** It lives on at that node; empty when nobody knows. */
  complete(hub: Hub, node: string): void {
    this.#departure.complete();
    hub.withdraw(this.connection);
    this.connection.forsake(node);
  }
}
