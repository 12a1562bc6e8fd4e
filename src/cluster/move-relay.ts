// Passes connections from one worker to another, and keeps a silent copy of each until the new owner has said that it has
// it: whoever dies on the way, a connection has exactly one owner, or it is given to somebody who lives.
import type { SendHandle } from 'node:child_process';
import type { Logger } from '../observe/logger.ts';
import { type ConnectionHandle, isConnectionHandle } from '../util/native-handle.ts';
import type { MoveId, ToPrimary, ToWorker } from './ipc.ts';
import type { WorkerObserver } from './supervisor.ts';
import type { Parcel } from './worker-process.ts';

/** A worker of this primary, or one that is reached through another primary. */
export interface MovePeer {
  readonly pid: number;
  readonly connected: boolean;
  post(message: ToWorker): void;
  deliver(parcel: Parcel): void;
}

interface MoveRelayDeps {
  readonly logger: Logger;
  /** It lives on at this worker. */
  readonly onArrived: (at: MovePeer) => void;
  /** Neither the worker that sent this connection nor the one that was to have it is there any more. */
  readonly otherWorker: () => MovePeer | undefined;
}

class InFlight implements Parcel {
  readonly key: string;
  readonly message: ToWorker & { readonly type: 'move-in' };
  readonly from: MovePeer;
  readonly #handle: ConnectionHandle & SendHandle;
  readonly #relay: MoveRelay;
  to: MovePeer;
  /** The process next on its way has the descriptor. */
  isDelivered = false;

  constructor(
    relay: MoveRelay,
    move: { readonly from: MovePeer; readonly to: MovePeer },
    message: ToWorker & { readonly type: 'move-in' },
    handle: ConnectionHandle & SendHandle,
  ) {
    this.key = keyOf(message);
    this.from = move.from;
    this.to = move.to;
    this.message = message;
    this.#relay = relay;
    this.#handle = handle;
  }

  handle(): (ConnectionHandle & SendHandle) | undefined {
    return this.#handle;
  }

  delivered(): void {
    // That the descriptor has arrived says little: the worker has to say that it has taken the connection up.
    this.isDelivered = true;
  }

  refused(): void {
    this.#relay.undelivered(this, 'the worker has no room for it');
  }

  close(): void {
    if (this.#handle.fd >= 0) this.#handle.close();
  }
}

export class MoveRelay implements WorkerObserver {
  readonly #deps: MoveRelayDeps;
  readonly #inFlight = new Map<string, InFlight>();
  readonly #workers = new Map<number, MovePeer>();

  constructor(deps: MoveRelayDeps) {
    this.#deps = deps;
  }

  /** Connections between two workers. */
  get size(): number {
    return this.#inFlight.size;
  }

  forked(process: MovePeer): void {
    this.#workers.set(process.pid, process);
  }

  /** A worker of another primary can take connections, and give some. */
  joined(peer: MovePeer): void {
    this.forked(peer);
  }

  /** Another primary, to which this move was passed on, says that the connection lives there. */
  arrivedBeyond(id: MoveId, node: string): void {
    const move = this.#inFlight.get(keyOf(id));
    if (move !== undefined) this.#arrived(move.to, id, node);
  }

  /** Another primary says that nobody there has touched it. */
  declinedBeyond(id: MoveId, reason: string): void {
    const move = this.#inFlight.get(keyOf(id));
    if (move !== undefined) this.undelivered(move, reason);
  }

  message(process: MovePeer, message: ToPrimary, handle?: unknown): void {
    if (message.type === 'move-out') this.#relay(process, message, handle);
    else if (message.type === 'move-query') this.#lookFor(process, message.id);
    else if (message.type === 'arrived') this.#arrived(process, message, message.node);
    else if (message.type === 'declined') {
      const move = this.#inFlight.get(keyOf(message));
      if (move !== undefined && move.to === process) this.undelivered(move, message.reason);
    } else if (message.type === 'peer') {
      this.#workers.get(message.to)?.post({ type: 'peer', from: process.pid, body: message.body });
    }
  }

  /** Its channel has been read to the end: what it has not said to have taken, it has not touched. */
  gone(process: MovePeer): void {
    this.#workers.delete(process.pid);
    for (const worker of this.#workers.values()) worker.post({ type: 'peer-gone', from: process.pid });
    for (const move of this.#inFlight.values()) {
      if (move.to === process) this.undelivered(move, 'the worker that was to have it has ended');
    }
  }

  /** The primary of this worker is gone: nobody can say whether it has taken up what had got that far. It may live there. */
  lost(peer: MovePeer): void {
    for (const move of this.#inFlight.values()) {
      if (move.to !== peer || !move.isDelivered) continue;
      this.#inFlight.delete(move.key);
      move.close();
      move.from.post({ type: 'moved', id: move.message.id, node: '' });
    }
    this.gone(peer);
  }

  /** It has not been touched by the one that was to have it. */
  undelivered(move: InFlight, reason: string): void {
    if (this.#inFlight.get(move.key) !== move) return;
    if (move.from.connected) {
      this.#inFlight.delete(move.key);
      move.close();
      move.from.post({ type: 'not-moved', id: move.message.id, reason });
      return;
    }
    const other = this.#deps.otherWorker();
    if (other === undefined || other === move.to) {
      this.#inFlight.delete(move.key);
      move.close();
      this.#deps.logger.warn({ reason }, 'connection lost: nobody could take it');
      return;
    }
    move.to = other;
    move.isDelivered = false;
    other.deliver(move);
  }

  /** May be called twice. */
  close(): void {
    for (const move of this.#inFlight.values()) move.close();
    this.#inFlight.clear();
  }

  #relay(
    from: MovePeer,
    { to: pid, id, payload }: ToPrimary & { readonly type: 'move-out' },
    handle: unknown,
  ): void {
    const to = this.#workers.get(pid);
    if (!isConnectionHandle(handle)) {
      from.post({ type: 'not-moved', id, reason: 'the connection itself did not reach the primary' });
      return;
    }
    if (to?.connected !== true) {
      handle.close();
      from.post({ type: 'not-moved', id, reason: 'the worker that was to have it is not there' });
      return;
    }
    const move = new InFlight(this, { from, to }, { type: 'move-in', from: from.pid, id, payload }, handle);
    this.#inFlight.set(move.key, move);
    to.deliver(move);
  }

  /** What was lost on the way here was never here. */
  #lookFor(from: MovePeer, id: number): void {
    if (this.#inFlight.has(keyOf({ from: from.pid, id }))) return;
    from.post({ type: 'not-moved', id, reason: 'it did not reach the primary' });
  }

  #arrived(at: MovePeer, id: MoveId, node: string): void {
    const move = this.#inFlight.get(keyOf(id));
    if (move === undefined || move.to !== at) return;
    this.#inFlight.delete(move.key);
    move.close();
    this.#deps.onArrived(at);
    move.from.post({ type: 'moved', id: id.id, node });
  }
}

function keyOf({ from, id }: MoveId): string {
  return `${from}:${id}`;
}
