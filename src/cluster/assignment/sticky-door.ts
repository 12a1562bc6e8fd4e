// The one place that meets @socket.io/sticky in the primary. Sticky only chooses the worker, by sid or by least
// connections; counting, the socket itself and its safe passage are ours.
import cluster, { type Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import { setupMaster } from '@socket.io/sticky';

/** Sticky takes the worker with the smallest count: never one with this, unless there is no other. */
const NOT_ROUTABLE = 1e9;

/** What sticky takes for the client's socket. */
class Caller extends EventEmitter {
  chosen: Worker | undefined;
}

type ClusterListener = readonly [event: string, listener: unknown];

export interface StickyWorker {
  readonly routable: boolean;
  /** Those it has or is about to get. */
  readonly clients: number;
}

export class StickyDoor {
  readonly #server = new EventEmitter();
  /** Whom a sid belongs to now, so that a late unbind by its last owner does not hit the next one. */
  readonly #owners = new Map<string, Worker>();
  /** What sticky put on the cluster; it has no way to take it off again. */
  readonly #added: readonly ClusterListener[];

  constructor() {
    const before = new Set(listeners().map(([, listener]) => listener));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all it needs of a server is 'connection'
    const server = this.#server as Parameters<typeof setupMaster>[0];
    setupMaster(server, { loadBalancingMethod: 'least-connection' });
    this.#added = listeners().filter(([, listener]) => !before.has(listener));
  }

  /** From now on sticky sees our figures for this worker, and what it would send is only its choice. */
  admit(worker: Worker, facts: StickyWorker): void {
    Object.defineProperties(worker, {
      clientsCount: {
        get: () => (facts.routable ? facts.clients : NOT_ROUTABLE),
        // Sticky counts bound sids here, long after the connection was assigned.
        set: ignoreCount,
      },
      send: {
        value: (_message: unknown, caller: unknown): boolean => {
          if (caller instanceof Caller) caller.chosen = worker;
          return true;
        },
      },
    });
  }

  /** A worker for a connection; it may be one that is not routable when the sid says so or there is no other. */
  choose(sid: string | undefined): Worker | undefined {
    if (Object.keys(cluster.workers ?? {}).length === 0) return undefined;
    const caller = new Caller();
    this.#server.emit('connection', caller);
    // Sticky gets no other part of the head: it would look for a sid in cookies too, and keep requests with a body for
    // itself, which there is no need for as nobody reads the socket while it is under way.
    caller.emit('data', Buffer.from(sid === undefined ? '\r\n\r\n' : `sid=${sid}\r\n\r\n`));
    return caller.chosen;
  }

  bind(worker: Worker, sid: string): void {
    this.#owners.set(sid, worker);
    cluster.emit('message', worker, { type: 'sticky:connection', data: sid });
  }

  unbind(worker: Worker, sid: string): void {
    if (this.#owners.get(sid) !== worker) return;
    this.#owners.delete(sid);
    cluster.emit('message', worker, { type: 'sticky:disconnection', data: sid });
  }

  owns(worker: Worker, sid: string): boolean {
    return this.#owners.get(sid) === worker && worker.isConnected();
  }

  /** Sticky forgets a worker's sids by itself. */
  forget(worker: Worker): void {
    for (const [sid, owner] of this.#owners) if (owner === worker) this.#owners.delete(sid);
  }

  /** Takes sticky off the cluster. May be called twice. */
  close(): void {
    const emitter: { off(event: string, listener: unknown): unknown } = cluster;
    for (const [event, listener] of this.#added) emitter.off(event, listener);
    this.#owners.clear();
  }
}

function listeners(): ClusterListener[] {
  return ['message', 'exit'].flatMap((event) =>
    cluster.listeners(event).map((listener): ClusterListener => [event, listener]),
  );
}

function ignoreCount(): void {
  // See admit().
}
