// When connections and subscriptions end by time, and what clients are told of it (client protocol §14.4).
import type { Connection } from '../connection/connection.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import { UnsubscribeCodes } from '../protocol/unsubscribe-codes.ts';
import type { CommandDeps } from './command-deps.ts';

/** Timers of some clients overflow beyond it. */
const MAX_TTL_S = 365 * 24 * 3600;

/** Seconds until a client must refresh, at least 1; undefined when it need not. */
export function ttlSeconds(expireAtWallMs: number, nowWallMs: number): number | undefined {
  if (expireAtWallMs === Infinity) return undefined;
  return Math.min(Math.max(Math.ceil((expireAtWallMs - nowWallMs) / 1000), 1), MAX_TTL_S);
}

/** 0 stands for "never" in tokens and hooks. */
export function expiryOf(expiresAtMs: number): number {
  return expiresAtMs === 0 ? Infinity : expiresAtMs;
}

/** When the connection ends on the worker's clock, the grace time included. */
export function connectionDeadlineMs(connection: Connection, deps: CommandDeps): number {
  const { expireAtWallMs, clientSideRefresh } = connection.session;
  const graceMs = clientSideRefresh ? deps.settings.expiredCloseDelayMs : 0;
  return deps.wheel.nowMs + (expireAtWallMs + graceMs - deps.clock.wallMs());
}

export function onConnectionExpired(connection: Connection, deps: CommandDeps): void {
  const dueMs = connectionDeadlineMs(connection, deps);
  // The wall clock may have been set back meanwhile.
  if (dueMs > deps.wheel.nowMs) connection.dispatch({ type: 'expiry', atMs: dueMs });
  else connection.close(CloseCauses.expired);
}

export function scheduleSubscriptionExpiry(connection: Connection, deps: CommandDeps): void {
  let earliestMs = Infinity;
  for (const { state } of connection.subscriptions.values()) {
    earliestMs = Math.min(earliestMs, state.expireAtWallMs);
  }
  const atMs = deps.wheel.nowMs + (earliestMs + deps.settings.expiredSubCloseDelayMs - deps.clock.wallMs());
  connection.dispatch({ type: 'subscription_deadline', atMs });
}

export function onSubscriptionDeadline(connection: Connection, deps: CommandDeps): void {
  const endedBeforeMs = deps.clock.wallMs() - deps.settings.expiredSubCloseDelayMs;
  for (const subscription of connection.subscriptions.values()) {
    if (subscription.state.expireAtWallMs > endedBeforeMs) continue;
    if (subscription.state.serverSide) {
      connection.close(CloseCauses.subscriptionExpired);
      return;
    }
    deps.hub.unsubscribe(subscription, UnsubscribeCodes.expired);
  }
  scheduleSubscriptionExpiry(connection, deps);
}
