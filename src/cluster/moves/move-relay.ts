// Passes connections from one worker to another, and keeps a silent copy of each until the new owner has said that it has
// it: whoever dies on the way, a connection has exactly one owner, or it is given to somebody who lives. One with bytes that
// its sender cannot take back is parked here first, so that the sender can close its own copy; from then on it has no way back.
import type { SendHandle } from 'node:child_process';
import type { Logger } from '../../observe/logger.ts';
import { type ConnectionHandle, isConnectionHandle } from '../../util/native-handle.ts';
import type { MoveId, ToPrimary, ToWorker } from '../ipc.ts';
import type { WorkerObserver } from '../supervisor.ts';
import type { Parcel } from '../worker-process.ts';
import { MoveNews } from './move-news.ts';

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
  /** For a connection that none of these can have any more. */
  readonly otherWorker: (than: readonly MovePeer[]) => MovePeer | undefined;
}

class Passing implements Parcel {
  readonly key: string;
  readonly message: ToWorker & { readonly type: 'move-in' };
  readonly from: MovePeer;
  readonly #handle: ConnectionHandle & SendHandle;
  readonly #relay: MoveRelay;
  to: MovePeer;
  /** Those that could not take it, so that it is not offered to and fro. */
  readonly refusedBy = new Set<MovePeer>();
  /** The sender has closed its copy. */
  readonly isOnlyCopy: boolean;
  /** The process next on its way has the descriptor. */
  isDelivered = false;

  constructor(
    relay: MoveRelay,
    move: { readonly from: MovePeer; readonly to: MovePeer },
    message: ToWorker & { readonly type: 'move-in' },
    handle: ConnectionHandle & SendHandle,
    isOnlyCopy: boolean,
  ) {
    this.isOnlyCopy = isOnlyCopy;
    this.key = keyOf(message);
    this.from = move.from;
    this.to = move.to;
    this.message = message;
    this.#relay = relay;
    this.#handle = handle;
  }

  handle(): (ConnectionHandle & SendHandle) | undefined {
    return this.#handle.fd < 0 ? undefined : this.#handle;
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
  readonly #inFlight = new Map<string, Passing>();
  readonly #parked = new Map<
    string,
    { readonly from: MovePeer; readonly handle: ConnectionHandle & SendHandle }
  >();
  readonly #workers = new Map<number, MovePeer>();
  readonly #news = new MoveNews();

  constructor(deps: MoveRelayDeps) {
    this.#deps = deps;
  }

  /** Connections between two workers. */
  get size(): number {
    return this.#inFlight.size + this.#parked.size;
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
    if (message.type === 'park') this.#park(process, message.id, handle);
    else if (message.type === 'unpark') this.#takeParked(process, message.id)?.close();
    else if (message.type === 'move-out') this.#relay(process, message, handle);
    else if (message.type === 'move-query') this.#lookFor(process, message.id);
    else if (message.type === 'arrived') this.#arrived(process, message, message.node);
    else if (message.type === 'declined') {
      const move = this.#inFlight.get(keyOf(message));
      if (move !== undefined && move.to === process) this.undelivered(move, message.reason);
    } else if (message.type === 'peer') {
      this.#workers.get(message.to)?.post({ type: 'peer', from: process.pid, body: message.body });
    }
  }

  /**
   * A worker of another primary is gone. What is on its way there goes on to that primary, and is declined by it: what was given
   * back here would be in the channel between the two all the same.
   */
  left(peer: MovePeer): void {
    this.#workers.delete(peer.pid);
    for (const worker of this.#workers.values()) worker.post({ type: 'peer-gone', from: peer.pid });
  }

  /** Its channel has been read to the end: what it has not said to have taken, it has not touched. */
  gone(process: MovePeer): void {
    this.left(process);
    for (const [key, { from, handle }] of this.#parked) {
      if (from !== process) continue;
      this.#parked.delete(key);
      handle.close();
    }
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
      this.#news.add(move.from, { id: move.message.id, node: '' });
    }
    this.gone(peer);
  }

  /** It has not been touched by the one that was to have it. */
  undelivered(move: Passing, reason: string): void {
    if (this.#inFlight.get(move.key) !== move) return;
    move.refusedBy.add(move.to);
    const canGoBack = move.from.connected && !move.isOnlyCopy;
    const other = canGoBack ? undefined : this.#deps.otherWorker([move.from, ...move.refusedBy]);
    if (other === undefined) {
      this.#inFlight.delete(move.key);
      move.close();
      move.from.post({ type: 'not-moved', id: move.message.id, reason });
      if (!canGoBack) this.#deps.logger.warn({ reason }, 'connection lost: nobody could take it');
      return;
    }
    move.to = other;
    move.isDelivered = false;
    other.deliver(move);
  }

  /** May be called twice. */
  close(): void {
    this.#news.tellAll();
    for (const move of this.#inFlight.values()) move.close();
    this.#inFlight.clear();
    for (const { handle } of this.#parked.values()) handle.close();
    this.#parked.clear();
  }

  #park(from: MovePeer, id: number, handle: unknown): void {
    if (!isConnectionHandle(handle)) {
      from.post({ type: 'not-moved', id, reason: NOT_HERE });
      return;
    }
    this.#parked.set(keyOf({ from: from.pid, id }), { from, handle });
    from.post({ type: 'parked', id });
  }

  #takeParked(from: MovePeer, id: number): (ConnectionHandle & SendHandle) | undefined {
    const key = keyOf({ from: from.pid, id });
    const parked = this.#parked.get(key);
    this.#parked.delete(key);
    return parked?.handle;
  }

  #relay(
    from: MovePeer,
    { to: pid, id, parked: parkedId, payload }: ToPrimary & { readonly type: 'move-out' },
    sent: unknown,
  ): void {
    const parked = this.#takeParked(from, parkedId);
    const handle = parked ?? sent;
    if (!isConnectionHandle(handle)) {
      from.post({ type: 'not-moved', id, reason: NOT_HERE });
      return;
    }
    const meant = this.#workers.get(pid);
    const isThere = meant?.connected === true;
    const to = isThere || parked === undefined ? meant : this.#deps.otherWorker([from]);
    if (to?.connected !== true) {
      handle.close();
      from.post({ type: 'not-moved', id, reason: 'the worker that was to have it is not there' });
      return;
    }
    const message = { type: 'move-in', from: from.pid, id, payload } as const;
    const move = new Passing(this, { from, to }, message, handle, parked !== undefined);
    this.#inFlight.set(move.key, move);
    to.deliver(move);
  }

  /** What was lost on the way here was never here. */
  #lookFor(from: MovePeer, id: number): void {
    // It may have arrived a moment ago.
    this.#news.tellAll();
    const key = keyOf({ from: from.pid, id });
    if (this.#inFlight.has(key) || this.#parked.has(key)) return;
    from.post({ type: 'not-moved', id, reason: NOT_HERE });
  }

  #arrived(at: MovePeer, id: MoveId, node: string): void {
    const move = this.#inFlight.get(keyOf(id));
    if (move === undefined || move.to !== at) return;
    this.#inFlight.delete(move.key);
    move.close();
    this.#deps.onArrived(at);
    this.#news.add(move.from, { id: id.id, node });
  }
}

const NOT_HERE = 'the connection itself did not reach the primary';

function keyOf({ from, id }: MoveId): string {
  return `${from}:${id}`;
}
