// The life of one connection as a pure function: what happened, and what follows from it. All times are milliseconds on
// the worker's attentive clock (util/deadline-wheel.ts); Infinity is "never".
import { type CloseCause, CloseCauses } from '../protocol/close-causes.ts';
import type { CommandKind } from '../protocol/commands.ts';

/**
 * opened: nothing said yet · connecting: the connect command is being decided · live · refused: connect was answered with
 * an error, the client may only leave · closed.
 */
export type ConnectionPhase = 'opened' | 'connecting' | 'live' | 'refused' | 'closed';

export interface ConnectionState {
  readonly phase: ConnectionPhase;
  readonly staleAtMs: number;
  readonly pingAtMs: number;
  /** Set while a ping is unanswered. */
  readonly pongByMs: number;
  readonly expireAtMs: number;
  /** Earliest deadline among the subscriptions. */
  readonly subscriptionAtMs: number;
  /** The peer has sent too much: it is read again from then on. Infinity while it is read. */
  readonly readAtMs: number;
  /** The peer is not read while its commands wait: a pong may lie unread. */
  readonly isPaused: boolean;
}

export interface HeartbeatTiming {
  /** 0: the client is never pinged (unidirectional transports may choose so). */
  readonly pingIntervalMs: number;
  /** 0: pongs are not awaited. */
  readonly pongTimeoutMs: number;
}

export type ConnectionEvent =
  | { readonly type: 'command'; readonly kind: CommandKind }
  | {
      readonly type: 'accepted';
      readonly nowMs: number;
      readonly expireAtMs: number;
      /** 0..1, spreads first pings over half an interval (§9). */
      readonly jitter: number;
    }
  | { readonly type: 'refused' }
  | { readonly type: 'expiry'; readonly atMs: number }
  | { readonly type: 'subscription_deadline'; readonly atMs: number }
  /** The peer has sent more than it may: nothing of it is read until then. */
  | { readonly type: 'throttled'; readonly untilMs: number }
  /** Reading stops, or goes on, for the sake of commands that wait. */
  | { readonly type: 'paused'; readonly isPaused: boolean; readonly nowMs: number }
  /** The ping could not be sent: nothing is to be answered. */
  | { readonly type: 'ping_skipped' }
  | { readonly type: 'deadline'; readonly nowMs: number }
  | { readonly type: 'close'; readonly cause: CloseCause }
  | { readonly type: 'transport_closed'; readonly cause: CloseCause };

export type ConnectionEffect =
  | { readonly type: 'run' }
  | { readonly type: 'send_ping' }
  | { readonly type: 'expire' }
  | { readonly type: 'check_subscriptions' }
  | { readonly type: 'read_again' }
  /** Clean up and tell the peer. */
  | { readonly type: 'close'; readonly cause: CloseCause }
  /** Clean up; the peer is gone already. */
  | { readonly type: 'release'; readonly cause: CloseCause };

export type ConnectionTransition = readonly [ConnectionState, readonly ConnectionEffect[]];

const NONE: readonly ConnectionEffect[] = [];
const RUN: readonly ConnectionEffect[] = [{ type: 'run' }];

export function openedState(staleAtMs: number): ConnectionState {
  return {
    phase: 'opened',
    staleAtMs,
    pingAtMs: Infinity,
    pongByMs: Infinity,
    expireAtMs: Infinity,
    subscriptionAtMs: Infinity,
    readAtMs: Infinity,
    isPaused: false,
  };
}

/** Deadlines as spans from this moment of the clock they are on, for another process. */
export function relativeTo(state: ConnectionState, nowMs: number): ConnectionState {
  return shifted(state, -nowMs);
}

/** Spans as deadlines from this moment on. */
export function absoluteFrom(state: ConnectionState, nowMs: number): ConnectionState {
  return shifted(state, nowMs);
}

function shifted(state: ConnectionState, byMs: number): ConnectionState {
  return {
    ...state,
    staleAtMs: state.staleAtMs + byMs,
    pingAtMs: state.pingAtMs + byMs,
    pongByMs: state.pongByMs + byMs,
    expireAtMs: state.expireAtMs + byMs,
    subscriptionAtMs: state.subscriptionAtMs + byMs,
    readAtMs: state.readAtMs + byMs,
  };
}

export function nextDeadlineMs(state: ConnectionState): number {
  const { staleAtMs, pingAtMs, pongByMs, expireAtMs, subscriptionAtMs, readAtMs } = state;
  return Math.min(staleAtMs, pingAtMs, pongByMs, expireAtMs, subscriptionAtMs, readAtMs);
}

export function transition(
  state: ConnectionState,
  event: ConnectionEvent,
  timing: HeartbeatTiming,
): ConnectionTransition {
  if (state.phase === 'closed') return [state, NONE];
  switch (event.type) {
    case 'command':
      return onCommand(state, event.kind);
    case 'accepted':
      if (state.phase !== 'connecting') return [state, NONE];
      return [
        {
          ...state,
          phase: 'live',
          staleAtMs: Infinity,
          expireAtMs: event.expireAtMs,
          pingAtMs:
            timing.pingIntervalMs === 0
              ? Infinity
              : event.nowMs + timing.pingIntervalMs * (0.5 + event.jitter / 2),
        },
        NONE,
      ];
    case 'refused':
      return state.phase === 'connecting' ? [{ ...state, phase: 'refused' }, NONE] : [state, NONE];
    case 'expiry':
      return [{ ...state, expireAtMs: event.atMs }, NONE];
    case 'subscription_deadline':
      return state.subscriptionAtMs === event.atMs
        ? [state, NONE]
        : [{ ...state, subscriptionAtMs: event.atMs }, NONE];
    case 'throttled':
      return [
        { ...state, readAtMs: event.untilMs, pongByMs: pongDeadlineMs(state, event.untilMs, timing) },
        NONE,
      ];
    case 'paused':
      return [
        { ...state, isPaused: event.isPaused, pongByMs: pongDeadlineMs(state, event.nowMs, timing) },
        NONE,
      ];
    case 'ping_skipped':
      return [{ ...state, pongByMs: Infinity }, NONE];
    case 'deadline':
      return onDeadline(state, event.nowMs, timing);
    case 'close':
      return close(state, event.cause);
    case 'transport_closed':
      return [closed(state), [{ type: 'release', cause: event.cause }]];
  }
}

/** A pong that is not read cannot be missed: its time begins when the peer is read again. */
function pongDeadlineMs(state: ConnectionState, readAtMs: number, timing: HeartbeatTiming): number {
  if (state.pongByMs === Infinity) return Infinity;
  return Math.max(state.pongByMs, readAtMs + timing.pongTimeoutMs);
}

/** Nothing changes, and the command is carried out: what nearly all commands come to, told without making an event. */
export function justRuns({ phase }: ConnectionState, kind: CommandKind): boolean {
  return phase === 'live' && kind !== 'connect' && kind !== 'pong';
}

function onCommand(state: ConnectionState, kind: CommandKind): ConnectionTransition {
  if (justRuns(state, kind)) return [state, RUN];
  if (state.phase === 'opened') {
    return kind === 'connect'
      ? [{ ...state, phase: 'connecting' }, RUN]
      : close(state, CloseCauses.badRequest);
  }
  if (state.phase !== 'live' || kind === 'connect') return close(state, CloseCauses.badRequest);
  if (state.pongByMs === Infinity) return close(state, CloseCauses.badRequest);
  return [{ ...state, pongByMs: Infinity }, NONE];
}

function onDeadline(state: ConnectionState, nowMs: number, timing: HeartbeatTiming): ConnectionTransition {
  if (nowMs >= state.staleAtMs) return close(state, CloseCauses.stale);
  const isPongDue = nowMs >= state.pongByMs;
  if (isPongDue && !state.isPaused) return close(state, CloseCauses.noPong);
  let next = isPongDue ? { ...state, pongByMs: nowMs + timing.pongTimeoutMs } : state;
  const effects: ConnectionEffect[] = [];
  if (nowMs >= state.pingAtMs && state.pongByMs !== Infinity) {
    // One is on its way already, perhaps unread by us; two pings would make two pongs.
    next = { ...next, pingAtMs: nowMs + timing.pingIntervalMs };
  } else if (nowMs >= state.pingAtMs) {
    effects.push({ type: 'send_ping' });
    next = {
      ...next,
      pingAtMs: nowMs + timing.pingIntervalMs,
      pongByMs:
        timing.pongTimeoutMs === 0
          ? Infinity
          : (state.readAtMs === Infinity ? nowMs : Math.max(nowMs, state.readAtMs)) + timing.pongTimeoutMs,
    };
  }
  if (nowMs >= state.expireAtMs) {
    effects.push({ type: 'expire' });
    next = { ...next, expireAtMs: Infinity };
  }
  if (nowMs >= state.subscriptionAtMs) {
    effects.push({ type: 'check_subscriptions' });
    next = { ...next, subscriptionAtMs: Infinity };
  }
  if (nowMs >= state.readAtMs) {
    effects.push({ type: 'read_again' });
    next = { ...next, readAtMs: Infinity };
  }
  return [next, effects];
}

function close(state: ConnectionState, cause: CloseCause): ConnectionTransition {
  return [closed(state), [{ type: 'close', cause }]];
}

function closed(state: ConnectionState): ConnectionState {
  return {
    ...state,
    phase: 'closed',
    staleAtMs: Infinity,
    pingAtMs: Infinity,
    pongByMs: Infinity,
    expireAtMs: Infinity,
    subscriptionAtMs: Infinity,
    readAtMs: Infinity,
  };
}
