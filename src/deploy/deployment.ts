// Carries a blue/green deployment out, step by step. Every step can be done twice: what it wants may be true already, because
// an earlier run was interrupted in the middle of it.
import type { Clock } from '../util/clock.ts';
import { HoldfastError, UnavailableError } from '../util/errors.ts';
import { pause } from '../util/pause.ts';
import { type ColourService, type ColourStatus, DeployError } from './colour-service.ts';
import type { HaproxyRuntime } from './haproxy-runtime.ts';
import type { Journal } from './journal.ts';
import { advance, type Colour, type DeployRecord, isOver, type Step, type WorkStep } from './plan.ts';

export interface DeployReport {
  readonly step: Step;
  readonly from: Colour | null;
  readonly to: Colour;
  readonly failure: string | null;
  /** While a colour is drained: connections that it still has. */
  readonly remaining?: number;
}

export interface DeploymentDeps {
  readonly clock: Clock;
  readonly journal: Pick<Journal, 'write'>;
  readonly fronts: readonly HaproxyRuntime[];
  readonly services: Readonly<Record<Colour, ColourService>>;
  /** Resolves when messages have come through the front to a client on `to`; rejects with the reason why not. */
  readonly canary: (to: Colour, from: Colour | null, signal: AbortSignal) => Promise<void>;
  readonly report: (report: DeployReport) => void;
}

export interface DeploymentPolicy {
  /** The servers in HAProxy: `backend/host-colour`. */
  readonly backend: string;
  readonly host: string;
  readonly startTimeoutMs: number;
  readonly canaryTimeoutMs: number;
  /** The new colour is watched this long, with new clients, before the old one is drained. */
  readonly settleMs: number;
  /** A check of the application's own; undefined: none. */
  readonly checkCommand: string | undefined;
  /** Over which a colour is drained; null is as the other hosts can take its clients. */
  readonly windowMs: number | null;
}

/** It stands where it stood; the same command goes on. */
export class InterruptedError extends HoldfastError {
  readonly record: DeployRecord;
  constructor(record: DeployRecord) {
    super('HOLDFAST_INTERRUPTED', 'interrupted');
    this.record = record;
  }
}

/** A step that has no way back failed: it stands there. */
export class StuckError extends HoldfastError {
  readonly record: DeployRecord;
  constructor(record: DeployRecord, cause: HoldfastError) {
    super('HOLDFAST_STUCK', cause.message, { cause });
    this.record = record;
  }
}

const POLL_MS = 250;
const CANARY_PAUSE_MS = 500;
/** So long the new colour may be found unwell. */
const PATIENCE_MS = 2000;

type StepWork = (record: DeployRecord, signal: AbortSignal) => Promise<void>;

export class Deployment {
  readonly #deps: DeploymentDeps;
  readonly #policy: DeploymentPolicy;
  readonly #work: Readonly<Record<WorkStep, StepWork>> = {
    hold: ({ to }) => this.#hold(to),
    start: ({ to }, signal) => this.#start(to, signal),
    canary: (record, signal) => this.#canary(record, signal),
    shift: (record, signal) => this.#shift(record, signal),
    settle: ({ to }, signal) => this.#watch(to, this.#policy.settleMs, signal),
    drain: (record, signal) => this.#drainOld(record, signal),
    stop: async ({ from }, signal) => {
      if (from !== null) await this.#stop(from, signal);
    },
    restore: (record, signal) => this.#restore(record, signal),
    empty: (record, signal) => this.#empty(record, signal),
    remove: ({ to }, signal) => this.#stop(to, signal),
  };

  constructor(deps: DeploymentDeps, policy: DeploymentPolicy) {
    this.#deps = deps;
    this.#policy = policy;
  }

  /** Resolves at `deployed` or `undone`; rejects with InterruptedError or StuckError, and can then be run again. */
  async run(begun: DeployRecord, signal: AbortSignal): Promise<DeployRecord> {
    let record = begun;
    this.#deps.journal.write(record);
    for (;;) {
      this.#report(record);
      const { step } = record;
      if (isOver(step)) return record;
      try {
        if (!signal.aborted) await this.#work[step](record, signal);
        if (signal.aborted) throw new InterruptedError(record);
        record = this.#note(record, advance(record, { type: 'done' }));
      } catch (error) {
        if (error instanceof StuckError) throw error;
        if (signal.aborted) throw new InterruptedError(record);
        // Anything else is a fault of this program, not of what it deploys.
        if (!(error instanceof HoldfastError)) throw error;
        const next = advance(record, { type: 'failed', reason: error.message });
        if (next === record) throw new StuckError(record, error);
        record = this.#note(record, next);
      }
    }
  }

  /** What cannot be written down has not been reached: every step may be done twice. */
  #note(record: DeployRecord, next: DeployRecord): DeployRecord {
    try {
      this.#deps.journal.write(next);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      throw new StuckError(record, error);
    }
    return next;
  }

  #report({ step, from, to, failure }: DeployRecord, remaining?: number): void {
    this.#deps.report({ step, from, to, failure, ...(remaining === undefined ? {} : { remaining }) });
  }

  /** In every HAProxy, for clients and, where it passes the server API on, for that. */
  async #eachServer(
    colour: Colour,
    tell: (front: HaproxyRuntime, server: string) => Promise<void>,
  ): Promise<void> {
    const { backend, host } = this.#policy;
    const name = `${host}-${colour}`;
    for (const front of this.#deps.fronts) {
      for (const each of [backend, `${backend}_api`]) {
        const isThere = (await front.servers(each)).some((server) => server.name === name);
        if (isThere) await tell(front, `${each}/${name}`);
      }
    }
  }

  #hold(colour: Colour): Promise<void> {
    return this.#eachServer(colour, (front, server) => front.hold(server));
  }

  #release(colour: Colour): Promise<void> {
    return this.#eachServer(colour, (front, server) => front.release(server));
  }

  #retire(colour: Colour): Promise<void> {
    return this.#eachServer(colour, (front, server) => front.retire(server));
  }

  async #start(colour: Colour, signal: AbortSignal): Promise<void> {
    const service = this.#deps.services[colour];
    await service.start(signal);
    await this.#until(`${colour} to serve`, this.#policy.startTimeoutMs, signal, async () => {
      const status = await service.status();
      if (status === undefined) return `nobody answers at ${service.places.controlSocket} (--control)`;
      return status.state === 'serving' ? undefined : `it is ${status.state}`;
    });
  }

  async #canary({ from, to }: DeployRecord, signal: AbortSignal): Promise<void> {
    const { canary, services } = this.#deps;
    const { canaryTimeoutMs, checkCommand } = this.#policy;
    // HAProxy may not have checked the newcomer yet: the first attempts may end at the other colour.
    const timeout = AbortSignal.timeout(canaryTimeoutMs);
    const either = AbortSignal.any([signal, timeout]);
    for (;;) {
      try {
        await canary(to, from, either);
        break;
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        if (either.aborted) throw new DeployError(`canary on ${to}: ${error.message}`, { cause: error });
      }
      await pause(CANARY_PAUSE_MS, signal);
    }
    if (checkCommand !== undefined) await services[to].shell(checkCommand, signal);
  }

  async #shift({ from, to }: DeployRecord, signal: AbortSignal): Promise<void> {
    await this.#release(to);
    await this.#untilUp(to, signal);
    if (from !== null) await this.#hold(from);
  }

  async #drainOld({ from, to, ...rest }: DeployRecord, signal: AbortSignal): Promise<void> {
    if (from === null) return;
    await this.#retire(from);
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const watching = this.#watch(to, Infinity, either);
    try {
      await Promise.race([this.#drain(from, { from, to, ...rest }, either), watching]);
    } finally {
      over.abort();
      await watching.catch(() => undefined);
    }
  }

  async #drain(colour: Colour, record: DeployRecord, signal: AbortSignal): Promise<void> {
    const service = this.#deps.services[colour];
    await service.drain(this.#policy.windowMs, (remaining) => this.#report(record, remaining), signal);
  }

  async #stop(colour: Colour, signal: AbortSignal): Promise<void> {
    await this.#retire(colour);
    await this.#deps.services[colour].stop(signal);
    await this.#untilGone(colour, signal);
  }

  /** The old colour may be draining, which is taken back, or gone, and has to come back first. */
  async #restore({ from, to }: DeployRecord, signal: AbortSignal): Promise<void> {
    if (from === null) return;
    const service = this.#deps.services[from];
    const status = await service.status();
    const mayStay = status !== undefined && (status.state !== 'draining' || (await service.abortDrain()));
    if (!mayStay) {
      await this.#untilGone(from, signal);
      await this.#start(from, signal);
    }
    await this.#release(from);
    await this.#untilUp(from, signal);
    await this.#hold(to);
  }

  async #empty(record: DeployRecord, signal: AbortSignal): Promise<void> {
    const { to } = record;
    await this.#retire(to);
    await this.#drain(to, record, signal);
  }

  /** Rejects when the gateway, or HAProxy's view of it, stays unwell, or when a worker had to be replaced. */
  async #watch(colour: Colour, forMs: number, signal: AbortSignal): Promise<void> {
    const { clock, services } = this.#deps;
    const endMs = clock.monotonicMs() + forMs;
    let first: ColourStatus | undefined;
    let unwellSinceMs: number | undefined;
    while (!signal.aborted) {
      const fault = await orUnavailable(async () => {
        const status = await services[colour].status();
        first ??= status;
        return this.#fault(colour, first, status);
      });
      const nowMs = clock.monotonicMs();
      unwellSinceMs = fault === undefined ? undefined : (unwellSinceMs ?? nowMs);
      if (unwellSinceMs !== undefined && nowMs - unwellSinceMs >= PATIENCE_MS) {
        throw new DeployError(`${colour}: ${fault}`);
      }
      if (fault === undefined && nowMs >= endMs) return;
      await pause(POLL_MS, signal);
    }
  }

  async #fault(
    colour: Colour,
    first: ColourStatus | undefined,
    status: ColourStatus | undefined,
  ): Promise<string | undefined> {
    if (status === undefined) return 'its gateway does not answer';
    if (status.state !== 'serving') return `its gateway is ${status.state}`;
    if (first !== undefined && status.restarts > first.restarts) return 'a worker of it had to be replaced';
    return this.#notUp(colour);
  }

  /** Why HAProxy sends no clients there; undefined when all do. */
  async #notUp(colour: Colour): Promise<string | undefined> {
    const { backend, host } = this.#policy;
    for (const front of this.#deps.fronts) {
      const server = (await front.servers(backend)).find(({ name }) => name === `${host}-${colour}`);
      if (server === undefined) return `HAProxy at ${front.address} has no server ${host}-${colour}`;
      if (!/^(?:UP|no check)/.test(server.status)) return `HAProxy at ${front.address} says ${server.status}`;
    }
    return undefined;
  }

  #untilUp(colour: Colour, signal: AbortSignal): Promise<void> {
    return this.#until(`HAProxy to take ${colour}`, this.#policy.startTimeoutMs, signal, () =>
      this.#notUp(colour),
    );
  }

  #untilGone(colour: Colour, signal: AbortSignal): Promise<void> {
    const service = this.#deps.services[colour];
    // As long as its drain takes: the gateway itself ends it, and the service manager after it.
    return this.#until(`the end of ${colour}`, Infinity, signal, async () => {
      const status = await service.status();
      return status === undefined ? undefined : `it is ${status.state}`;
    });
  }

  /** `missing` says what is not yet as it should be. */
  async #until(
    what: string,
    timeoutMs: number,
    signal: AbortSignal,
    missing: () => Promise<string | undefined>,
  ): Promise<void> {
    const { clock } = this.#deps;
    const endMs = clock.monotonicMs() + timeoutMs;
    while (!signal.aborted) {
      const reason = await orUnavailable(missing);
      if (reason === undefined) return;
      if (clock.monotonicMs() >= endMs) {
        throw new DeployError(`waited ${Math.round(timeoutMs / 1000)} s in vain for ${what}: ${reason}`);
      }
      await pause(POLL_MS, signal);
    }
  }
}

/** Who does not answer now may do so later: that is one more reason to wait. */
async function orUnavailable(look: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof UnavailableError) return error.message;
    throw error;
  }
}
