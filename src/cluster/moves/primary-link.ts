// The link between a primary and the one that replaces it, the same at both ends: the workers of each can give connections
// to those of the other, connections at the door can be passed on, and one end can ask the other to do something.
import type { Socket } from 'node:net';
import { UnavailableError, messageOf } from '../../util/errors.ts';
import { type ConnectionHandle, freeze, socketOver } from '../../util/native-handle.ts';
import { type DoorKind, isToWorker, type MoveReport, type ToPrimary, type ToWorker } from '../ipc.ts';
import type { MovePeer, MoveRelay } from './move-relay.ts';
import { type ChannelEnd, ParcelChannel } from './parcel-channel.ts';
import { isBetweenPrimaries, type BetweenPrimaries } from './primary-messages.ts';
import type { WorkerObserver } from '../supervisor.ts';
import type { Parcel, WorkerProcess } from '../worker-process.ts';

export interface PrimaryLinkDeps {
  readonly end: ChannelEnd;
  /** The other end asks; what the promise brings is the answer. */
  readonly onAsked: (method: string, params: unknown) => Promise<unknown>;
  /** A worker of the other end is ready. */
  readonly onWorker: (worker: RemoteWorker) => void;
  /** What a worker of the other end reports of moves that this end has ordered. */
  readonly onReport: (worker: RemoteWorker, report: MoveReport) => void;
  readonly onRemoteGone: (worker: RemoteWorker) => void;
  /** A connection that the other end has accepted, with what was read from it: nobody has answered it. */
  readonly onConnection: (socket: Socket, door: DoorKind) => void;
  readonly onPiece: (bytes: Uint8Array) => void;
  /** The other end has ended or let go; called once. */
  readonly onEnd: () => void;
}

/** What was read of a connection at the door, and at which one. */
export interface Visitor {
  readonly bytes: Uint8Array;
  readonly door: DoorKind;
}

interface Asked {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** A worker of the other primary. */
export class RemoteWorker implements MovePeer {
  readonly pid: number;
  readonly slot: number;
  readonly immovable: string;
  readonly #channel: ParcelChannel;
  isGone = false;

  constructor(
    facts: { readonly pid: number; readonly slot: number; readonly immovable: string },
    channel: ParcelChannel,
  ) {
    this.pid = facts.pid;
    this.slot = facts.slot;
    this.immovable = facts.immovable;
    this.#channel = channel;
  }

  get connected(): boolean {
    return !this.isGone && this.#channel.isOpen;
  }

  post(message: ToWorker): void {
    this.#channel.post({ type: 'to-worker', to: this.pid, message });
  }

  deliver(parcel: Parcel): void {
    this.#channel.deliver({
      message: { type: 'to-worker', to: this.pid, message: parcel.message },
      handle: () => parcel.handle(),
      delivered: () => parcel.delivered(),
      refused: () => parcel.refused(),
    });
  }
}

export class PrimaryLink implements WorkerObserver {
  readonly #deps: PrimaryLinkDeps;
  readonly #channel: ParcelChannel;
  readonly #local = new Map<number, WorkerProcess>();
  readonly #remote = new Map<number, RemoteWorker>();
  readonly #asked = new Map<number, Asked>();
  /** Workers of this end that move connections at the order of the other one, and the number of that order. */
  readonly #ordered = new Map<WorkerProcess, number>();
  #relay: MoveRelay | undefined;
  #nextId = 1;

  constructor(deps: PrimaryLinkDeps) {
    this.#deps = deps;
    this.#channel = new ParcelChannel({
      end: deps.end,
      onMessage: (message, handle) => this.#onMessage(message, handle),
      onEnd: () => this.#onEnd(),
    });
  }

  get isOpen(): boolean {
    return this.#channel.isOpen;
  }

  /** Ready and connected. */
  get workers(): readonly RemoteWorker[] {
    return [...this.#remote.values()].filter(({ connected }) => connected);
  }

  /** What moves connections at this end. The workers that this end has already are `present`. */
  attach(relay: MoveRelay, present: readonly WorkerProcess[]): void {
    this.#relay = relay;
    for (const worker of this.#remote.values()) relay.joined(worker);
    for (const worker of present) this.#local.set(worker.pid, worker);
    for (const worker of present)
      this.tell({ type: 'worker', pid: worker.pid, slot: worker.slot, immovable: '' });
  }

  tell(message: BetweenPrimaries): void {
    this.#channel.post(message);
  }

  /** Rejects with UnavailableError when the other end refuses, is gone or takes too long. */
  ask(method: string, params: unknown, timeoutMs: number): Promise<unknown> {
    if (!this.isOpen) return Promise.reject(new UnavailableError('the other primary is gone'));
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#asked.delete(id);
        reject(new UnavailableError(`the other primary does not answer '${method}'`));
      }, timeoutMs);
      this.#asked.set(id, { resolve, reject, timer });
      this.tell({ type: 'ask', id, method, params });
    });
  }

  /** Passes a connection on; `returned` is called when it cannot be and nobody has seen it. */
  passOn(socket: Socket, { bytes, door }: Visitor, returned: () => void): void {
    // While it waits, too: what is read here would be lost.
    if (freeze(socket) === undefined) return;
    this.#channel.deliver({
      message: { type: 'connection', bytes, door },
      handle: () => freeze(socket),
      delivered: () => socket.destroy(),
      refused: () => {
        if (!socket.destroyed) returned();
      },
    });
  }

  /** Resolves when every connection that was passed on has arrived, or could not be. */
  whenEmpty(): Promise<void> {
    return this.#channel.whenEmpty();
  }

  message(process: WorkerProcess, message: ToPrimary): void {
    if (message.type === 'ready') {
      this.#local.set(process.pid, process);
      const { pid, slot } = process;
      this.tell({ type: 'worker', pid, slot, immovable: message.immovable });
    } else if (message.type === 'moves' && this.#ordered.get(process) === message.number) {
      const { number, moved, left, ended, refused } = message;
      if (ended !== null) this.#ordered.delete(process);
      this.tell({ type: 'report', from: process.pid, report: { number, moved, left, ended, refused } });
    }
  }

  gone(process: WorkerProcess): void {
    this.#ordered.delete(process);
    if (this.#local.delete(process.pid)) this.tell({ type: 'worker-gone', pid: process.pid });
  }

  /** The other end is gone, as far as this one is concerned. May be called twice. */
  close(): void {
    this.#channel.close();
    for (const worker of this.#remote.values()) {
      worker.isGone = true;
      this.#relay?.lost(worker);
      this.#deps.onRemoteGone(worker);
    }
    this.#remote.clear();
    for (const { reject, timer } of this.#asked.values()) {
      clearTimeout(timer);
      reject(new UnavailableError('the other primary is gone'));
    }
    this.#asked.clear();
  }

  #onEnd(): void {
    this.close();
    this.#deps.onEnd();
  }

  #onMessage(message: unknown, handle: ConnectionHandle | undefined): void {
    if (!isBetweenPrimaries(message)) {
      handle?.close();
      return;
    }
    switch (message.type) {
      case 'ask':
        void this.#answer(message.id, message.method, message.params);
        return;
      case 'answer':
      case 'refusal': {
        const asked = this.#asked.get(message.id);
        this.#asked.delete(message.id);
        clearTimeout(asked?.timer);
        if (message.type === 'answer') asked?.resolve(message.result);
        else asked?.reject(new UnavailableError(message.reason));
        return;
      }
      case 'worker': {
        const worker = new RemoteWorker(message, this.#channel);
        this.#remote.set(worker.pid, worker);
        this.#relay?.joined(worker);
        this.#deps.onWorker(worker);
        return;
      }
      case 'worker-gone': {
        const worker = this.#remote.get(message.pid);
        this.#remote.delete(message.pid);
        if (worker === undefined) return;
        worker.isGone = true;
        this.#relay?.left(worker);
        this.#deps.onRemoteGone(worker);
        return;
      }
      case 'report': {
        const worker = this.#remote.get(message.from);
        if (worker !== undefined) this.#deps.onReport(worker, message.report);
        return;
      }
      case 'to-worker':
        this.#toWorker(message.to, message.message, handle);
        return;
      case 'connection':
        this.#onConnection(message, handle);
        return;
      case 'piece':
        this.#deps.onPiece(message.bytes);
        return;
    }
  }

  /** As if the workers of both ends had the same primary: the relay of each end does the rest. */
  #toWorker(to: number, message: unknown, handle: ConnectionHandle | undefined): void {
    const relay = this.#relay;
    if (relay === undefined || !isToWorker(message)) {
      handle?.close();
      return;
    }
    if (message.type === 'move-in') {
      const from = this.#remote.get(message.from) ?? this.#departed(message.from);
      relay.message(
        from,
        { type: 'move-out', to, id: message.id, parked: 0, payload: message.payload },
        handle,
      );
    } else if (message.type === 'moved') {
      for (const { id, node } of message.moves) relay.arrivedBeyond({ from: to, id }, node);
    } else if (message.type === 'not-moved') {
      relay.declinedBeyond({ from: to, id: message.id }, message.reason);
    } else if (message.type === 'peer') {
      const from = this.#remote.get(message.from);
      if (from !== undefined) relay.message(from, { type: 'peer', to, body: message.body });
    } else if (message.type !== 'peer-gone') {
      // That one has been said by 'worker-gone' already.
      const worker = this.#local.get(to);
      if (message.type === 'move' && worker !== undefined) this.#ordered.set(worker, message.number);
      worker?.post(message);
    }
  }

  /** One that had sent a connection before it ended. */
  #departed(pid: number): RemoteWorker {
    const worker = new RemoteWorker({ pid, slot: 0, immovable: '' }, this.#channel);
    worker.isGone = true;
    return worker;
  }

  #onConnection({ bytes, door }: Visitor, handle: ConnectionHandle | undefined): void {
    if (handle === undefined) return;
    const socket = socketOver(handle);
    if (bytes.length > 0) socket.unshift(bytes);
    this.#deps.onConnection(socket, door);
    if (door === 'public') socket.resume();
  }

  async #answer(id: number, method: string, params: unknown): Promise<void> {
    try {
      this.tell({ type: 'answer', id, result: (await this.#deps.onAsked(method, params)) ?? null });
    } catch (error) {
      this.tell({ type: 'refusal', id, reason: messageOf(error) });
    }
  }
}
