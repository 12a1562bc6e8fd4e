// Carries orders about many connections out without holding up the event loop: a few at a time, and no faster than the
// order says.
import type { Connection } from '../connection/connection.ts';
import { TokenBucket } from '../util/token-bucket.ts';

export interface Order {
  readonly connections: readonly Connection[];
  /** At most so many connections a second; 0: as fast as it goes. */
  readonly perSecond: number;
  /** Not called for connections that have ended by then. */
  readonly act: (connection: Connection) => void | Promise<void>;
  /** Instead, for a connection that has been moved to another node meanwhile. */
  readonly forward?: (connection: Connection, node: string) => void | Promise<void>;
}

export interface OrdersDeps {
  readonly nowMs: () => number;
  /** An action failed, or a slow order was hurried because too many were under way. */
  readonly onTrouble: (error: unknown) => void;
}

/** Longest time before other work of the event loop gets its turn. */
const SLICE_MS = 4;
/** Actions of one order that wait for something at the same time. */
const MAX_PENDING = 64;
/** Each keeps a list of connections; beyond it the oldest order loses its pace, not its effect. */
const MAX_ORDERS = 32;
/** How finely a pace is spread. */
const PACE_MS = 50;

interface RunningOrder {
  readonly order: Order;
  readonly pace: TokenBucket | undefined;
  next: number;
  pending: number;
  hurried: boolean;
}

export class Orders {
  readonly #deps: OrdersDeps;
  readonly #running = new Set<RunningOrder>();
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #closed = false;

  constructor(deps: OrdersDeps) {
    this.#deps = deps;
  }

  /** Orders that are not done. */
  get size(): number {
    return this.#running.size;
  }

  /** Begins at once; what is left after a few milliseconds goes on in later turns. */
  run(order: Order): void {
    if (this.#closed || order.connections.length === 0) return;
    const { perSecond } = order;
    const burst = Math.max(1, (perSecond * PACE_MS) / 1000);
    const pace = perSecond > 0 ? new TokenBucket(perSecond, burst, this.#deps.nowMs()) : undefined;
    this.#running.add({ order, pace, next: 0, pending: 0, hurried: false });
    this.#hurryOldest();
    this.advance();
  }

  /** Gives up what is not done yet: the connections are about to go anyway. New orders are carried out. */
  abandon(): void {
    this.#running.clear();
  }

  close(): void {
    this.#closed = true;
    this.abandon();
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = undefined;
    this.#immediate = undefined;
  }

  /** Called by the timers; tests call it with their own clock. */
  advance(): void {
    const untilMs = performance.now() + SLICE_MS;
    let hasMoreNow = false;
    let hasMoreLater = false;
    for (const running of this.#running) {
      const outcome = this.#step(running, untilMs);
      hasMoreNow ||= outcome === 'out_of_time';
      hasMoreLater ||= outcome === 'out_of_pace';
    }
    if (hasMoreNow) this.#advanceNextTurn();
    if (hasMoreLater && this.#timer === undefined && !this.#closed) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.advance();
      }, PACE_MS);
    }
  }

  #advanceNextTurn(): void {
    if (this.#immediate !== undefined || this.#closed) return;
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined;
      this.advance();
    });
  }

  #step(running: RunningOrder, untilMs: number): 'done' | 'waiting' | 'out_of_time' | 'out_of_pace' {
    const { connections } = running.order;
    const first = running.next;
    while (running.next < connections.length) {
      if (running.pending >= MAX_PENDING) return 'waiting';
      // Each order gets on by one at least.
      if (running.next > first && performance.now() >= untilMs) return 'out_of_time';
      const connection = connections[running.next];
      const isDue = connection !== undefined && (!connection.isClosed || connection.movedTo !== undefined);
      if (isDue && !running.hurried && running.pace?.take(this.#deps.nowMs()) === false) return 'out_of_pace';
      running.next += 1;
      if (isDue) this.#act(running, connection);
    }
    if (running.pending > 0) return 'waiting';
    this.#running.delete(running);
    return 'done';
  }

  #act(running: RunningOrder, connection: Connection): void {
    if (connection.isFrozen) {
      // Wherever it goes on, the order finds it there.
      connection.onSettled(() => this.#act(running, connection));
      return;
    }
    try {
      const { act, forward } = running.order;
      const { movedTo } = connection;
      if (movedTo === undefined && connection.isClosed) return;
      const done = movedTo === undefined ? act(connection) : forward?.(connection, movedTo);
      if (done === undefined) return;
      running.pending += 1;
      void done.catch(this.#deps.onTrouble).finally(() => {
        running.pending -= 1;
        // Not at once: actions that wait for nothing real would never let anything else run.
        if (this.#running.has(running)) this.#advanceNextTurn();
      });
    } catch (error) {
      this.#deps.onTrouble(error);
    }
  }

  #hurryOldest(): void {
    if (this.#running.size <= MAX_ORDERS) return;
    for (const running of this.#running) {
      if (running.hurried || running.pace === undefined) continue;
      running.hurried = true;
      this.#deps.onTrouble(
        new Error(`more than ${MAX_ORDERS} orders at a time: the oldest goes without its pace`),
      );
      return;
    }
  }
}
