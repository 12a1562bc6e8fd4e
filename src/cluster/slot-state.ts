// A worker slot as one pure function: which process it has or wants, when to try again, when to lose patience.
import { backoffMs, type BackoffPolicy } from '../util/backoff.ts';

export interface SlotPolicy {
  readonly backoff: BackoffPolicy;
  /** A worker that is not ready after so long is killed. */
  readonly bootTimeoutMs: number;
  /** A worker that lived so long after it was ready clears the slot's record. */
  readonly stableMs: number;
  /** So many crashes within the window are a loop: from then on one slow attempt after another. */
  readonly brakeCrashes: number;
  readonly brakeWindowMs: number;
  readonly brakedRetryMs: number;
}

export interface CrashRecord {
  /** Monotonic times within the window, oldest first. */
  readonly timesMs: readonly number[];
  readonly inRow: number;
  readonly looping: boolean;
}

export type SlotState =
  | { readonly name: 'stopped'; readonly crashes: CrashRecord }
  | { readonly name: 'booting'; readonly sinceMs: number; readonly crashes: CrashRecord }
  | { readonly name: 'ready'; readonly sinceMs: number; readonly crashes: CrashRecord }
  | { readonly name: 'leaving'; readonly sinceMs: number; readonly crashes: CrashRecord }
  | { readonly name: 'backing-off'; readonly untilMs: number; readonly crashes: CrashRecord }
  | { readonly name: 'braked'; readonly untilMs: number; readonly crashes: CrashRecord };

export type SlotEvent =
  | { readonly type: 'start'; readonly nowMs: number }
  | { readonly type: 'ready'; readonly nowMs: number }
  /** The process has ended; `roll` in [0, 1) is the luck of the back-off. */
  | { readonly type: 'exited'; readonly nowMs: number; readonly roll: number }
  | { readonly type: 'timer'; readonly nowMs: number }
  /** The process has not answered for too long. */
  | { readonly type: 'hung'; readonly nowMs: number }
  /** Close connections over `drainMs` and end; 0 means at once. May be repeated with less patience. */
  | {
      readonly type: 'leave';
      readonly nowMs: number;
      readonly drainMs: number;
      readonly killAfterMs: number;
    }
  /** Takes nothing new any more; what it has is taken from it. */
  | { readonly type: 'retire'; readonly nowMs: number }
  /** It is to serve again after all. */
  | { readonly type: 'reinstate'; readonly nowMs: number };

export type KillReason = 'boot-timeout' | 'hung' | 'leave-timeout';

export type SlotEffect =
  | { readonly type: 'fork' }
  | { readonly type: 'kill'; readonly reason: KillReason }
  /** Replaces the slot's one timer. */
  | { readonly type: 'arm'; readonly delayMs: number }
  | { readonly type: 'disarm' }
  | { readonly type: 'route' }
  | { readonly type: 'unroute' }
  | { readonly type: 'tell-drain'; readonly durationMs: number }
  | { readonly type: 'tell-stop' }
  | { readonly type: 'note-crash'; readonly retryMs: number }
  | { readonly type: 'note-brake'; readonly crashes: number; readonly retryMs: number };

export type SlotStep = readonly [SlotState, readonly SlotEffect[]];

const noCrashes: CrashRecord = { timesMs: [], inRow: 0, looping: false };

export const initialSlotState: SlotState = { name: 'stopped', crashes: noCrashes };

export function slotTransition(state: SlotState, event: SlotEvent, policy: SlotPolicy): SlotStep {
  switch (event.type) {
    case 'start':
      return state.name === 'stopped'
        ? boot({ ...state, crashes: noCrashes }, event.nowMs, policy)
        : [state, []];
    case 'ready':
      if (state.name !== 'booting') return [state, []];
      return [
        { name: 'ready', sinceMs: event.nowMs, crashes: state.crashes },
        [{ type: 'disarm' }, { type: 'route' }],
      ];
    case 'exited':
      return onExited(state, event.nowMs, event.roll, policy);
    case 'timer':
      return onTimer(state, event.nowMs, policy);
    case 'hung':
      // Its exit follows, and is a crash as any other. One that is leaving may have no deadline: a retired one gives away what it
      // has, and whoever waits for that would wait for ever.
      return state.name === 'booting' || state.name === 'ready' || state.name === 'leaving'
        ? [state, [{ type: 'kill', reason: 'hung' }]]
        : [state, []];
    case 'leave':
      return onLeave(state, event.nowMs, event.drainMs, event.killAfterMs);
    case 'retire':
      if (state.name === 'leaving') return [state, []];
      if (state.name !== 'ready') return onLeave(state, event.nowMs, 0, policy.bootTimeoutMs);
      return [{ name: 'leaving', sinceMs: event.nowMs, crashes: state.crashes }, [{ type: 'unroute' }]];
    case 'reinstate':
      if (state.name !== 'leaving') return [state, []];
      return [{ name: 'ready', sinceMs: event.nowMs, crashes: state.crashes }, [{ type: 'route' }]];
  }
}

function boot(state: SlotState, nowMs: number, policy: SlotPolicy): SlotStep {
  return [
    { name: 'booting', sinceMs: nowMs, crashes: state.crashes },
    [{ type: 'fork' }, { type: 'arm', delayMs: policy.bootTimeoutMs }],
  ];
}

function onTimer(state: SlotState, nowMs: number, policy: SlotPolicy): SlotStep {
  switch (state.name) {
    case 'booting':
      return [state, [{ type: 'kill', reason: 'boot-timeout' }]];
    case 'leaving':
      return [state, [{ type: 'kill', reason: 'leave-timeout' }]];
    case 'backing-off':
    case 'braked':
      return boot(state, nowMs, policy);
    case 'stopped':
    case 'ready':
      return [state, []];
  }
}

function onLeave(state: SlotState, nowMs: number, drainMs: number, killAfterMs: number): SlotStep {
  const leaving: SlotState = { name: 'leaving', sinceMs: nowMs, crashes: state.crashes };
  const arm: SlotEffect = { type: 'arm', delayMs: killAfterMs };
  switch (state.name) {
    case 'stopped':
      return [state, []];
    case 'backing-off':
    case 'braked':
      return [{ name: 'stopped', crashes: state.crashes }, [{ type: 'disarm' }]];
    case 'booting':
      // Nobody is connected to it yet: nothing to drain.
      return [leaving, [{ type: 'tell-stop' }, arm]];
    case 'ready':
      return [leaving, [{ type: 'unroute' }, { type: 'tell-drain', durationMs: drainMs }, arm]];
    case 'leaving':
      return [state, [{ type: 'tell-drain', durationMs: drainMs }, arm]];
  }
}

function onExited(state: SlotState, nowMs: number, roll: number, policy: SlotPolicy): SlotStep {
  switch (state.name) {
    case 'stopped':
    case 'backing-off':
    case 'braked':
      return [state, []];
    case 'leaving':
      return [{ name: 'stopped', crashes: state.crashes }, [{ type: 'disarm' }]];
    case 'booting':
      return onCrash(state.crashes, [], nowMs, roll, policy);
    case 'ready': {
      const wasStable = nowMs - state.sinceMs >= policy.stableMs;
      return onCrash(wasStable ? noCrashes : state.crashes, [{ type: 'unroute' }], nowMs, roll, policy);
    }
  }
}

function onCrash(
  record: CrashRecord,
  before: readonly SlotEffect[],
  nowMs: number,
  roll: number,
  policy: SlotPolicy,
): SlotStep {
  const timesMs = [...record.timesMs.filter((timeMs) => nowMs - timeMs < policy.brakeWindowMs), nowMs];
  const looping = record.looping || timesMs.length >= policy.brakeCrashes;
  const crashes: CrashRecord = { timesMs, inRow: record.inRow + 1, looping };
  const retryMs = looping ? policy.brakedRetryMs : backoffMs(policy.backoff, record.inRow, roll);
  return [
    { name: looping ? 'braked' : 'backing-off', untilMs: nowMs + retryMs, crashes },
    [
      ...before,
      looping ? { type: 'note-brake', crashes: crashes.inRow, retryMs } : { type: 'note-crash', retryMs },
      { type: 'arm', delayMs: retryMs },
    ],
  ];
}
