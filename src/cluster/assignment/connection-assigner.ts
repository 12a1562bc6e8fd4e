// Gives every accepted connection to a worker, and never loses one on the way: counted when assigned, held while nobody
// can take it, assigned again when its worker dies before it has it.
import type { Worker } from 'node:cluster';
import type { Socket } from 'node:net';
import type { Logger } from '../../observe/logger.ts';
import type { Clock } from '../../util/clock.ts';
import { freeze } from '../../util/native-handle.ts';
import { refuse, type Refusal } from '../admission/refusal.ts';
import type { RequestHead } from '../admission/request-head.ts';
import type { ToPrimary } from '../ipc.ts';
import type { WorkerObserver } from '../supervisor.ts';
import type { Parcel, WorkerEnd, WorkerProcess } from '../worker-process.ts';
import { Assignment, type AssignmentListener, isAssignment } from './assignment.ts';
import { StickyDoor } from './sticky-door.ts';
import { type AssignmentKind, lightest, WorkerLedger } from './worker-ledger.ts';

export interface AssignPolicy {
  /** How long a connection waits for a routable worker, and how many may. */
  readonly holdMs: number;
  readonly maxHeld: number;
  /** A worker that could not take a connection gets no other for so long. */
  readonly refusedPauseMs: number;
  /** Workers that may refuse one connection before its client is told to come back. */
  readonly maxAttempts: number;
}

export const defaultAssignPolicy: AssignPolicy = {
  holdMs: 5000,
  maxHeld: 4096,
  refusedPauseMs: 1000,
  maxAttempts: 4,
};

interface AssignerDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onRefused: (reason: string) => void;
  /** One that was on its way to a worker is not any more. */
  readonly onSettled: () => void;
}

const NOTHING = Buffer.alloc(0);
const NO_WORKER: Refusal = { status: 503, reason: 'no worker is ready', retryAfterS: 1 };

export class ConnectionAssigner implements WorkerObserver, AssignmentListener {
  readonly #deps: AssignerDeps;
  readonly #policy: AssignPolicy;
  readonly #door = new StickyDoor();
  readonly #ledgers = new Map<Worker, WorkerLedger>();
  /** Oldest first. */
  readonly #held = new Set<Assignment>();
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;
  #draining = false;
  #closed = false;

  constructor(deps: AssignerDeps, policy: AssignPolicy) {
    this.#deps = deps;
    this.#policy = policy;
  }

  /** Of all workers, those on their way included. */
  get clients(): number {
    return this.#sum(({ clients }) => clients);
  }

  /** The same of requests that are not answered. */
  get requests(): number {
    return this.#sum(({ requests }) => requests);
  }

  get held(): number {
    return this.#held.size;
  }

  /** Connections that have not reached a worker. */
  get onTheWay(): number {
    return this.#held.size + this.#sum(({ process }) => process.undelivered);
  }

  /** Assigned to this worker and not reported gone. */
  clientsOf(process: WorkerProcess): number {
    return this.#ledgers.get(process.cluster)?.clients ?? 0;
  }

  /** To be called when it is forked: sticky looks at every worker of the cluster. */
  forked(process: WorkerProcess): void {
    const ledger = new WorkerLedger(process, this.#deps.clock);
    this.#ledgers.set(process.cluster, ledger);
    this.#door.admit(process.cluster, ledger);
  }

  routed(process: WorkerProcess, routed: boolean): void {
    const ledger = this.#ledgers.get(process.cluster);
    if (ledger === undefined) return;
    ledger.routed = routed;
    ledger.leaving = !routed;
    if (routed) this.#assignHeld();
    else this.#reassign(process.takeBack(isAssignment));
  }

  /** Keeps new connections away from a worker that does not answer, until it does. */
  suspend(process: WorkerProcess, suspended: boolean): void {
    const ledger = this.#ledgers.get(process.cluster);
    if (ledger === undefined) return;
    ledger.suspended = suspended;
    if (suspended) this.#reassign(process.takeBack(isAssignment));
    else this.#assignHeld();
  }

  /** What a worker says of its connections, and whether it takes more. */
  message(process: WorkerProcess, message: ToPrimary): void {
    const ledger = this.#ledgers.get(process.cluster);
    if (ledger === undefined) return;
    if (message.type === 'load') ledger.overloaded = message.overloaded;
    if (message.type !== 'connections') return;
    ledger.ended(message);
    for (const sid of message.boundSids) this.#door.bind(process.cluster, sid);
    for (const sid of message.unboundSids) this.#door.unbind(process.cluster, sid);
  }

  /** What had not reached it goes to others. */
  gone(process: WorkerProcess, { undelivered }: WorkerEnd): void {
    this.#ledgers.delete(process.cluster);
    this.#door.forget(process.cluster);
    if (undelivered.length > 0) {
      this.#deps.logger.info(
        { pid: process.pid, connections: undelivered.length },
        'connections assigned again',
      );
    }
    this.#reassign(undelivered);
  }

  /** A client goes on at this worker; the one that had it says by itself that it is gone there. */
  arrivedAt(process: WorkerProcess): void {
    this.#ledgers.get(process.cluster)?.add('client');
  }

  /** There are workers to take a connection, and all of them have too much to do. */
  get isOverloaded(): boolean {
    const usable = [...this.#ledgers.values()].filter((ledger) => ledger.usable);
    return usable.length > 0 && usable.every(({ overloaded }) => overloaded);
  }

  overloaded(process: WorkerProcess): boolean {
    return this.#ledgers.get(process.cluster)?.overloaded ?? false;
  }

  /** Takes the socket of a new client over; `bytes` is everything read from it. */
  accept(socket: Socket, head: RequestHead, bytes: Buffer): void {
    this.#take(socket, 'client', head.sid, bytes);
  }

  /** The same for a request that begins no connection. */
  acceptRequest(socket: Socket, head: RequestHead, bytes: Buffer): void {
    this.#take(socket, 'request', head.sid, bytes);
  }

  /** The same for one of the internal door, of which nothing has been read: workers take turns. */
  acceptInternal(socket: Socket): void {
    this.#take(socket, 'internal', undefined, NOTHING);
  }

  settled(): void {
    this.#deps.onSettled();
  }

  /** A worker handed it back: try others. */
  returned(assignment: Assignment): void {
    const ledger = assignment.takeBack();
    if (assignment.socket.destroyed) return;
    if (ledger !== undefined) {
      ledger.pause(this.#policy.refusedPauseMs);
      this.#deps.logger.warn({ pid: ledger.process.pid }, 'worker could not take a connection');
    }
    if (assignment.attempts >= this.#policy.maxAttempts) this.#refuse(assignment.socket, NO_WORKER);
    else this.#assign(assignment);
  }

  /** The whole host leaves: admission refuses new clients, and workers that leave answer all others. */
  drain(): void {
    this.#draining = true;
    this.#refuseHeld();
  }

  /** Refuses whoever is still held. May be called twice. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#refuseHeld();
    this.#door.close();
  }

  #refuseHeld(): void {
    for (const assignment of this.#held) this.#refuse(assignment.socket, NO_WORKER);
    this.#held.clear();
  }

  #take(socket: Socket, kind: AssignmentKind, sid: string | undefined, bytes: Buffer): void {
    if (freeze(socket) === undefined) return;
    this.#assign(new Assignment(socket, { kind, sid, bytes }, this));
  }

  #reassign(parcels: readonly Parcel[]): void {
    for (const parcel of parcels) {
      if (!isAssignment(parcel)) continue;
      parcel.takeBack();
      this.#assign(parcel);
    }
  }

  #assign(assignment: Assignment): void {
    if (assignment.socket.destroyed) return;
    const ledger = this.#choose(assignment);
    if (ledger === undefined) this.#hold(assignment);
    else assignment.sendTo(ledger);
  }

  #choose(assignment: Assignment): WorkerLedger | undefined {
    const { sid } = assignment;
    if (assignment.kind === 'internal') return this.#nextInTurn();
    if (sid !== undefined && assignment.attempts === 0) {
      const worker = this.#door.choose(sid);
      const ledger = worker === undefined ? undefined : this.#ledgers.get(worker);
      // A session's own worker takes its requests while it is leaving, too.
      if (ledger !== undefined && (ledger.routable || this.#door.owns(ledger.process.cluster, sid)))
        return ledger;
    }
    if (assignment.kind === 'client') {
      const worker = this.#door.choose(undefined);
      const ledger = worker === undefined ? undefined : this.#ledgers.get(worker);
      if (ledger?.routable === true) return ledger;
    }
    const ledgers = [...this.#ledgers.values()];
    // Of clients only those who were let in before all workers had too much to do.
    return (
      lightest(ledgers) ?? (this.#draining ? ledgers.find(({ answersStill }) => answersStill) : undefined)
    );
  }

  /** Also one with too much to do: its figures are asked for just then. */
  #nextInTurn(): WorkerLedger | undefined {
    const ledgers = [...this.#ledgers.values()];
    const usable = ledgers.filter((ledger) => ledger.usable);
    const able = usable.length > 0 ? usable : ledgers.filter(({ answersStill }) => answersStill);
    this.#turn += 1;
    return able[this.#turn % Math.max(1, able.length)];
  }

  #hold(assignment: Assignment): void {
    if (this.#closed || this.#held.size >= this.#policy.maxHeld) {
      this.#refuse(assignment.socket, NO_WORKER);
      return;
    }
    if (assignment.deadlineMs === 0) {
      assignment.deadlineMs = this.#deps.clock.monotonicMs() + this.#policy.holdMs;
    }
    this.#held.add(assignment);
    this.#armTimer();
  }

  #assignHeld(): void {
    const held = [...this.#held];
    this.#held.clear();
    for (const assignment of held) this.#assign(assignment);
  }

  #armTimer(): void {
    // Short, because a worker may also become routable by the mere passing of its pause.
    this.#timer ??= setTimeout(this.#onTimer, Math.min(this.#policy.holdMs, this.#policy.refusedPauseMs) / 2);
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    this.#assignHeld();
    const nowMs = this.#deps.clock.monotonicMs();
    for (const assignment of this.#held) {
      if (assignment.deadlineMs > nowMs) continue;
      this.#held.delete(assignment);
      this.#refuse(assignment.socket, NO_WORKER);
    }
    if (this.#held.size > 0) this.#armTimer();
  };

  #sum(read: (ledger: WorkerLedger) => number): number {
    let sum = 0;
    for (const ledger of this.#ledgers.values()) sum += read(ledger);
    return sum;
  }

  #refuse(socket: Socket, refusal: Refusal): void {
    this.#deps.onRefused(refusal.reason);
    refuse(socket, refusal);
  }
}
