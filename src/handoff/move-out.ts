// Moves the connections of this worker to another one, while their clients go on. One at a time they are held (no new
// command begins), settled (the engine has all they published), written down, and sent; what does not arrive goes on here as
// if nothing had been.
import type { SendHandle } from 'node:child_process';
import type { Connection } from '../connection/connection.ts';
import { WebSocketTransport } from '../gateway/websocket-transport.ts';
import type { Hub } from '../hub/hub.ts';
import type { Logger } from '../observe/logger.ts';
import type { Clock } from '../util/clock.ts';
import { messageOf } from '../util/errors.ts';
import type { ConnectionHandle } from '../util/native-handle.ts';
import { endsWithin, pause } from '../util/pause.ts';
import { ChannelPreparation } from './channel-preparation.ts';
import { InFlight } from './in-flight.ts';
import { Leaving, type ParkingPlace } from './leaving.ts';
import { MoveCourse } from './move-course.ts';
import { everyConnection, type LoadPart, type MoveChoice, PartChoice } from './part-choice.ts';
import type { PeerMessage } from './peer-messages.ts';
import { Turnstile } from './turnstile.ts';

export interface MoveProgress {
  /** Of the order that it is about. */
  readonly number: number;
  readonly moved: number;
  /** Still here. */
  readonly left: number;
  /** Why nothing more is moved; null while it goes on, empty when all was done that can be done. */
  readonly ended: string | null;
  /** It ended because connections did not arrive: none would, whatever their clients do. */
  readonly refused: boolean;
}

export interface MoveOutLink {
  /** The primary keeps a copy: answered by parked, or by not-moved. */
  park(id: number, handle: ConnectionHandle & SendHandle): void;
  /** The primary gives its copy up. */
  unpark(id: number): void;
  /** `parked`: the number under which the primary has it; 0 when the handle comes along, which stays open here. */
  moveOut(
    move: { readonly to: number; readonly id: number; readonly parked: number; readonly payload: Buffer },
    handle: (ConnectionHandle & SendHandle) | undefined,
  ): void;
  /** Whether that connection has got anywhere; answered by moved, not-moved, or not at all while it is on its way. */
  askAboutMove(id: number): void;
  tellPeer(to: number, message: PeerMessage): void;
  reportMoves(progress: MoveProgress): void;
}

export interface MoveOutDeps {
  readonly link: MoveOutLink;
  readonly hub: Hub;
  readonly clock: Clock;
  readonly log: Logger;
  readonly connections: () => readonly Connection[];
  /** See EngineClient. */
  readonly settle: () => Promise<void>;
  /** It lives on elsewhere: what this worker holds for it is another's now. */
  readonly onGone: (connection: Connection) => void;
  readonly counters: { readonly moves: { cell(...labels: string[]): { value: number } } };
  /** From the freeze to the news of its arrival. */
  readonly observePause: (seconds: number) => void;
}

export interface MoveOutOptions {
  /** How long a handler that owes a reply may keep its connection here at each attempt. */
  readonly idleTimeoutMs: number;
  /** Without any progress for so long, what is left stays. */
  readonly patienceMs: number;
}

export interface MoveOrder {
  readonly number: number;
  /** Process id of the worker that takes them. */
  readonly to: number;
  /** Only the connection whose URL named this sid; empty for all. */
  readonly sid: string;
  /** Only those that make up a part of the load; null for all. */
  readonly part: LoadPart | null;
}

/**
 * Node passes one handle at a time over a channel: so many keep it busy, those included of whose arrival one has not heard yet;
 * with twice as many pauses grow more than the rate.
 */
const IN_FLIGHT = 24;
/** Held or waiting for a handler at the same time. */
const LANES = 128;
/** Connections whose channels are prepared in one message. */
const AHEAD = 128;
const QUERY_AFTER_MS = 1500;
const REPORT_INTERVAL_MS = 200;
const RETRY_PAUSE_MS = 50;
/** For a connection that the other worker was not ready for. */
const OBSTACLE_REST_MS = 500;

interface Run {
  readonly order: MoveOrder;
  readonly preparation: ChannelPreparation;
  readonly course: MoveCourse<Connection>;
  choice: MoveChoice;
  lastId: number;
}

export class MoveOut {
  readonly #deps: MoveOutDeps;
  readonly #options: MoveOutOptions;
  readonly #inFlight: InFlight<Leaving | 'to be parked'>;
  readonly #turnstile = new Turnstile(IN_FLIGHT);
  readonly #parking: ParkingPlace = {
    park: (handle) => this.#park(handle),
    unpark: (number) => this.#deps.link.unpark(number),
  };
  #run: Run | undefined;
  /** Of all runs: what one of them has asked may be answered during the next. */
  #nextRequest = 1;

  constructor(deps: MoveOutDeps, options: MoveOutOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#inFlight = new InFlight((id) => deps.link.askAboutMove(id), QUERY_AFTER_MS);
  }

  /** Moves until nothing is left that can be moved; reports how it goes. A second order waits for nothing and is refused. */
  async move(order: MoveOrder): Promise<void> {
    const { link, clock, log, settle } = this.#deps;
    if (this.#run !== undefined) {
      const { number } = order;
      const left = this.#candidates(order).length;
      link.reportMoves({ number, moved: 0, left, ended: 'others are being moved', refused: false });
      return;
    }
    const run: Run = {
      order,
      preparation: new ChannelPreparation({
        tell: (message) => link.tellPeer(order.to, message),
        nextRequest: () => this.#nextRequest++,
      }),
      course: new MoveCourse(clock, this.#options.patienceMs),
      choice: everyConnection,
      lastId: 0,
    };
    this.#run = run;
    const report = setInterval(() => void this.#report(run), REPORT_INTERVAL_MS);
    try {
      await this.#moveAll(run);
    } catch (error) {
      log.error({ err: error }, 'connections could not be moved');
      run.course.stop(messageOf(error));
    } finally {
      clearInterval(report);
      run.preparation.close();
      await settle();
      link.tellPeer(order.to, { kind: 'settled', upTo: run.lastId });
      link.tellPeer(order.to, { kind: 'end' });
      this.#run = undefined;
      this.#tell(run, run.course.stopped ?? '');
    }
  }

  /** What is on its way arrives or comes back; nothing else is moved. */
  stop(reason: string): void {
    this.#run?.course.stop(reason);
    // A worker that hangs does not answer.
    this.#run?.preparation.close();
  }

  /** The primary has a copy of it. */
  parked(id: number): void {
    this.#inFlight.settle(id, '');
  }

  /** The connection lives on at that node. */
  moved(id: number, node: string): void {
    const leaving = this.#inFlight.settle(id, node);
    if (leaving === undefined || leaving === 'to be parked') return;
    this.#deps.observePause((this.#deps.clock.monotonicMs() - leaving.sinceMs) / 1000);
    this.#giveUp(leaving, node);
  }

  /** The connection is still ours alone; or lost, if its only copy was on its way. */
  notMoved(id: number, reason: string): void {
    const leaving = this.#inFlight.settle(id, undefined);
    if (leaving === undefined) return;
    this.#run?.course.hindered(reason);
    if (leaving === 'to be parked') return;
    this.#deps.counters.moves.cell(typeof leaving.copy === 'number' ? 'lost' : 'returned').value += 1;
    this.#deps.log.warn({ reason }, 'connection could not be moved');
    leaving.undo();
  }

  onPeer(message: PeerMessage): void {
    this.#run?.preparation.onAnswer(message);
  }

  /** A worker has ended: if it was to have ours, nothing more is sent there. */
  onPeerGone(pid: number): void {
    if (this.#run?.order.to !== pid) return;
    this.stop('the other worker has ended');
  }

  /** The primary is gone: nobody can say whether what was on its way has arrived. Only one process may go on with it. */
  abandon(): void {
    this.stop('the primary is gone');
    for (const id of this.#inFlight.ids) {
      const leaving = this.#inFlight.settle(id, '');
      if (leaving !== undefined && leaving !== 'to be parked') this.#giveUp(leaving, '');
    }
  }

  async #moveAll(run: Run): Promise<void> {
    const { course } = run;
    const { part, sid } = run.order;
    const isStopped = (): boolean => course.isStopped;
    if (part !== null) {
      run.choice = await PartChoice.among(this.#candidates(run.order), part, this.#deps.clock, isStopped);
      course.begins();
    }
    let emptyRounds = 0;
    // Handshakes that were under way when the order came may still bring some.
    while (!course.isStopped && emptyRounds < 2) {
      const left = run.choice.round(this.#candidates(run.order));
      // One that has just arrived here is still frozen.
      const queue = left.filter(({ isFrozen }) => !isFrozen);
      emptyRounds = left.length === 0 ? emptyRounds + 1 : 0;
      if (part === null) run.preparation.prepareAhead(channelsOf(queue.slice(-2 * AHEAD)));
      const lanes = Array.from({ length: Math.min(LANES, queue.length) }, async () => {
        for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
          if (isStopped()) return;
          const isTime = part === null && queue.length % AHEAD === 0;
          if (isTime) run.preparation.prepareAhead(channelsOf(queue.slice(-2 * AHEAD, -AHEAD)));
          if (!(await run.choice.admit(next, isStopped))) continue;
          await this.#try(run, next);
          if (next.movedTo === undefined) run.choice.stayed(next);
        }
      });
      await Promise.all(lanes);
      if ((sid !== '' && course.moved > 0) || run.choice.isDone) return;
      course.roundEnded();
      if (!course.isStopped) await pause(RETRY_PAUSE_MS);
    }
  }

  #left(run: Run): number {
    return run.choice.left(this.#candidates(run.order), run.course.moved);
  }

  #candidates({ sid }: MoveOrder): readonly Connection[] {
    return this.#deps
      .connections()
      .filter(
        ({ transport, session }) =>
          transport instanceof WebSocketTransport && (sid === '' || sid === session.sid),
      );
  }

  /** A channel that the other worker cannot follow now holds up those that are in it, not all. */
  async #try(run: Run, connection: Connection): Promise<void> {
    try {
      await this.#moveOne(run, connection);
    } catch (error) {
      run.course.hindered(messageOf(error));
      run.course.rest(connection, OBSTACLE_REST_MS);
      this.#deps.log.debug({ err: error }, 'connection cannot be moved now');
    }
  }

  async #moveOne(run: Run, connection: Connection): Promise<void> {
    const { transport } = connection;
    const mayMove = (): boolean => !run.course.isStopped && !connection.isClosed;
    if (!(transport instanceof WebSocketTransport) || !mayMove()) return;
    const { idleTimeoutMs } = this.#options;
    if (run.course.isResting(connection)) return;
    await run.preparation.prepare(connection.subscriptions.keys());
    if (!mayMove()) return;
    try {
      const isIdle = await endsWithin(connection.hold(), idleTimeoutMs);
      if (!isIdle) run.course.rest(connection, idleTimeoutMs);
      if (!isIdle || !mayMove()) return;
      // What its last commands have begun.
      await run.preparation.prepare(connection.subscriptions.keys());
      await this.#deps.settle();
      await this.#turnstile.enter();
      try {
        if (!mayMove() || connection.isBusy) return;
        if (!run.preparation.isReady(connection.subscriptions.keys())) return;
        await this.#send(run, connection, transport);
      } finally {
        this.#turnstile.leave();
      }
    } finally {
      connection.letGo();
    }
  }

  async #send(run: Run, connection: Connection, transport: WebSocketTransport): Promise<void> {
    let written = Leaving.of(connection, transport, this.#deps);
    if (written === 'unsent') {
      const mayLeave = (): boolean => !run.course.isStopped;
      written = await Leaving.withUnsent(connection, transport, this.#deps, this.#parking, mayLeave);
    }
    if (written === undefined) return;
    const { leaving, payload } = written;
    const { copy } = leaving;
    const { link, counters } = this.#deps;
    const isParked = typeof copy === 'number';
    const movedTo = await this.#inFlight.send(leaving, (id) => {
      run.lastId = id;
      const move = { to: run.order.to, id, parked: isParked ? copy : 0, payload };
      link.moveOut(move, isParked ? undefined : copy);
    });
    if (movedTo === undefined) {
      run.course.returned();
      return;
    }
    run.course.arrived();
    counters.moves.cell('moved').value += 1;
  }

  async #park(handle: ConnectionHandle & SendHandle): Promise<number | undefined> {
    let number = 0;
    const isParked = await this.#inFlight.send('to be parked', (id) => {
      number = id;
      this.#deps.link.park(id, handle);
    });
    return isParked === undefined ? undefined : number;
  }

  #giveUp(leaving: Leaving, node: string): void {
    // Its place in the registry until now: an order that came meanwhile goes after it.
    this.#deps.onGone(leaving.connection);
    leaving.complete(this.#deps.hub, node);
  }

  #tell(run: Run, ended: string | null): void {
    const { moved, isRefused } = run.course;
    const { number } = run.order;
    this.#deps.link.reportMoves({ number, moved, left: this.#left(run), ended, refused: isRefused });
  }

  async #report(run: Run): Promise<void> {
    const { link, settle } = this.#deps;
    this.#tell(run, null);
    const upTo = run.lastId;
    await settle();
    if (this.#run === run) link.tellPeer(run.order.to, { kind: 'settled', upTo });
  }
}

function* channelsOf(connections: readonly Connection[]): Generator<string> {
  for (const { subscriptions } of connections) yield* subscriptions.keys();
}
