// The subscribe and unsubscribe commands (client protocol §5.2, §5.3, §11).
import { InvalidTokenError, TokenExpiredError } from '../auth/token-errors.ts';
import type { Connection } from '../connection/connection.ts';
import type { Subscription } from '../connection/subscription.ts';
import { isReplyError, type ResolvedChannel } from '../hub/namespaces.ts';
import type { ChannelOptions } from '../protocol/channel-options.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import { SUBSCRIBE_FLAG_REJECT_UNRECOVERED, type SubscribeRequest } from '../protocol/commands.ts';
import { ReplyErrors } from '../protocol/reply-errors.ts';
import { UnsubscribeCodes } from '../protocol/unsubscribe-codes.ts';
import { answerOf, grantOf, subjectOf } from './asking.ts';
import type { CommandDeps } from './command-deps.ts';
import { scheduleSubscriptionExpiry } from './expiry.ts';
import { CommandRefused, ConnectionEnded } from './failure.ts';
import { maySubscribe } from './permissions.ts';
import { type Grant, PLAIN_GRANT, startSubscription } from './subscribing.ts';
import { expiryOf } from './ttl.ts';
import type { UserSlots } from './user-slots.ts';

export async function subscribe(
  deps: CommandDeps,
  connection: Connection,
  id: number,
  request: SubscribeRequest,
): Promise<void> {
  const { channel } = request;
  if (channel === '') throw new ConnectionEnded(CloseCauses.badRequest);
  const resolved = deps.namespaces.resolve(channel);
  if (isReplyError(resolved)) throw new CommandRefused(resolved);
  checkRoom(deps, connection, channel);
  // Map and shared-poll subscriptions are not offered.
  if (request.type !== 0) throw new CommandRefused(ReplyErrors.notAvailable);
  const grant = await decide(deps, connection, request, resolved);
  if (connection.isClosed) return;
  const { userSubscriptions } = deps;
  const { user, client } = connection.session;
  if (userSubscriptions === undefined || user === '') {
    await begin(deps, connection, id, request, resolved.options, grant);
    return;
  }
  const key = slotKey(client, channel);
  if (!(await userSubscriptions.claim(user, key, () => !connection.isClosed))) {
    throw new CommandRefused(ReplyErrors.limitExceeded);
  }
  try {
    if (!connection.isClosed) await begin(deps, connection, id, request, resolved.options, grant);
  } finally {
    // The place is held as long as there is a client-side subscription, whichever command made it.
    if (connection.subscriptions.get(channel)?.state.serverSide ?? true) userSubscriptions.release(user, key);
  }
}

/** A live subscription has ended: what it held of its user's limit is free again. */
export function releaseSlot(userSubscriptions: UserSlots | undefined, subscription: Subscription): void {
  const { connection, state } = subscription;
  const { user, client } = connection.session;
  if (user !== '' && !state.serverSide) userSubscriptions?.release(user, slotKey(client, state.channel));
}

export function slotKey(client: string, channel: string): string {
  return `${client} ${channel}`;
}

async function begin(
  deps: CommandDeps,
  connection: Connection,
  id: number,
  request: SubscribeRequest,
  options: ChannelOptions,
  grant: Grant,
): Promise<void> {
  const { channel } = request;
  // While the decision was awaited other subscriptions may have come (concurrency, server side).
  checkRoom(deps, connection, channel);
  const started = await startSubscription(deps, connection, request, options, grant, false);
  if (started === undefined) {
    if (connection.isClosed) return;
    // The server has unsubscribed it meanwhile.
    throw new CommandRefused(ReplyErrors.permissionDenied);
  }
  const { result, joined } = started;
  const isLost = request.recover && joined.recovery?.recovered === false;
  if (isLost && (request.flag & SUBSCRIBE_FLAG_REJECT_UNRECOVERED) !== 0) {
    joined.cancel();
    throw new CommandRefused(ReplyErrors.unrecoverablePosition);
  }
  connection.reply(id, { kind: 'subscribe', result });
  joined.start();
  if (grant.expireAtWallMs !== Infinity) scheduleSubscriptionExpiry(connection, deps);
}

function checkRoom(deps: CommandDeps, { subscriptions }: Connection, channel: string): void {
  if (subscriptions.has(channel)) throw new CommandRefused(ReplyErrors.alreadySubscribed);
  if (subscriptions.size >= deps.settings.channelLimit) throw new CommandRefused(ReplyErrors.limitExceeded);
}

export function unsubscribe(deps: CommandDeps, connection: Connection, id: number, channel: string): void {
  if (channel === '') throw new ConnectionEnded(CloseCauses.badRequest);
  const subscription = connection.subscriptions.get(channel);
  if (subscription !== undefined) deps.hub.leave(subscription, UnsubscribeCodes.client);
  connection.reply(id, { kind: 'unsubscribe' });
}

/** The order of checks is the protocol's (§11, from step 4). */
async function decide(
  deps: CommandDeps,
  connection: Connection,
  request: SubscribeRequest,
  resolved: ResolvedChannel,
): Promise<Grant> {
  const { user } = connection.session;
  const { insecure } = deps.settings;
  const { options } = resolved;
  if (request.token !== '') return byToken(deps, connection, request, options);
  if (resolved.isPrivate && !insecure) throw new CommandRefused(ReplyErrors.permissionDenied);
  // Where user-limited channels are not allowed, the boundary is a character like any other.
  if (resolved.users !== undefined && options.allowUserLimitedChannels && !insecure) {
    if (user === '' || !resolved.users.includes(user)) {
      throw new CommandRefused(ReplyErrors.permissionDenied);
    }
    return PLAIN_GRANT;
  }
  const ask = deps.application.subscribe(options.subscribeProxy);
  if (ask !== undefined) {
    const { channel, token, data } = request;
    const answer = await answerOf(ask({ subject: subjectOf(connection), channel, token, data }));
    const grant = grantOf(answer, deps.application.subRefresh(options.subRefreshProxy) === undefined);
    if (grant.expireAtWallMs <= deps.clock.wallMs()) throw new CommandRefused(ReplyErrors.expired);
    return grant;
  }
  if (!maySubscribe(options, { user, isSubscribed: false, insecure })) {
    throw new CommandRefused(ReplyErrors.permissionDenied);
  }
  return PLAIN_GRANT;
}

async function byToken(
  deps: CommandDeps,
  connection: Connection,
  request: SubscribeRequest,
  options: ChannelOptions,
): Promise<Grant> {
  const { session } = connection;
  const claims = await deps.verifier.verifySubscription(request.token).catch((error: unknown) => {
    if (error instanceof TokenExpiredError) throw new CommandRefused(ReplyErrors.tokenExpired);
    if (!(error instanceof InvalidTokenError)) throw error;
    deps.log.info({ client: session.client, reason: error.message }, 'subscription token refused');
    throw new CommandRefused(ReplyErrors.permissionDenied);
  });
  const isForThis =
    claims.channel === request.channel &&
    claims.user === session.user &&
    (claims.client === '' || claims.client === session.client);
  if (!isForThis) throw new ConnectionEnded(CloseCauses.invalidToken);
  const expireAtWallMs = expiryOf(claims.expiresAtMs);
  if (expireAtWallMs <= deps.clock.wallMs()) throw new CommandRefused(ReplyErrors.expired);
  return {
    info: claims.info,
    data: claims.data,
    expireAtWallMs,
    clientSideRefresh:
      expireAtWallMs !== Infinity && deps.application.subRefresh(options.subRefreshProxy) === undefined,
    override: claims.override,
  };
}
