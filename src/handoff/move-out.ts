// Moves the connections of this worker to another one, while their clients go on. One at a time they are held (no new
// command begins), settled (the engine has all they published), frozen, and sent; what does not arrive is thawed and goes on
// here as if nothing had been.
import type { SendHandle } from 'node:child_process';
import type { Connection } from '../connection/connection.ts';
import { factsOf } from '../gateway/upgrade.ts';
import { WebSocketTransport } from '../gateway/websocket-transport.ts';
import { Departure } from '../hub/departures.ts';
import type { Hub } from '../hub/hub.ts';
import type { Logger } from '../observe/logger.ts';
import type { Clock } from '../util/clock.ts';
import { messageOf } from '../util/errors.ts';
import type { ConnectionHandle } from '../util/native-handle.ts';
import { pause } from '../util/pause.ts';
import { ChannelPreparation } from './channel-preparation.ts';
import { everyConnection, type LoadPart, type MoveChoice, PartChoice } from './part-choice.ts';
import { encodeConnection } from './payload.ts';
import type { PeerMessage } from './peer-messages.ts';
import { Turnstile } from './turnstile.ts';

export interface MoveProgress {
  readonly moved: number;
  /** Still here. */
  readonly left: number;
  /** Why nothing more is moved; null while it goes on, empty when all was done that can be done. */
  readonly ended: string | null;
  /** It ended because connections did not arrive: none would, whatever their clients do. */
  readonly refused: boolean;
}

export interface MoveOutLink {
  /** The handle stays open here. */
  moveOut(
    move: { readonly to: number; readonly id: number; readonly payload: Buffer },
    handle: ConnectionHandle & SendHandle,
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
  /** Process id of the worker that takes them. */
  readonly to: number;
  /** Only the connection whose URL named this sid; empty for all. */
  readonly sid: string;
  /** Only those that make up a part of the load; null for all. */
  readonly part: LoadPart | null;
}

/** Node passes one handle at a time over a channel: more in flight only makes the pauses longer. */
const IN_FLIGHT = 4;
/** Held or waiting for a handler at the same time. */
const LANES = 32;
const QUERY_AFTER_MS = 1500;
const REPORT_INTERVAL_MS = 200;
const RETRY_PAUSE_MS = 50;
/** For a connection that the other worker was not ready for. */
const OBSTACLE_REST_MS = 500;
/** One after the other that did not arrive: something is wrong with the whole of it. */
const MAX_FAILURES_IN_A_ROW = 5;

interface Leaving {
  readonly connection: Connection;
  readonly transport: WebSocketTransport;
  readonly departure: Departure;
  readonly sinceMs: number;
  query: NodeJS.Timeout;
  readonly settle: (movedTo: string | undefined) => void;
}

interface Run {
  readonly order: MoveOrder;
  readonly preparation: ChannelPreparation;
  choice: MoveChoice;
  moved: number;
  failuresInARow: number;
  lastProgressMs: number;
  lastId: number;
  /** Connections that were held in vain: they are left alone for a while before they are held again. */
  readonly restUntilMs: WeakMap<Connection, number>;
  /** The latest reason why something else than its own work kept a connection here. */
  obstacle: string;
  stopped: string | undefined;
  refused: boolean;
}

export class MoveOut {
  readonly #deps: MoveOutDeps;
  readonly #options: MoveOutOptions;
  readonly #leaving = new Map<number, Leaving>();
  readonly #flight = new Turnstile(IN_FLIGHT);
  #run: Run | undefined;
  #nextId = 1;
  /** Of all runs: what one of them has asked may be answered during the next. */
  #nextRequest = 1;

  constructor(deps: MoveOutDeps, options: MoveOutOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get inFlight(): number {
    return this.#leaving.size;
  }

  /** Moves until nothing is left that can be moved; reports how it goes. A second order waits for nothing and is refused. */
  async move(order: MoveOrder): Promise<void> {
    const { link, clock, log, settle } = this.#deps;
    if (this.#run !== undefined) {
      const left = this.#candidates(order).length;
      link.reportMoves({ moved: 0, left, ended: 'others are being moved', refused: false });
      return;
    }
    const run: Run = {
      order,
      preparation: new ChannelPreparation({
        tell: (message) => link.tellPeer(order.to, message),
        nextRequest: () => this.#nextRequest++,
      }),
      choice: everyConnection,
      moved: 0,
      failuresInARow: 0,
      lastProgressMs: clock.monotonicMs(),
      lastId: 0,
      restUntilMs: new WeakMap(),
      obstacle: '',
      stopped: undefined,
      refused: false,
    };
    this.#run = run;
    const report = setInterval(() => void this.#report(run), REPORT_INTERVAL_MS);
    try {
      await this.#moveAll(run);
    } catch (error) {
      log.error({ err: error }, 'connections could not be moved');
      run.stopped ??= messageOf(error);
    } finally {
      clearInterval(report);
      run.preparation.close();
      await settle();
      link.tellPeer(order.to, { kind: 'settled', upTo: run.lastId });
      link.tellPeer(order.to, { kind: 'end' });
      this.#run = undefined;
      link.reportMoves({
        moved: run.moved,
        left: this.#left(run),
        ended: run.stopped ?? '',
        refused: run.refused,
      });
    }
  }

  /** What is on its way arrives or comes back; nothing else is moved. */
  stop(reason: string): void {
    if (this.#run !== undefined) this.#run.stopped ??= reason;
  }

  /** The connection lives on at that node. */
  moved(id: number, node: string): void {
    const leaving = this.#take(id);
    if (leaving === undefined) return;
    const { connection, departure, sinceMs } = leaving;
    this.#deps.observePause((this.#deps.clock.monotonicMs() - sinceMs) / 1000);
    this.#giveUp(connection, departure, node);
    leaving.settle(node);
  }

  /** The connection is still ours alone. */
  notMoved(id: number, reason: string): void {
    const leaving = this.#take(id);
    if (leaving === undefined) return;
    this.#deps.counters.moves.cell('returned').value += 1;
    this.#deps.log.warn({ reason }, 'connection could not be moved');
    if (this.#run !== undefined) this.#run.obstacle = reason;
    const { connection, transport, departure } = leaving;
    transport.thaw();
    departure.undo();
    connection.thaw();
    leaving.settle(undefined);
  }

  onPeer(message: PeerMessage): void {
    this.#run?.preparation.onAnswer(message);
  }

  /** A worker has ended: if it was to have ours, nothing more is sent there. */
  onPeerGone(pid: number): void {
    if (this.#run?.order.to !== pid) return;
    this.stop('the other worker has ended');
    this.#run.preparation.close();
  }

  /** The primary is gone: nobody can say whether what was on its way has arrived. Only one process may go on with it. */
  abandon(): void {
    this.stop('the primary is gone');
    for (const id of this.#leaving.keys()) {
      const leaving = this.#take(id);
      if (leaving === undefined) continue;
      this.#giveUp(leaving.connection, leaving.departure, '');
      leaving.settle('');
    }
  }

  async #moveAll(run: Run): Promise<void> {
    const { clock } = this.#deps;
    const { part } = run.order;
    const isStopped = (): boolean => run.stopped !== undefined;
    if (part !== null) {
      run.choice = await PartChoice.among(this.#candidates(run.order), part, clock, isStopped);
      run.lastProgressMs = clock.monotonicMs();
    }
    let emptyRounds = 0;
    // Handshakes that were under way when the order came may still bring some.
    while (run.stopped === undefined && emptyRounds < 2) {
      const left = run.choice.round(this.#candidates(run.order));
      // One that has just arrived here is still frozen.
      const queue = left.filter(({ isFrozen }) => !isFrozen);
      emptyRounds = left.length === 0 ? emptyRounds + 1 : 0;
      const movedBefore = run.moved;
      const lanes = Array.from({ length: Math.min(LANES, queue.length) }, async () => {
        for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
          if (isStopped()) return;
          if (!(await run.choice.admit(next, isStopped))) continue;
          await this.#try(run, next);
          if (next.movedTo === undefined) run.choice.stayed(next);
        }
      });
      await Promise.all(lanes);
      if ((run.order.sid !== '' && run.moved > 0) || run.choice.isDone) return;
      if (run.moved > movedBefore) run.lastProgressMs = clock.monotonicMs();
      else if (clock.monotonicMs() - run.lastProgressMs > this.#options.patienceMs) {
        run.stopped ??= `what is left cannot be moved now${run.obstacle === '' ? '' : `: ${run.obstacle}`}`;
      }
      if (run.stopped === undefined) await pause(RETRY_PAUSE_MS);
    }
  }

  #left(run: Run): number {
    return run.choice.left(this.#candidates(run.order), run.moved);
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
      run.obstacle = messageOf(error);
      run.restUntilMs.set(connection, this.#deps.clock.monotonicMs() + OBSTACLE_REST_MS);
      this.#deps.log.debug({ err: error }, 'connection cannot be moved now');
    }
  }

  async #moveOne(run: Run, connection: Connection): Promise<void> {
    const { transport } = connection;
    const mayMove = (): boolean => run.stopped === undefined && !connection.isClosed;
    if (!(transport instanceof WebSocketTransport) || !mayMove()) return;
    const { clock } = this.#deps;
    const { idleTimeoutMs } = this.#options;
    if (clock.monotonicMs() < (run.restUntilMs.get(connection) ?? 0)) return;
    await run.preparation.prepare(connection.subscriptions.keys());
    if (!mayMove()) return;
    try {
      const isIdle = await withinMs(connection.hold(), idleTimeoutMs);
      if (!isIdle) run.restUntilMs.set(connection, clock.monotonicMs() + idleTimeoutMs);
      if (!isIdle || !mayMove()) return;
      // What its last commands have begun.
      await run.preparation.prepare(connection.subscriptions.keys());
      await this.#deps.settle();
      await this.#flight.enter();
      try {
        if (!mayMove() || connection.isBusy) return;
        if (!run.preparation.isReady(connection.subscriptions.keys())) return;
        await this.#send(run, connection, transport);
      } finally {
        this.#flight.leave();
      }
    } finally {
      connection.letGo();
    }
  }

  /** All of it in one turn, up to the wait for what becomes of it. */
  async #send(run: Run, connection: Connection, transport: WebSocketTransport): Promise<void> {
    const { link, hub, clock, counters } = this.#deps;
    const sinceMs = clock.monotonicMs();
    connection.flush();
    const frozen = transport.freeze();
    if (typeof frozen === 'string') return;
    const departure = connection.isClosed ? undefined : Departure.of(hub, connection);
    connection.flush();
    const isReady =
      !connection.isClosed &&
      !connection.isBusy &&
      connection.hasWritten &&
      transport.pendingBytes === 0 &&
      departure !== undefined;
    if (!isReady) {
      transport.thaw();
      departure?.undo();
      return;
    }
    const id = this.#nextId;
    this.#nextId += 1;
    run.lastId = id;
    const payload = encodeConnection({
      facts: factsOf(transport),
      snapshot: connection.freeze(),
      subscriptions: departure.subscriptions,
      tail: frozen.tail,
    });
    const movedTo = await new Promise<string | undefined>((settle) => {
      const query = setTimeout(() => this.#ask(id), QUERY_AFTER_MS);
      this.#leaving.set(id, { connection, transport, departure, sinceMs, query, settle });
      link.moveOut({ to: run.order.to, id, payload }, frozen.handle);
    });
    if (movedTo === undefined) {
      run.failuresInARow += 1;
      if (run.failuresInARow < MAX_FAILURES_IN_A_ROW || run.stopped !== undefined) return;
      run.stopped = `connections do not arrive: ${run.obstacle}`;
      run.refused = true;
      return;
    }
    run.failuresInARow = 0;
    run.moved += 1;
    counters.moves.cell('moved').value += 1;
  }

  /** A handle that could not be taken is dropped without a word: whoever holds the other end is asked. */
  #ask(id: number): void {
    const leaving = this.#leaving.get(id);
    if (leaving === undefined) return;
    this.#deps.link.askAboutMove(id);
    leaving.query = setTimeout(() => this.#ask(id), QUERY_AFTER_MS);
  }

  #take(id: number): Leaving | undefined {
    const leaving = this.#leaving.get(id);
    if (leaving === undefined) return undefined;
    this.#leaving.delete(id);
    clearTimeout(leaving.query);
    return leaving;
  }

  #giveUp(connection: Connection, departure: Departure, node: string): void {
    // Its place in the registry until now: an order that came meanwhile goes after it.
    this.#deps.onGone(connection);
    departure.complete();
    this.#deps.hub.withdraw(connection);
    connection.forsake(node);
  }

  async #report(run: Run): Promise<void> {
    const { link, settle } = this.#deps;
    link.reportMoves({ moved: run.moved, left: this.#left(run), ended: null, refused: false });
    const upTo = run.lastId;
    await settle();
    if (this.#run === run) link.tellPeer(run.order.to, { kind: 'settled', upTo });
  }
}

/** False when it takes longer. */
async function withinMs(work: Promise<void>, limitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  const isDone = await Promise.race([work.then(() => true), tooLong]);
  clearTimeout(timer);
  return isDone;
}
