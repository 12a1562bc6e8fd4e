// How the host leaves, as one pure function. A command drains it: everybody is sent elsewhere, and it stays, until it is
// ended or taken back. A signal drains and ends it, in time whatever the workers do; a second one hurries.

export interface DrainPolicy {
  /** From a signal to the end of the last worker, at most. */
  readonly timeoutMs: number;
  /** What workers still get when they are to hurry. */
  readonly hurryMs: number;
  /** Load balancers hear in this time that nobody new shall come; only then is anybody closed. */
  readonly announceMs: number;
}

interface Leaving {
  readonly sinceMs: number;
  /** Nobody is closed before. */
  readonly announcedMs: number;
  /** Set by a signal: then the process ends, and nothing takes it back. */
  readonly deadlineMs: number | null;
  /** When all are closed the gateway ends. */
  readonly ends: boolean;
}

export type DrainState =
  | { readonly name: 'serving' }
  /** Takes nobody new, and closes nobody yet. */
  | ({ readonly name: 'announcing' } & Leaving)
  | ({ readonly name: 'closing'; readonly hurried: boolean } & Leaving)
  | ({ readonly name: 'paused' } & Leaving)
  /** Runs without connections. */
  | ({ readonly name: 'drained'; readonly tookMs: number } & Leaving)
  /** Workers have been told to end. */
  | { readonly name: 'ending'; readonly sinceMs: number; readonly deadlineMs: number }
  | { readonly name: 'ended'; readonly tookMs: number };

export type DrainCommand = 'drain' | 'pause' | 'resume' | 'hurry' | 'abort';

export type DrainEvent =
  | { readonly type: 'drain'; readonly nowMs: number; readonly ends: boolean }
  | { readonly type: Exclude<DrainCommand, 'drain'>; readonly nowMs: number }
  /** SIGTERM, SIGINT. */
  | { readonly type: 'signal'; readonly nowMs: number }
  /** The time of the announcement that began then is over. */
  | { readonly type: 'announced'; readonly nowMs: number; readonly sinceMs: number }
  /** No connection is left. */
  | { readonly type: 'closed'; readonly nowMs: number }
  /** The timer that was armed. */
  | { readonly type: 'timer'; readonly nowMs: number }
  /** No worker is left. */
  | { readonly type: 'empty'; readonly nowMs: number };

export type DrainEffect =
  /** Nobody new from now on; `announced` is due after this time. */
  | { readonly type: 'announce'; readonly waitMs: number }
  /** Close at the pace of the rest, and by then in any case. */
  | { readonly type: 'pace'; readonly closeWithinMs: number | null }
  | { readonly type: 'close-all' }
  | { readonly type: 'hold' }
  /** Replaces the one timer. */
  | { readonly type: 'arm'; readonly delayMs: number }
  | { readonly type: 'serve-again' }
  | { readonly type: 'note-drained'; readonly tookMs: number }
  /** Workers close what they still have, and end. */
  | { readonly type: 'end-workers'; readonly killAfterMs: number }
  | { readonly type: 'finish'; readonly tookMs: number };

type Step = readonly [DrainState, readonly DrainEffect[]];
type Of<Name extends DrainState['name']> = Extract<DrainState, { readonly name: Name }>;
/** Sends its clients away, or will. */
type Active = Of<'announcing' | 'closing' | 'paused'>;

/** Killing takes a moment, and so does what comes after it. */
const END_SHARE = 0.1;
const MAX_END_MS = 1000;
/** After their last slice workers wait for closing handshakes and last writes. */
const SETTLE_SHARE = 0.2;
const MAX_SETTLE_MS = 3000;
/** Of the time there is for all, when there is a deadline. */
const ANNOUNCE_SHARE = 0.2;

/** Counted from the signal. */
export interface DrainPlan {
  /** All connections are closed by then. */
  readonly drainMs: number;
  /** Workers that are still there then are killed. */
  readonly killAfterMs: number;
}

export function planDrain(timeoutMs: number): DrainPlan {
  const killAfterMs = Math.floor(timeoutMs - Math.min(MAX_END_MS, timeoutMs * END_SHARE));
  return {
    drainMs: Math.floor(killAfterMs - Math.min(MAX_SETTLE_MS, killAfterMs * SETTLE_SHARE)),
    killAfterMs,
  };
}

/** Why this command makes no sense now; undefined when it does. */
export function drainRefusal(state: DrainState, command: DrainCommand): string | undefined {
  if (state.name === 'ending' || state.name === 'ended') {
    return command === 'drain' || command === 'hurry' ? undefined : 'the gateway ends already';
  }
  if (command === 'drain') return undefined;
  if (state.name === 'serving') return 'no drain is under way';
  if (state.deadlineMs !== null && (command === 'pause' || command === 'abort')) {
    return `a signal told the gateway to end: that cannot be ${command === 'pause' ? 'paused' : 'taken back'}`;
  }
  if (state.name === 'drained' && command !== 'abort') return 'all connections are closed already';
  if (command === 'pause' && state.name === 'paused') return 'the drain is paused already';
  if (command === 'resume' && state.name !== 'paused') return 'the drain is not paused';
  return undefined;
}

export function drainTransition(state: DrainState, event: DrainEvent, policy: DrainPolicy): Step {
  const { nowMs } = event;
  switch (event.type) {
    case 'drain':
      return onDrain(state, nowMs, event.ends, policy);
    case 'signal':
      return onSignal(state, nowMs, policy);
    case 'announced':
      if (state.name !== 'announcing' || state.sinceMs !== event.sinceMs) return [state, []];
      return close({ ...state, announcedMs: nowMs }, nowMs, policy);
    case 'pause':
      if (drainRefusal(state, 'pause') !== undefined || !isActive(state)) return [state, []];
      return [{ ...leavingOf(state), name: 'paused' }, [{ type: 'hold' }]];
    case 'resume':
      return state.name === 'paused' ? resume(state, nowMs, policy) : [state, []];
    case 'hurry':
      return onHurry(state, nowMs, policy);
    case 'abort':
      if (drainRefusal(state, 'abort') !== undefined || state.name === 'serving') return [state, []];
      return [{ name: 'serving' }, [{ type: 'hold' }, { type: 'serve-again' }]];
    case 'closed':
      if (state.name !== 'closing') return [state, []];
      return state.ends ? end(state, nowMs, policy) : drained(state, nowMs);
    case 'timer':
      if (state.name !== 'closing' || state.deadlineMs === null) return [state, []];
      return nowMs >= closeByMs(state.deadlineMs, policy) ? end(state, nowMs, policy) : [state, []];
    case 'empty': {
      if (state.name !== 'ending') return [state, []];
      const tookMs = nowMs - state.sinceMs;
      return [{ name: 'ended', tookMs }, [{ type: 'finish', tookMs }]];
    }
  }
}

function onDrain(state: DrainState, nowMs: number, ends: boolean, policy: DrainPolicy): Step {
  switch (state.name) {
    case 'serving':
      return announce(nowMs, { deadlineMs: null, ends }, policy);
    case 'announcing':
    case 'closing':
    case 'paused':
      // Whoever asks as well may ask for more.
      return [{ ...state, ends: state.ends || ends }, []];
    case 'drained':
      return ends ? end(state, nowMs, policy) : [state, []];
    case 'ending':
    case 'ended':
      return [state, []];
  }
}

function onSignal(state: DrainState, nowMs: number, policy: DrainPolicy): Step {
  switch (state.name) {
    case 'serving':
      return announce(nowMs, { deadlineMs: nowMs + policy.timeoutMs, ends: true }, policy);
    case 'announcing':
    case 'closing':
    case 'paused': {
      if (state.deadlineMs !== null) return onHurry(state, nowMs, policy);
      const leaving = { ...leavingOf(state), deadlineMs: nowMs + policy.timeoutMs, ends: true };
      if (state.name === 'announcing') return [{ ...leaving, name: 'announcing' }, []];
      return close(leaving, nowMs, policy, state.name === 'closing' && state.hurried);
    }
    case 'drained':
      return end(state, nowMs, policy);
    case 'ending':
    case 'ended':
      return onHurry(state, nowMs, policy);
  }
}

function onHurry(state: DrainState, nowMs: number, policy: DrainPolicy): Step {
  switch (state.name) {
    case 'announcing':
    case 'closing':
    case 'paused':
      if (state.deadlineMs !== null) {
        const leftMs = Math.max(0, state.deadlineMs - nowMs);
        const { killAfterMs } = planDrain(Math.min(policy.hurryMs, leftMs));
        const { sinceMs, deadlineMs } = state;
        return [
          { name: 'ending', sinceMs, deadlineMs },
          [{ type: 'hold' }, { type: 'end-workers', killAfterMs }],
        ];
      }
      return [{ ...leavingOf(state), name: 'closing', hurried: true }, [{ type: 'close-all' }]];
    case 'ending':
      // Whoever asks again means it.
      return [state, [{ type: 'end-workers', killAfterMs: 0 }]];
    case 'serving':
    case 'drained':
    case 'ended':
      return [state, []];
  }
}

function announce(nowMs: number, how: Pick<Leaving, 'deadlineMs' | 'ends'>, policy: DrainPolicy): Step {
  const { announceMs, timeoutMs } = policy;
  const waitMs = how.deadlineMs === null ? announceMs : Math.min(announceMs, timeoutMs * ANNOUNCE_SHARE);
  return [
    { name: 'announcing', sinceMs: nowMs, announcedMs: nowMs + waitMs, ...how },
    [{ type: 'announce', waitMs }],
  ];
}

function resume(state: Of<'paused'>, nowMs: number, policy: DrainPolicy): Step {
  if (nowMs >= state.announcedMs) return close(leavingOf(state), nowMs, policy);
  const waitMs = state.announcedMs - nowMs;
  return [{ ...leavingOf(state), name: 'announcing' }, [{ type: 'announce', waitMs }]];
}

function close(leaving: Leaving, nowMs: number, policy: DrainPolicy, hurried = false): Step {
  const { deadlineMs } = leaving;
  const state: DrainState = { ...leavingOf(leaving), name: 'closing', hurried };
  if (deadlineMs === null) return [state, [{ type: 'pace', closeWithinMs: null }]];
  const leftMs = Math.max(0, closeByMs(deadlineMs, policy) - nowMs);
  return [
    state,
    [
      hurried ? { type: 'close-all' } : { type: 'pace', closeWithinMs: leftMs },
      { type: 'arm', delayMs: leftMs },
    ],
  ];
}

function drained(state: Of<'closing'>, nowMs: number): Step {
  const tookMs = nowMs - state.sinceMs;
  return [
    { ...leavingOf(state), name: 'drained', tookMs },
    [{ type: 'hold' }, { type: 'note-drained', tookMs }],
  ];
}

function end(state: Active | Of<'drained'>, nowMs: number, policy: DrainPolicy): Step {
  const { sinceMs } = state;
  const deadlineMs = state.deadlineMs ?? nowMs + policy.timeoutMs;
  const killMs = deadlineMs - policy.timeoutMs + planDrain(policy.timeoutMs).killAfterMs;
  return [
    { name: 'ending', sinceMs, deadlineMs },
    [{ type: 'hold' }, { type: 'end-workers', killAfterMs: Math.max(0, killMs - nowMs) }],
  ];
}

function closeByMs(deadlineMs: number, policy: DrainPolicy): number {
  return deadlineMs - policy.timeoutMs + planDrain(policy.timeoutMs).drainMs;
}

function isActive(state: DrainState): state is Active {
  return state.name === 'announcing' || state.name === 'closing' || state.name === 'paused';
}

function leavingOf({ sinceMs, announcedMs, deadlineMs, ends }: Leaving): Leaving {
  return { sinceMs, announcedMs, deadlineMs, ends };
}
