// Which connections of this worker make up the part of its load that is to go, and when each of them may.
import type { Connection } from '../connection/connection.ts';
import { WebSocketTransport } from '../gateway/websocket-transport.ts';
import type { Clock } from '../util/clock.ts';
import { pause } from '../util/pause.ts';

/** A part of this worker's load. */
export interface LoadPart {
  /** 0 to 1. */
  readonly load: number;
  /** Of its load, 0 to 1: what each connection has an equal share in. The rest goes by their traffic. */
  readonly byCount: number;
  readonly first: 'idle' | 'busy';
  readonly perSecond: number;
}

/** Who moves, in which order and how fast. */
export interface MoveChoice {
  /** Those to be tried now, the first one last. */
  round(candidates: readonly Connection[]): Connection[];
  /** Waits for its turn; false when it is to stay. */
  admit(connection: Connection, isStopped: () => boolean): Promise<boolean>;
  /** It was its turn, and it has not moved. */
  stayed(connection: Connection): void;
  /** How many are still to move. */
  left(candidates: readonly Connection[], moved: number): number;
  readonly isDone: boolean;
}

export const everyConnection: MoveChoice = {
  round: (candidates) => [...candidates],
  admit: () => Promise.resolve(true),
  stayed: () => undefined,
  left: ({ length }) => length,
  isDone: false,
};

/** Long enough to tell a connection in a lively channel from one in a quiet one. */
const SAMPLE_MS = 1000;
const WAIT_MS = 50;
/** Connections looked at before others have their turn. */
const SLICE = 4096;
/** One that weighs more than this much of what is left would only make another worker the loaded one. */
const MAX_OVERSHOOT = 1.5;

/** Added to what each connection was seen to send and get: a moment says little about those that do little. */
const QUIET_BYTES = 200;

/** What each costs of all there is, from the bytes that it sent and got meanwhile. Sums up to 1. */
export function costsOf(bytes: readonly number[], byCount: number): readonly number[] {
  const total = bytes.reduce((sum, each) => sum + each + QUIET_BYTES, 0);
  return bytes.map((each) => byCount / bytes.length + (1 - byCount) * ((each + QUIET_BYTES) / total));
}

/** A load that is given out bit by bit. */
export class LoadBudget {
  #left: number;

  constructor(load: number) {
    this.#left = load;
  }

  fits(cost: number): boolean {
    return this.#left > 0 && cost <= this.#left * MAX_OVERSHOOT;
  }

  take(cost: number): boolean {
    if (!this.fits(cost)) return false;
    this.#left -= cost;
    return true;
  }

  giveBack(cost: number): void {
    this.#left += cost;
  }
}

export class PartChoice implements MoveChoice {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #costs: ReadonlyMap<Connection, number>;
  readonly #inOrder: readonly Connection[];
  readonly #budget: LoadBudget;
  readonly #planned: number;
  #nextMs = 0;

  /** Watches the connections for a moment. */
  static async among(
    connections: readonly Connection[],
    part: LoadPart,
    clock: Clock,
    isStopped: () => boolean,
  ): Promise<PartChoice> {
    const before = await trafficOf(connections);
    const untilMs = clock.monotonicMs() + SAMPLE_MS;
    while (!isStopped() && clock.monotonicMs() < untilMs) await pause(WAIT_MS);
    const after = await trafficOf(connections);
    const bytes = after.map((sum, at) => Math.max(0, sum - (before[at] ?? 0)));
    const costs = costsOf(bytes, part.byCount);
    return new PartChoice(new Map(connections.map((each, at) => [each, costs[at] ?? 0])), part, clock);
  }

  private constructor(costs: ReadonlyMap<Connection, number>, part: LoadPart, clock: Clock) {
    this.#clock = clock;
    this.#intervalMs = 1000 / part.perSecond;
    this.#costs = costs;
    const sign = part.first === 'idle' ? 1 : -1;
    const inOrder = [...costs].toSorted(([, one], [, other]) => sign * (one - other));
    this.#inOrder = inOrder.map(([connection]) => connection);
    this.#budget = new LoadBudget(part.load);
    const rehearsal = new LoadBudget(part.load);
    this.#planned = inOrder.filter(([, cost]) => rehearsal.take(cost)).length;
  }

  get isDone(): boolean {
    return !this.#inOrder.some((connection) => this.#mayMove(connection));
  }

  round(): Connection[] {
    return this.#inOrder.filter((connection) => this.#mayMove(connection)).toReversed();
  }

  async admit(connection: Connection, isStopped: () => boolean): Promise<boolean> {
    if (!this.#budget.take(this.#costOf(connection))) return false;
    const nowMs = this.#clock.monotonicMs();
    const dueMs = Math.max(this.#nextMs, nowMs);
    this.#nextMs = dueMs + this.#intervalMs;
    for (let leftMs = dueMs - nowMs; leftMs > 0 && !isStopped(); leftMs = dueMs - this.#clock.monotonicMs()) {
      await pause(Math.min(leftMs, WAIT_MS));
    }
    return true;
  }

  stayed(connection: Connection): void {
    this.#budget.giveBack(this.#costOf(connection));
  }

  left(_: readonly Connection[], moved: number): number {
    return Math.max(0, this.#planned - moved);
  }

  #mayMove(connection: Connection): boolean {
    return !connection.isClosed && this.#budget.fits(this.#costOf(connection));
  }

  #costOf(connection: Connection): number {
    return this.#costs.get(connection) ?? Infinity;
  }
}

/** Bytes of each so far. */
async function trafficOf(connections: readonly Connection[]): Promise<readonly number[]> {
  const sums: number[] = [];
  for (const { transport } of connections) {
    sums.push(transport instanceof WebSocketTransport ? transport.trafficBytes : 0);
    if (sums.length % SLICE === 0) await new Promise(setImmediate);
  }
  return sums;
}
