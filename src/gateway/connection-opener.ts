// The last step of every way in: a transport becomes a connection of this worker.
import { Connection } from '../connection/connection.ts';
import type { ConnectionShared } from '../connection/surroundings.ts';
import type { Session, SessionSnapshot } from '../connection/session.ts';
import type { Transport } from '../connection/transport.ts';
import type { HotCounters } from '../observe/hot-counters.ts';

export interface ConnectionOpenerDeps {
  readonly shared: ConnectionShared;
  readonly counters: HotCounters;
  readonly onOpened: (connection: Connection) => void;
  readonly onAdopted: (connection: Connection) => void;
}

export class ConnectionOpener {
  readonly counters: HotCounters;
  readonly #bidirectional: ConnectionShared;
  readonly #unidirectional: ConnectionShared;
  readonly #onOpened: (connection: Connection) => void;
  readonly #onAdopted: (connection: Connection) => void;

  constructor({ shared, counters, onOpened, onAdopted }: ConnectionOpenerDeps) {
    this.counters = counters;
    this.#bidirectional = shared;
    // Who cannot send anything owes no pongs.
    this.#unidirectional = { ...shared, timing: { ...shared.timing, pongTimeoutMs: 0 } };
    this.#onOpened = onOpened;
    this.#onAdopted = onAdopted;
  }

  open(transport: Transport, session: Session): Connection {
    const { format, kind } = transport;
    const connection = new Connection(transport, session, this.#sharedFor(transport));
    this.counters.opened.cell(kind, format.encoding).value += 1;
    this.#onOpened(connection);
    return connection;
  }

  /** One that another worker had; held and frozen until it is told to go on. */
  adopt(transport: Transport, snapshot: SessionSnapshot): Connection {
    const connection = new Connection(transport, snapshot.session, this.#sharedFor(transport), snapshot);
    this.#onAdopted(connection);
    return connection;
  }

  #sharedFor({ format }: Transport): ConnectionShared {
    return format.unidirectional ? this.#unidirectional : this.#bidirectional;
  }
}
