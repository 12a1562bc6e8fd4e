// When connections and subscriptions end by time: what clients are told of it, and how the application prolongs them
// (client protocol §14.4).
import type { Connection } from '../connection/connection.ts';
import type { Subscription } from '../connection/subscription.ts';
import { isReplyError } from '../hub/namespaces.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import { UnsubscribeCodes } from '../protocol/unsubscribe-codes.ts';
import { answerOf, subjectOf } from './asking.ts';
import type { CommandDeps } from './command-deps.ts';
import { ConnectionEnded } from './failure.ts';
import { renewChanInfo, renewConnInfo } from './renewed-info.ts';
import { expiryOf } from './ttl.ts';

/** An application that cannot be reached costs nobody the connection: it is asked again after so long. */
const RETRY_MS = 60_000;

/** When the connection ends on the worker's clock; clients that refresh themselves have a time of grace. */
export function connectionDeadlineMs(connection: Connection, deps: CommandDeps): number {
  const { expireAtWallMs, clientSideRefresh } = connection.session;
  const graceMs = clientSideRefresh ? deps.settings.expiredCloseDelayMs : 0;
  return deps.wheel.nowMs + (expireAtWallMs + graceMs - deps.clock.wallMs());
}

export function onConnectionExpired(connection: Connection, deps: CommandDeps): void {
  const dueMs = connectionDeadlineMs(connection, deps);
  // The wall clock may have been set back meanwhile.
  if (dueMs > deps.wheel.nowMs) connection.dispatch({ type: 'expiry', atMs: dueMs });
  else if (connection.session.clientSideRefresh) connection.close(CloseCauses.expired);
  else connection.keepHere(prolong(connection, deps));
}

async function prolong(connection: Connection, deps: CommandDeps): Promise<void> {
  const { session } = connection;
  const ask = deps.application.refresh;
  try {
    const answer = ask && (await answerOf(ask(subjectOf(connection))));
    const isOver = answer !== undefined && isPast(answer.expireAtMs, deps);
    if (answer === undefined || answer.expired || isOver) throw new ConnectionEnded(CloseCauses.expired);
    session.expireAtWallMs = expiryOf(answer.expireAtMs);
    if (answer.info !== undefined) renewConnInfo(connection, answer.info, deps);
    session.meta = answer.meta ?? session.meta;
  } catch (error) {
    if (error instanceof ConnectionEnded) {
      connection.close(error.close);
      return;
    }
    deps.log.warn({ client: session.client, err: error }, 'connection could not be refreshed');
    session.expireAtWallMs = deps.clock.wallMs() + RETRY_MS;
  }
  connection.dispatch({ type: 'expiry', atMs: connectionDeadlineMs(connection, deps) });
}

export function scheduleSubscriptionExpiry(connection: Connection, deps: CommandDeps): void {
  let earliestMs = Infinity;
  for (const subscription of connection.subscriptions.values()) {
    earliestMs = Math.min(earliestMs, endsAtWallMs(subscription, deps));
  }
  const atMs = deps.wheel.nowMs + (earliestMs - deps.clock.wallMs());
  connection.dispatch({ type: 'subscription_deadline', atMs });
}

export function onSubscriptionDeadline(connection: Connection, deps: CommandDeps): void {
  const nowMs = deps.clock.wallMs();
  for (const subscription of connection.subscriptions.values()) {
    if (endsAtWallMs(subscription, deps) > nowMs) continue;
    const ask = subRefreshHook(subscription, deps);
    if (!subscription.state.clientSideRefresh && ask !== undefined) {
      // Out of the way of the next deadline until the answer is there.
      subscription.state.expireAtWallMs = nowMs + RETRY_MS;
      connection.keepHere(prolongSubscription(subscription, deps, ask));
    } else expireSubscription(subscription, deps);
  }
  scheduleSubscriptionExpiry(connection, deps);
}

type SubRefreshHook = NonNullable<ReturnType<CommandDeps['application']['subRefresh']>>;

async function prolongSubscription(
  subscription: Subscription,
  deps: CommandDeps,
  ask: SubRefreshHook,
): Promise<void> {
  const { connection, state } = subscription;
  try {
    const answer = await answerOf(ask({ subject: subjectOf(connection), channel: state.channel }));
    if (!subscription.live) return;
    if (answer.expired || isPast(answer.expireAtMs, deps)) expireSubscription(subscription, deps);
    else {
      state.expireAtWallMs = expiryOf(answer.expireAtMs);
      renewChanInfo(subscription, answer.info, deps);
    }
  } catch (error) {
    if (error instanceof ConnectionEnded) connection.close(error.close);
    else
      deps.log.warn({ client: connection.session.client, err: error }, 'subscription could not be refreshed');
  }
  scheduleSubscriptionExpiry(connection, deps);
}

/** An answer that ends in the past is none: asking again at once would not stop. */
function isPast(expireAtMs: number, deps: CommandDeps): boolean {
  return expireAtMs !== 0 && expireAtMs <= deps.clock.wallMs();
}

function expireSubscription(subscription: Subscription, deps: CommandDeps): void {
  if (subscription.state.serverSide) subscription.connection.close(CloseCauses.subscriptionExpired);
  else deps.hub.unsubscribe(subscription, UnsubscribeCodes.expired);
}

function endsAtWallMs({ state }: Subscription, deps: CommandDeps): number {
  return state.expireAtWallMs + (state.clientSideRefresh ? deps.settings.expiredSubCloseDelayMs : 0);
}

function subRefreshHook({ state }: Subscription, deps: CommandDeps): SubRefreshHook | undefined {
  const resolved = deps.namespaces.resolve(state.channel);
  return isReplyError(resolved) ? undefined : deps.application.subRefresh(resolved.options.subRefreshProxy);
}
