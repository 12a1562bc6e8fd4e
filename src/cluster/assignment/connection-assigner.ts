// Gives every accepted connection to a worker, and never loses one on the way: counted when assigned, held while nobody
// can take it, assigned again when its worker dies before it has it.
import type { Worker } from 'node:cluster';
import type { Socket } from 'node:net';
import type { Logger } from '../../observe/logger.ts';
import type { Clock } from '../../util/clock.ts';
import { freeze } from '../../util/native-handle.ts';
import { refuse, type Refusal } from '../admission/refusal.ts';
import type { RequestHead } from '../admission/request-head.ts';
import { StickyDoor } from './sticky-door.ts';
import type { ToPrimary, ToWorker } from '../ipc.ts';
import type { WorkerObserver } from '../supervisor.ts';
import type { Parcel, WorkerEnd, WorkerProcess } from '../worker-process.ts';

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

/**
 * A client is one from its first request on, by any transport; any other request is over soon, takes nobody's place and weighs
 * on no worker for long. `internal`: of back ends and operators, nothing of which has been read; they are not counted.
 */
type AssignmentKind = 'client' | 'request' | 'internal';

/** What the primary knows of one worker's connections. */
class Ledger {
  readonly process: WorkerProcess;
  routed = false;
  /** Has served, and may still answer what is no new client. */
  leaving = false;
  /** Does not answer: what it would get would wait with it. */
  suspended = false;
  /** Has too much to do: gets nothing as long as there is another one. */
  overloaded = false;
  pausedUntilMs = 0;
  clients = 0;
  requests = 0;
  readonly #clock: Clock;

  constructor(process: WorkerProcess, clock: Clock) {
    this.process = process;
    this.#clock = clock;
  }

  get routable(): boolean {
    return this.usable && !this.overloaded;
  }

  get usable(): boolean {
    return (
      this.routed &&
      !this.suspended &&
      this.process.connected &&
      this.pausedUntilMs <= this.#clock.monotonicMs()
    );
  }
}

class Assignment implements Parcel {
  readonly socket: Socket;
  readonly sid: string | undefined;
  readonly kind: AssignmentKind;
  readonly message: ToWorker;
  readonly #assigner: ConnectionAssigner;
  ledger: Ledger | undefined;
  attempts = 0;
  /** When held: the time to give up. */
  deadlineMs = 0;

  constructor(
    socket: Socket,
    { kind, sid, bytes }: Pick<Assignment, 'kind' | 'sid'> & { readonly bytes: Buffer },
    assigner: ConnectionAssigner,
  ) {
    this.socket = socket;
    this.kind = kind;
    this.sid = sid;
    const door = kind === 'internal' ? 'internal' : 'public';
    this.message = { type: 'assign', head: bytes, door, isClient: kind === 'client' };
    this.#assigner = assigner;
  }

  /** Of its worker's connections. */
  count(change: 1 | -1): void {
    if (this.ledger === undefined) return;
    if (this.kind === 'client') this.ledger.clients += change;
    else if (this.kind === 'request') this.ledger.requests += change;
  }

  handle(): ReturnType<typeof freeze> {
    return freeze(this.socket);
  }

  delivered(): void {
    // Only this process's copy of the descriptor: the connection lives on in the worker.
    this.socket.destroy();
    this.#assigner.settled();
  }

  refused(): void {
    this.#assigner.returned(this);
  }
}

export class ConnectionAssigner implements WorkerObserver {
  readonly #deps: AssignerDeps;
  readonly #policy: AssignPolicy;
  readonly #door = new StickyDoor();
  readonly #ledgers = new Map<Worker, Ledger>();
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
    let clients = 0;
    for (const ledger of this.#ledgers.values()) clients += ledger.clients;
    return clients;
  }

  get held(): number {
    return this.#held.size;
  }

  /** Connections that have not reached a worker. */
  get onTheWay(): number {
    let sum = this.#held.size;
    for (const { process } of this.#ledgers.values()) sum += process.undelivered;
    return sum;
  }

  /** Assigned to this worker and not reported gone. */
  clientsOf(process: WorkerProcess): number {
    return this.#ledgers.get(process.cluster)?.clients ?? 0;
  }

  /** To be called when it is forked: sticky looks at every worker of the cluster. */
  forked(process: WorkerProcess): void {
    const ledger = new Ledger(process, this.#deps.clock);
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
    ledger.clients = Math.max(0, ledger.clients - message.closed);
    ledger.requests = Math.max(0, ledger.requests - message.answered);
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
    const ledger = this.#ledgers.get(process.cluster);
    if (ledger !== undefined) ledger.clients += 1;
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
    const { ledger } = assignment;
    assignment.count(-1);
    assignment.ledger = undefined;
    if (ledger !== undefined) {
      if (!assignment.socket.destroyed) {
        ledger.pausedUntilMs = this.#deps.clock.monotonicMs() + this.#policy.refusedPauseMs;
        this.#deps.logger.warn({ pid: ledger.process.pid }, 'worker could not take a connection');
      }
    }
    if (assignment.socket.destroyed) return;
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
      if (!(parcel instanceof Assignment)) continue;
      parcel.count(-1);
      parcel.ledger = undefined;
      this.#assign(parcel);
    }
  }

  #assign(assignment: Assignment): void {
    if (assignment.socket.destroyed) return;
    const ledger = this.#choose(assignment);
    if (ledger === undefined) {
      this.#hold(assignment);
      return;
    }
    assignment.attempts += 1;
    assignment.ledger = ledger;
    // Counted here, not when the worker has it: a thousand at once would otherwise all go to the same one.
    assignment.count(1);
    ledger.process.deliver(assignment);
  }

  #choose(assignment: Assignment): Ledger | undefined {
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
    const least = ledgers.filter(({ usable }) => usable).toSorted(lighter)[0];
    if (least !== undefined) return least;
    if (!this.#draining) return undefined;
    return ledgers.find(({ leaving, process }) => leaving && process.connected);
  }

  /** Also one with too much to do: its figures are asked for just then. */
  #nextInTurn(): Ledger | undefined {
    const ledgers = [...this.#ledgers.values()];
    const usable = ledgers.filter((ledger) => ledger.usable);
    const able =
      usable.length > 0 ? usable : ledgers.filter(({ leaving, process }) => leaving && process.connected);
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

  #refuse(socket: Socket, refusal: Refusal): void {
    this.#deps.onRefused(refusal.reason);
    refuse(socket, refusal);
  }
}

/** For a request. Where there are few of them it goes where the next client would, so that a readiness check asks the right one. */
function lighter(one: Ledger, other: Ledger): number {
  return (
    Number(one.overloaded) - Number(other.overloaded) ||
    one.requests - other.requests ||
    one.clients - other.clients
  );
}

function isAssignment(parcel: Parcel): parcel is Assignment {
  return parcel instanceof Assignment;
}
