// The worker's side of the channel to the primary: start facts, life cycle, moves; with it the questions of the host and
// the report about connections, which have files of their own.
import cluster from 'node:cluster';
import { UnavailableError } from '../util/errors.ts';
import { finishDisconnect } from '../util/native-handle.ts';
import { ConnectionReport } from './connection-report.ts';
import { HostQuestions } from './host-questions.ts';
import {
  IPC_VERSION,
  isToWorker,
  type DoorKind,
  type StartFacts,
  type ToPrimary,
  type ToWorker,
  type MoveId,
  type MoveReport,
  type MoveOrder,
  type WorkerLoad,
} from './ipc.ts';
import type { SendHandle } from 'node:child_process';
import { VitalsReader } from './load/worker-vitals.ts';

export interface Assigned {
  /** Everything read from it so far. */
  readonly head: Buffer;
  readonly door: DoorKind;
  readonly isClient: boolean;
  readonly isOwn: boolean;
}

export type AssignedHandler = (assigned: Assigned, handle: unknown) => void;

/** About connections that move from here or to here. */
export interface MoveListener {
  move(order: MoveOrder): void;
  stop(): void;
  parked(id: number): void;
  moved(id: number, node: string): void;
  notMoved(id: number, reason: string): void;
  take(move: MoveId, payload: Uint8Array, handle: unknown): void;
  peer(from: number, body: unknown): void;
  peerGone(from: number): void;
}

/** How long the end of a primary may remain unnoticed. */
const CHANNEL_WATCH_MS = 1000;
/** For the end itself, on top of the time that an orphan has. */
const ORPHAN_END_MS = 5000;

export class WorkerLink {
  readonly start: StartFacts;
  readonly vitals = new VitalsReader();
  readonly connections = new ConnectionReport(post);
  readonly questions = new HostQuestions(post);
  #draining = false;
  #leavingDetail = '';
  #closeSomeHandler: ((count: number) => void) | undefined;
  #drainHandler: ((drain: { readonly durationMs: number }) => void) | undefined;
  #hurryHandler: (() => void) | undefined;
  #stopHandler: (() => void) | undefined;
  #orphanHandler: (() => void) | undefined;
  #orphanMs = 0;
  readonly #channelWatch: NodeJS.Timeout;
  #assignedHandler: AssignedHandler | undefined;
  #moveListener: MoveListener | undefined;

  private constructor(start: StartFacts) {
    this.start = start;
    process.on('message', this.#onMessage);
    process.on('disconnect', this.#onDisconnect);
    // Node does not say so when a handle was on its way to the primary in that moment.
    this.#channelWatch = setInterval(() => {
      if (!process.connected) finishDisconnect(process);
    }, CHANNEL_WATCH_MS).unref();
  }

  /** Greets the primary and waits for the start facts. Only in a forked worker. */
  static async open(): Promise<WorkerLink> {
    if (cluster.worker === undefined) throw new Error('not a worker process');
    // The primary decides about the end: a terminal or service manager signals the whole group.
    process.on('SIGINT', ignoreSignal);
    process.on('SIGTERM', ignoreSignal);
    // Otherwise node:cluster ends the process in the very moment the primary is gone, with no word to anybody.
    cluster.worker.exitedAfterDisconnect = true;
    return new Promise((resolve, reject) => {
      const onMessage = (message: unknown): void => {
        if (!isToWorker(message) || message.type !== 'start') return;
        removeListeners();
        resolve(new WorkerLink(message.facts));
      };
      const onDisconnect = (): void => {
        removeListeners();
        reject(new UnavailableError('the primary is gone'));
      };
      const removeListeners = (): void => {
        process.off('message', onMessage);
        process.off('disconnect', onDisconnect);
      };
      process.on('message', onMessage);
      process.on('disconnect', onDisconnect);
      post({ type: 'hello', version: IPC_VERSION });
    });
  }

  /** True while nobody new shall be taken: this worker ends, or the host leaves. */
  get draining(): boolean {
    return this.#draining || this.#leavingDetail !== '';
  }

  /** Why, for people. */
  get drainingDetail(): string {
    return this.#leavingDetail === '' ? 'this worker ends' : this.#leavingDetail;
  }

  /** From now on this worker gets connections. */
  ready(immovable = ''): void {
    post({ type: 'ready', immovable });
  }

  /** What to do about connections that move; see `handoff/`. */
  onMoves(listener: MoveListener): void {
    this.#moveListener = listener;
  }

  /** Gives the primary a copy of a connection to keep; answered by `parked`. */
  park(id: number, handle: SendHandle): void {
    if (process.connected) process.send?.({ type: 'park', id }, handle, undefined, ignoreSendError);
  }

  /** The primary gives its copy up. */
  unpark(id: number): void {
    post({ type: 'unpark', id });
  }

  /** Sends a connection towards another worker; this process's copy stays open. `parked`: see MoveOutLink. */
  moveOut(
    move: { readonly to: number; readonly id: number; readonly parked: number; readonly payload: Buffer },
    handle: SendHandle | undefined,
  ): void {
    if (process.connected) process.send?.({ type: 'move-out', ...move }, handle, undefined, ignoreSendError);
  }

  askAboutMove(id: number): void {
    post({ type: 'move-query', id });
  }

  /** `told` is called when the message is with the kernel: from then on the primary will hear it. */
  arrived(move: MoveId, node: string, told: (error: Error | null) => void): void {
    const message: ToPrimary = { type: 'arrived', ...move, node };
    if (process.connected) process.send?.(message, undefined, undefined, told);
    else told(new UnavailableError('the primary is gone'));
  }

  declined(move: MoveId, reason: string): void {
    post({ type: 'declined', ...move, reason });
  }

  tellPeer(to: number, body: unknown): void {
    post({ type: 'peer', to, body });
  }

  reportMoves(report: MoveReport): void {
    post({ type: 'moves', ...report });
  }

  /**
   * This worker cannot serve; the caller ends the process. `isConfig`: no other attempt will do better, so that a gateway
   * which has never served ends instead of trying.
   */
  fail(reason: string, isConfig = false): void {
    post({ type: 'failed', reason, isConfig });
  }

  /** Leaves what a question of this kind would be answered with, for the time after the end of this process. */
  lastWords(kind: string, value: unknown): void {
    post({ type: 'last-words', kind, value });
  }

  /** Close connections in slices over `durationMs`, then end the process. */
  onDrain(handler: (drain: { readonly durationMs: number }) => void): void {
    this.#drainHandler = handler;
  }

  /** Close so many connections; the process stays. */
  onCloseSome(handler: (count: number) => void): void {
    this.#closeSomeHandler = handler;
  }

  /** Close everything now, then end the process. */
  onHurry(handler: () => void): void {
    this.#hurryHandler = handler;
  }

  /** End the process; there is nothing to wait for. */
  onStop(handler: () => void): void {
    this.#stopHandler = handler;
  }

  /**
   * The primary is gone. Without a handler the process ends at once with code 1, with one at the latest five seconds after
   * `limitMs`.
   */
  onOrphaned(limitMs: number, handler: () => void): void {
    this.#orphanMs = limitMs;
    this.#orphanHandler = handler;
  }

  onAssigned(handler: AssignedHandler): void {
    this.#assignedHandler = handler;
  }

  /** How many connections a drain still has to close, and how many it was told to so far. */
  reportDraining(remaining: number, ordered: number): void {
    post({ type: 'draining', remaining, ordered });
  }

  reportLoad(load: WorkerLoad): void {
    post({ type: 'load', ...load });
  }

  /** Sends what is unsaid and stops listening, so that the process can end by itself. May be called twice. */
  close(): void {
    this.connections.flush();
    this.questions.close();
    clearInterval(this.#channelWatch);
    process.off('message', this.#onMessage);
    process.off('disconnect', this.#onDisconnect);
    process.off('SIGINT', ignoreSignal);
    process.off('SIGTERM', ignoreSignal);
    if (process.connected) process.disconnect();
  }

  readonly #onMessage = (message: unknown, handle: unknown): void => {
    if (isToWorker(message)) this.#take(message, handle);
  };

  #take(message: ToWorker, handle: unknown): void {
    switch (message.type) {
      case 'start':
        return;
      case 'ping':
        post({ type: 'pong', id: message.id, vitals: this.vitals.read() });
        return;
      case 'assign':
        this.#onAssign(message, handle);
        return;
      case 'drain':
        this.#leave(this.#drainHandler, { durationMs: message.durationMs });
        return;
      case 'leaving':
        this.#leavingDetail = message.detail;
        return;
      case 'close-some':
        this.#closeSomeHandler?.(message.count);
        return;
      case 'hurry':
        this.#leave(this.#hurryHandler, undefined);
        return;
      case 'stop':
        this.#leave(this.#stopHandler, undefined);
        return;
      case 'question':
        void this.questions.onQuestion(message.id, message.kind, message.params);
        return;
      case 'move':
        this.#moveListener?.move(message);
        return;
      case 'move-stop':
        this.#moveListener?.stop();
        return;
      case 'move-in': {
        const { from, id, payload } = message;
        if (this.#moveListener === undefined) this.declined({ from, id }, 'not ready for it');
        else this.#moveListener.take({ from, id }, payload, handle);
        return;
      }
      case 'parked':
        this.#moveListener?.parked(message.id);
        return;
      case 'moved':
        for (const { id, node } of message.moves) this.#moveListener?.moved(id, node);
        return;
      case 'not-moved':
        this.#moveListener?.notMoved(message.id, message.reason);
        return;
      case 'peer':
        this.#moveListener?.peer(message.from, message.body);
        return;
      case 'peer-gone':
        this.#moveListener?.peerGone(message.from);
        return;
      case 'collected':
        this.questions.onCollected(message.id, message.answers);
        return;
    }
  }

  #onAssign(
    { head, door, isClient, isOwn = false }: ToWorker & { readonly type: 'assign' },
    handle: unknown,
  ): void {
    this.#assignedHandler?.({ head: bufferOf(head), door, isClient, isOwn }, handle);
  }

  #leave<Order>(handler: ((order: Order) => void) | undefined, order: Order): void {
    this.#draining = true;
    // Not far enough in its start to have anything to take down.
    if (handler === undefined) process.exit(0);
    handler(order);
  }

  readonly #onDisconnect = (): void => {
    if (this.#orphanHandler === undefined) process.exit(1);
    // It holds nothing up: whatever else keeps the process alive is what it ends.
    setTimeout(() => process.exit(1), this.#orphanMs + ORPHAN_END_MS).unref();
    this.#orphanHandler();
  };
}

function ignoreSignal(): void {
  // Only so that the default, to die, does not happen.
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function post(message: ToPrimary): void {
  // The primary may die at any moment; 'disconnect' says so, a failed send adds nothing.
  if (process.connected) process.send?.(message, undefined, undefined, ignoreSendError);
}

function ignoreSendError(): void {
  // See post().
}
