// How the host leaves, as one pure function: a first request drains, a second one hurries, and it ends in time whatever
// the workers do.

export interface DrainPolicy {
  /** From the request to the end of the last worker, at most. */
  readonly timeoutMs: number;
  /** What workers still get when they are to hurry. */
  readonly hurryMs: number;
}

export interface DrainPlan {
  /** Time over which workers spread the closing of their connections. */
  readonly drainMs: number;
  /** Workers that are still there then are killed. */
  readonly killAfterMs: number;
}

export type DrainState =
  | { readonly name: 'serving' }
  | { readonly name: 'draining'; readonly sinceMs: number; readonly deadlineMs: number }
  | { readonly name: 'hurrying'; readonly sinceMs: number; readonly deadlineMs: number }
  | { readonly name: 'ended'; readonly tookMs: number };

export type DrainEvent =
  /** Somebody asked the host to leave: a signal, a command. */
  | { readonly type: 'ask'; readonly nowMs: number }
  /** No worker is left. */
  | { readonly type: 'empty'; readonly nowMs: number };

export type DrainEffect =
  | { readonly type: 'refuse-new' }
  | ({ readonly type: 'leave' } & DrainPlan)
  | { readonly type: 'finish'; readonly tookMs: number };

/** Killing takes a moment, and so does what comes after it. */
const END_SHARE = 0.1;
const MAX_END_MS = 1000;
/** After their last slice workers wait for closing handshakes and last writes. */
const SETTLE_SHARE = 0.2;
const MAX_SETTLE_MS = 3000;

export function planDrain(timeoutMs: number): DrainPlan {
  const killAfterMs = Math.floor(timeoutMs - Math.min(MAX_END_MS, timeoutMs * END_SHARE));
  return {
    drainMs: Math.floor(killAfterMs - Math.min(MAX_SETTLE_MS, killAfterMs * SETTLE_SHARE)),
    killAfterMs,
  };
}

export function drainTransition(
  state: DrainState,
  event: DrainEvent,
  policy: DrainPolicy,
): readonly [DrainState, readonly DrainEffect[]] {
  if (event.type === 'empty') {
    if (state.name === 'serving' || state.name === 'ended') return [state, []];
    const tookMs = event.nowMs - state.sinceMs;
    return [{ name: 'ended', tookMs }, [{ type: 'finish', tookMs }]];
  }
  const { nowMs } = event;
  switch (state.name) {
    case 'serving':
      return [
        { name: 'draining', sinceMs: nowMs, deadlineMs: nowMs + policy.timeoutMs },
        [{ type: 'refuse-new' }, { type: 'leave', ...planDrain(policy.timeoutMs) }],
      ];
    case 'draining': {
      const leftMs = Math.max(0, state.deadlineMs - nowMs);
      const { killAfterMs } = planDrain(Math.min(policy.hurryMs, leftMs));
      return [{ ...state, name: 'hurrying' }, [{ type: 'leave', drainMs: 0, killAfterMs }]];
    }
    case 'hurrying':
      // Whoever asks a third time means it.
      return [state, [{ type: 'leave', drainMs: 0, killAfterMs: 0 }]];
    case 'ended':
      return [state, []];
  }
}
