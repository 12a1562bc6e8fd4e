// How many connections a second the rest of the fleet takes: what other hosts say, or else what this host itself would take,
// for whoever replaces it is like it.
import type { Clock } from '../../util/clock.ts';
import type { CollectedAnswer } from '../ipc.ts';
import { type HostRate, rateOfOthers } from './reconnect-window.ts';

export interface AcceptRate {
  /** Connections a second, above 0. */
  readonly acceptRate: number;
  readonly from: 'other-hosts' | 'this-host';
}

/** Kinds of questions within a host: to one worker, what all hosts say; to the primary, what it says. */
export const RateQuestions = { fleet: 'fleet-rates', host: 'host-rate' } as const;

/** To the one worker that is to ask the others; all answer, for a silent one would be waited for. */
export interface FleetQuestion {
  readonly asker: number;
}

interface RestRateDeps {
  readonly clock: Clock;
  /** This host among the others. */
  readonly host: string;
  readonly ask: (question: FleetQuestion) => Promise<readonly CollectedAnswer[]>;
  /** Process id of a worker that serves. */
  readonly asker: () => number | undefined;
  /** Connections a second that this host lets in. */
  readonly ownRate: () => number;
}

export class RestRate {
  readonly #deps: RestRateDeps;
  #others = 0;
  #askedMs = -Infinity;
  #asking: Promise<void> | undefined;

  constructor(deps: RestRateDeps) {
    this.#deps = deps;
  }

  get current(): AcceptRate {
    return this.#others > 0
      ? { acceptRate: this.#others, from: 'other-hosts' }
      : { acceptRate: Math.max(1, this.#deps.ownRate()), from: 'this-host' };
  }

  /** Asks, unless what is known is younger. Resolves in a second and never rejects: without an answer the last one counts. */
  async refresh(maxAgeMs: number): Promise<void> {
    if (this.#asking === undefined && this.#deps.clock.monotonicMs() - this.#askedMs < maxAgeMs) return;
    this.#asking ??= this.#ask().finally(() => {
      this.#askedMs = this.#deps.clock.monotonicMs();
      this.#asking = undefined;
    });
    await this.#asking;
  }

  async #ask(): Promise<void> {
    const { asker, ask, host } = this.#deps;
    const pid = asker();
    if (pid === undefined) return;
    const answers = await ask({ asker: pid }).catch(() => []);
    const rates = answers.find((answer) => answer.pid === pid && Array.isArray(answer.value))?.value;
    if (!Array.isArray(rates)) return;
    this.#others = rateOfOthers(
      rates.flatMap((rate: unknown) => (isHostRate(rate) ? [rate] : [])),
      host,
    );
  }
}

export function isHostRate(value: unknown): value is HostRate {
  return (
    typeof value === 'object' &&
    value !== null &&
    'host' in value &&
    typeof value.host === 'string' &&
    'acceptRate' in value &&
    typeof value.acceptRate === 'number'
  );
}
