// Leaves an endpoint alone that is away: its callers fail at once instead of waiting for a time-out each.
import {
  admits,
  type BreakerEvent,
  type BreakerPolicy,
  type BreakerState,
  breakerTransition,
  CLOSED_BREAKER,
} from './breaker-state.ts';
import { CallError, isOutage } from '../call-error.ts';

export interface CircuitBreakerDeps {
  readonly nowMs: () => number;
  readonly onChange: (phase: BreakerState['phase'], openMs: number) => void;
}

export class CircuitBreaker {
  readonly #deps: CircuitBreakerDeps;
  readonly #policy: BreakerPolicy;
  #state = CLOSED_BREAKER;

  constructor(deps: CircuitBreakerDeps, policy: BreakerPolicy) {
    this.#deps = deps;
    this.#policy = policy;
  }

  /** Rejects with CallError `circuit_open`, or as the call does. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    const nowMs = this.#deps.nowMs();
    if (!admits(this.#state, nowMs)) throw new CallError('circuit_open', 'is left alone after failures');
    this.#apply({ type: 'attempt', nowMs });
    const { generation } = this.#state;
    try {
      const answer = await call();
      this.#apply({ type: 'success', generation });
      return answer;
    } catch (error) {
      this.#apply(this.#verdict(error, generation));
      throw error;
    }
  }

  #verdict(error: unknown, generation: number): BreakerEvent {
    const nowMs = this.#deps.nowMs();
    if (!(error instanceof CallError) || error.fault === 'overload' || error.fault === 'closed') {
      return { type: 'void', generation, nowMs };
    }
    return isOutage(error) ? { type: 'outage', generation, nowMs } : { type: 'success', generation };
  }

  #apply(event: BreakerEvent): void {
    const before = this.#state;
    this.#state = breakerTransition(before, event, this.#policy);
    const { phase, openMs } = this.#state;
    if (phase !== before.phase) this.#deps.onChange(phase, openMs);
  }
}
