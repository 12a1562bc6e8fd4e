// Every connection of this worker from the handshake on, whether its client has said who it is or not.
import type { Connection } from '../connection/connection.ts';
import type { ConnectionOwner } from '../connection/surroundings.ts';
import type { CloseCause } from '../protocol/close-causes.ts';
import type { Command } from '../protocol/commands.ts';
import type { EmulatedSessions } from './emulated-sessions.ts';
import { StreamTransport } from './stream-transport.ts';

/** How sids in URLs lead other connections to this worker. */
export interface SidBinding {
  bindSid(sid: string): void;
  unbindSid(sid: string): void;
}

/** Stands before the owner that carries out commands, so that no end of a connection passes it by. */
export class OpenConnections implements ConnectionOwner {
  readonly #next: ConnectionOwner;
  readonly #binding: SidBinding;
  readonly #emulated: EmulatedSessions;
  readonly #open = new Set<Connection>();
  #opened = 0;
  /** Connections by sid: the binding ends with the last of them. */
  readonly #sids = new Map<string, number>();

  constructor(next: ConnectionOwner, binding: SidBinding, emulated: EmulatedSessions) {
    this.#next = next;
    this.#binding = binding;
    this.#emulated = emulated;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Since the start of the process, by their clients: what moved here was accepted elsewhere. */
  get opened(): number {
    return this.#opened;
  }

  all(): Connection[] {
    return [...this.#open];
  }

  add(connection: Connection): void {
    this.#opened += 1;
    this.adopt(connection);
  }

  /** One that another worker had. */
  adopt(connection: Connection): void {
    this.#open.add(connection);
    const { transport, session } = connection;
    if (transport instanceof StreamTransport && !transport.format.unidirectional) {
      this.#emulated.add(session.secret, transport);
    }
    const { sid } = session;
    if (sid === '') return;
    const count = this.#sids.get(sid) ?? 0;
    this.#sids.set(sid, count + 1);
    if (count === 0) this.#binding.bindSid(sid);
  }

  /** It lives on elsewhere. */
  forsake(connection: Connection): void {
    if (this.#open.delete(connection)) this.#release(connection.session.sid);
  }

  onCommand(connection: Connection, command: Command): void | Promise<void> {
    return this.#next.onCommand(connection, command);
  }

  onExpire(connection: Connection): void {
    this.#next.onExpire(connection);
  }

  onSubscriptionDeadline(connection: Connection): void {
    this.#next.onSubscriptionDeadline(connection);
  }

  onClosed(connection: Connection, cause: CloseCause): void {
    this.#open.delete(connection);
    if (connection.transport instanceof StreamTransport) this.#emulated.delete(connection.session.secret);
    this.#release(connection.session.sid);
    this.#next.onClosed(connection, cause);
  }

  #release(sid: string): void {
    const count = this.#sids.get(sid);
    if (count === undefined) return;
    if (count > 1) {
      this.#sids.set(sid, count - 1);
      return;
    }
    this.#sids.delete(sid);
    this.#binding.unbindSid(sid);
  }
}
