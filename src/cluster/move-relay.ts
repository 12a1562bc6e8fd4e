// Passes connections from one worker to another, and keeps a silent copy of each until the new owner has said that it has
// it: whoever dies on the way, a connection has exactly one owner, or it is given to somebody who lives.
import type { SendHandle } from 'node:child_process';
import type { Logger } from '../observe/logger.ts';
import { type ConnectionHandle, isConnectionHandle } from '../util/native-handle.ts';
import type { MoveId, ToPrimary, ToWorker } from './ipc.ts';
import type { WorkerObserver } from './supervisor.ts';
import type { Parcel, WorkerProcess } from './worker-process.ts';

interface MoveRelayDeps {
  readonly logger: Logger;
  /** It lives on at this worker. */
  readonly onArrived: (at: WorkerProcess) => void;
  /** Neither the worker that sent this connection nor the one that was to have it is there any more. */
  readonly otherWorker: () => WorkerProcess | undefined;
}

class InFlight implements Parcel {
  readonly key: string;
  readonly message: ToWorker & { readonly type: 'move-in' };
  readonly from: WorkerProcess;
  readonly #handle: ConnectionHandle & SendHandle;
  readonly #relay: MoveRelay;
  to: WorkerProcess;

  constructor(
    relay: MoveRelay,
    move: { readonly from: WorkerProcess; readonly to: WorkerProcess },
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
    // That the descriptor has arrived says nothing yet: the worker has to say that it has taken the connection up.
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
  readonly #workers = new Map<number, WorkerProcess>();

  constructor(deps: MoveRelayDeps) {
    this.#deps = deps;
  }

  /** Connections between two workers. */
  get size(): number {
    return this.#inFlight.size;
  }

  forked(process: WorkerProcess): void {
    this.#workers.set(process.pid, process);
  }

  message(process: WorkerProcess, message: ToPrimary, handle?: unknown): void {
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
  gone(process: WorkerProcess): void {
    this.#workers.delete(process.pid);
    for (const worker of this.#workers.values()) worker.post({ type: 'peer-gone', from: process.pid });
    for (const move of this.#inFlight.values()) {
      if (move.to === process) this.undelivered(move, 'the worker that was to have it has ended');
    }
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
    other.deliver(move);
  }

  /** May be called twice. */
  close(): void {
    for (const move of this.#inFlight.values()) move.close();
    this.#inFlight.clear();
  }

  #relay(
    from: WorkerProcess,
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
  #lookFor(from: WorkerProcess, id: number): void {
    if (this.#inFlight.has(keyOf({ from: from.pid, id }))) return;
    from.post({ type: 'not-moved', id, reason: 'it did not reach the primary' });
  }

  #arrived(at: WorkerProcess, id: MoveId, node: string): void {
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
