// A circuit breaker as a pure function. closed: calls go through · open: they fail at once, the endpoint is left alone ·
// half open: one call at a time goes through as a probe, and decides.

export interface BreakerPolicy {
  /** Outages in a row that open it. */
  readonly threshold: number;
  readonly minOpenMs: number;
  /** The time doubles with every probe that fails, up to this. */
  readonly maxOpenMs: number;
}

export interface BreakerState {
  readonly phase: 'closed' | 'open' | 'half_open';
  /** Raised with every change of phase: what a call of an earlier phase brings no longer counts. */
  readonly generation: number;
  /** Outages in a row while closed. */
  readonly outages: number;
  /** Length of the current or last opening; 0 when it never opened since it was closed. */
  readonly openMs: number;
  readonly openUntilMs: number;
}

export type BreakerEvent =
  /** Somebody wants to call. */
  | { readonly type: 'attempt'; readonly nowMs: number }
  | { readonly type: 'success'; readonly generation: number }
  | { readonly type: 'outage'; readonly generation: number; readonly nowMs: number }
  /** A call that says nothing about the endpoint: it was never made, or the caller is at fault. */
  | { readonly type: 'void'; readonly generation: number; readonly nowMs: number };

export const CLOSED_BREAKER: BreakerState = Object.freeze({
  phase: 'closed',
  generation: 0,
  outages: 0,
  openMs: 0,
  openUntilMs: 0,
});

/** Whether an attempt goes through is for `admits` to say, on the state before. */
export function breakerTransition(
  state: BreakerState,
  event: BreakerEvent,
  policy: BreakerPolicy,
): BreakerState {
  if (event.type === 'attempt') {
    // Only one attempt finds the time over: the state is half open for those after it.
    if (state.phase !== 'open' || event.nowMs < state.openUntilMs) return state;
    return { ...state, phase: 'half_open', generation: state.generation + 1 };
  }
  if (event.generation !== state.generation) return state;
  switch (event.type) {
    case 'success':
      if (state.phase === 'half_open') return { ...CLOSED_BREAKER, generation: state.generation + 1 };
      return state.outages === 0 ? state : { ...state, outages: 0 };
    case 'outage': {
      const outages = state.outages + 1;
      if (state.phase === 'half_open') {
        return opened(state, event.nowMs, Math.min(policy.maxOpenMs, state.openMs * 2));
      }
      if (outages < policy.threshold) return { ...state, outages };
      return opened(state, event.nowMs, policy.minOpenMs);
    }
    case 'void':
      // The probe has proved nothing: the next one may come at once.
      return state.phase === 'half_open'
        ? { ...state, phase: 'open', generation: state.generation + 1, openUntilMs: event.nowMs }
        : state;
  }
}

export function admits(state: BreakerState, nowMs: number): boolean {
  return state.phase === 'closed' || (state.phase === 'open' && nowMs >= state.openUntilMs);
}

function opened(state: BreakerState, nowMs: number, openMs: number): BreakerState {
  return {
    phase: 'open',
    generation: state.generation + 1,
    outages: 0,
    openMs,
    openUntilMs: nowMs + openMs,
  };
}
