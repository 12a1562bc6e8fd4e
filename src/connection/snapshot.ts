// A connection written down for its way to another worker, and its times on arrival there.
import type { Command } from '../protocol/commands.ts';
import type { Clock } from '../util/clock.ts';
import { absoluteFrom, type ConnectionState, relativeTo } from './connection-state.ts';
import { SESSION_SCHEMA, type Session, type SessionSnapshot } from './session.ts';
import type { Subscription } from './subscription.ts';
import type { Transport } from './transport.ts';

/** Between two workers; deadlines stand still beyond it. */
const MAX_WAY_MS = 1000;

interface Parts {
  readonly transport: Transport;
  readonly session: Session;
  readonly subscriptions: ReadonlyMap<string, Subscription>;
}

interface Times {
  readonly clock: Clock;
  readonly wheel: { readonly nowMs: number };
}

export function snapshotOf(
  { transport, session, subscriptions }: Parts,
  state: ConnectionState,
  inbox: readonly Command[],
  { clock, wheel }: Times,
): SessionSnapshot {
  return {
    schema: SESSION_SCHEMA,
    transport: transport.kind,
    formatIndex: transport.format.index,
    session,
    lifecycle: relativeTo(state, wheel.nowMs),
    takenAtMs: clock.monotonicMs(),
    inbox,
    subscriptions: [...subscriptions.values()].map((subscription) => subscription.state),
  };
}

export function stateOnArrival(
  { lifecycle, takenAtMs }: SessionSnapshot,
  { clock, wheel }: Times,
): ConnectionState {
  // A way that took long was our own fault, as a stall is.
  const tookMs = Math.min(clock.monotonicMs() - takenAtMs, MAX_WAY_MS);
  return absoluteFrom(lifecycle, wheel.nowMs - tookMs);
}
