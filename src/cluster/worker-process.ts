// One forked worker as the primary sees it: typed messages, connections on their way to it until it has them, one
// definite end.
import type { Worker } from 'node:cluster';
import type { SendHandle } from 'node:child_process';
import { isToPrimary, type ToPrimary, type ToWorker } from './ipc.ts';
import {
  acknowledgement,
  finishDisconnect,
  isConnectionHandle,
  type ConnectionHandle,
} from '../util/native-handle.ts';

/** A connection on its way to a worker. The primary's copy stays open, silent, until `delivered`. */
export interface Parcel {
  readonly message: ToWorker;
  /** Silent; undefined when the connection is closed by now. */
  handle(): (ConnectionHandle & SendHandle) | undefined;
  /** The worker has the connection: it has not yet read or written one byte of it. */
  delivered(): void;
  /** The worker is alive but could not take it (no descriptors): it never saw it. */
  refused(): void;
}

export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** It had been asked to leave. */
  readonly expected: boolean;
  /** What had not reached it: nobody has touched these connections, another worker may have them. */
  readonly undelivered: readonly Parcel[];
}

export interface WorkerListener {
  message(message: ToPrimary, handle: unknown): void;
  /** Once, when the process has exited and everything it ever said has been heard. */
  gone(end: WorkerEnd): void;
}

/** How long the channel of an exited or a mute process may stay open. */
const CHANNEL_END_LIMIT_MS = 1000;
const CHANNEL_POLL_MS = 5;
const LEAVING_MESSAGES: ReadonlySet<ToWorker['type']> = new Set(['drain', 'hurry', 'stop']);

export class WorkerProcess {
  readonly slot: number;
  readonly cluster: Worker;
  readonly pid: number;
  readonly #listener: WorkerListener;
  /** Waiting for the one in flight: Node passes one handle at a time, and re-queues its own queue at every step. */
  #waiting: Parcel[] = [];
  #inFlight: Parcel | undefined;
  #askedToLeave = false;
  #gone = false;

  constructor(worker: Worker, slot: number, listener: WorkerListener) {
    this.cluster = worker;
    this.slot = slot;
    this.pid = worker.process.pid ?? 0;
    this.#listener = listener;
    worker.on('message', this.#onMessage);
    worker.process.on('internalMessage', this.#onInternalMessage);
    worker.process.once('exit', this.#onExit);
    worker.process.once('disconnect', this.#onDisconnect);
    worker.on('error', this.#onError);
  }

  /** False as soon as nothing more can reach it. */
  get connected(): boolean {
    return !this.#gone && this.cluster.isConnected();
  }

  /** Connections assigned and not yet delivered. */
  get undelivered(): number {
    return this.#waiting.length + (this.#inFlight === undefined ? 0 : 1);
  }

  post(message: ToWorker): void {
    if (LEAVING_MESSAGES.has(message.type)) this.#askedToLeave = true;
    if (this.connected) this.cluster.process.send(message, ignoreSendError);
  }

  /** Delivers in order. Until then the parcel's socket must not be read. */
  deliver(parcel: Parcel): void {
    this.#waiting.push(parcel);
    this.#sendNext();
  }

  /** Gives up what has not been sent yet, of one kind. */
  takeBack<Kind extends Parcel>(isMeant: (parcel: Parcel) => parcel is Kind): readonly Kind[] {
    const taken = this.#waiting.filter((parcel) => isMeant(parcel));
    this.#waiting = this.#waiting.filter((parcel) => !isMeant(parcel));
    return taken;
  }

  kill(): void {
    this.cluster.process.kill('SIGKILL');
  }

  #sendNext(): void {
    while (this.#inFlight === undefined && this.connected) {
      const parcel = this.#waiting.shift();
      if (parcel === undefined) return;
      const handle = parcel.handle();
      if (handle === undefined) {
        parcel.refused();
        continue;
      }
      this.#inFlight = parcel;
      this.cluster.process.send(parcel.message, handle, undefined, ignoreSendError);
    }
  }

  readonly #onMessage = (message: unknown, handle: unknown): void => {
    if (isToPrimary(message)) this.#listener.message(message, handle);
    else if (isConnectionHandle(handle)) handle.close();
  };

  readonly #onInternalMessage = (message: unknown): void => {
    const arrived = acknowledgement(message);
    if (arrived === undefined) return;
    const parcel = this.#inFlight;
    if (parcel === undefined) return;
    this.#inFlight = undefined;
    if (arrived) parcel.delivered();
    else parcel.refused();
    this.#sendNext();
  };

  readonly #onError = (): void => {
    // Of a failed send or kill: the exit that follows says all there is to say.
  };

  /** A worker that cannot be talked to any more, for instance after its own process.disconnect(), must end. */
  readonly #onDisconnect = (): void => {
    if (this.cluster.isDead()) return;
    const timer = setTimeout(() => this.kill(), CHANNEL_END_LIMIT_MS);
    this.cluster.process.once('exit', () => clearTimeout(timer));
  };

  readonly #onExit = (code: number | null, signal: string | null): void => {
    this.#awaitChannelEnd(code, signal, CHANNEL_END_LIMIT_MS);
  };

  /** Only when the channel is read to its end are all acknowledgements in. */
  #awaitChannelEnd(code: number | null, signal: string | null, patienceMs: number): void {
    if (this.cluster.process.connected && patienceMs > 0) {
      setTimeout(() => this.#awaitChannelEnd(code, signal, patienceMs - CHANNEL_POLL_MS), CHANNEL_POLL_MS);
      return;
    }
    setImmediate(() => this.#end(code, signal));
  }

  #end(code: number | null, signal: string | null): void {
    if (this.#gone) return;
    this.#gone = true;
    this.cluster.off('message', this.#onMessage);
    this.cluster.process.off('internalMessage', this.#onInternalMessage);
    finishDisconnect(this.cluster.process);
    const undelivered = this.#inFlight === undefined ? this.#waiting : [this.#inFlight, ...this.#waiting];
    this.#inFlight = undefined;
    this.#waiting = [];
    this.#listener.gone({ code, signal, expected: this.#askedToLeave, undelivered });
  }
}

function ignoreSendError(): void {
  // A channel that fails is a worker that ends: gone() follows.
}
