// What the primary knows of one worker's connections: how many it has or is about to get, and whether it may get more.
import type { Clock } from '../../util/clock.ts';
import type { WorkerProcess } from '../worker-process.ts';

/**
 * A client is one from its first request on, by any transport; any other request is over soon, takes nobody's place and weighs
 * on no worker for long. `internal`: of back ends and operators, nothing of which has been read; they are not counted.
 */
export type AssignmentKind = 'client' | 'request' | 'internal';

/** What the worker has since said to be over. */
export interface Ended {
  readonly closed: number;
  readonly answered: number;
}

type Recipient = Pick<WorkerProcess, 'connected'>;

export class WorkerLedger<Process extends Recipient = WorkerProcess> {
  readonly process: Process;
  routed = false;
  /** Has served, and may still answer what is no new client. */
  leaving = false;
  /** Does not answer: what it would get would wait with it. */
  suspended = false;
  /** Has too much to do: gets nothing as long as there is another one. */
  overloaded = false;
  readonly #clock: Clock;
  #clients = 0;
  #requests = 0;
  #pausedUntilMs = 0;

  constructor(process: Process, clock: Clock) {
    this.process = process;
    this.#clock = clock;
  }

  get clients(): number {
    return this.#clients;
  }
  get requests(): number {
    return this.#requests;
  }

  get routable(): boolean {
    return this.usable && !this.overloaded;
  }

  get usable(): boolean {
    return (
      this.routed &&
      !this.suspended &&
      this.process.connected &&
      this.#pausedUntilMs <= this.#clock.monotonicMs()
    );
  }

  /** Not usable any more, but it answers what nobody else can. */
  get answersStill(): boolean {
    return this.leaving && this.process.connected;
  }

  /** When it is assigned, not when the worker has it: a thousand at once would otherwise all go to the same one. */
  add(kind: AssignmentKind): void {
    this.#count(kind, 1);
  }

  /** It did not get there. */
  takeBack(kind: AssignmentKind): void {
    this.#count(kind, -1);
  }

  ended({ closed, answered }: Ended): void {
    this.#clients = Math.max(0, this.#clients - closed);
    this.#requests = Math.max(0, this.#requests - answered);
  }

  pause(ms: number): void {
    this.#pausedUntilMs = this.#clock.monotonicMs() + ms;
  }

  #count(kind: AssignmentKind, change: 1 | -1): void {
    if (kind === 'client') this.#clients += change;
    else if (kind === 'request') this.#requests += change;
  }
}

/**
 * The usable one for a request, those with too much to do last. Where there are few requests it is the one that the next client
 * would get, so that a readiness check asks the right one.
 */
export function lightest<Process extends Recipient>(
  ledgers: readonly WorkerLedger<Process>[],
): WorkerLedger<Process> | undefined {
  return ledgers
    .filter(({ usable }) => usable)
    .toSorted(
      (one, other) =>
        Number(one.overloaded) - Number(other.overloaded) ||
        one.requests - other.requests ||
        one.clients - other.clients,
    )[0];
}
