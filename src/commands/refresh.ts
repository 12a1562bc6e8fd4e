// The refresh and sub_refresh commands (client protocol §5.9, §5.10, §14.3, §14.4).
import { InvalidTokenError, TokenExpiredError } from '../auth/token-errors.ts';
import type { Connection } from '../connection/connection.ts';
import { type CloseCause, CloseCauses } from '../protocol/close-causes.ts';
import { ReplyErrors } from '../protocol/reply-errors.ts';
import type { CommandDeps } from './command-deps.ts';
import { connectionDeadlineMs, scheduleSubscriptionExpiry } from './expiry.ts';
import { CommandRefused, ConnectionEnded } from './failure.ts';
import { renewChanInfo, renewConnInfo } from './renewed-info.ts';
import { expiryOf, ttlSeconds } from './ttl.ts';

export async function refresh(
  deps: CommandDeps,
  connection: Connection,
  id: number,
  token: string,
): Promise<void> {
  const { session } = connection;
  if (token === '' || !session.clientSideRefresh) throw new ConnectionEnded(CloseCauses.badRequest);
  const claims = await deps.verifier
    .verifyConnection(token, true)
    .catch((error: unknown) => refuse(deps, connection, error, CloseCauses.expired));
  if (connection.isClosed) return;
  if (claims.user !== session.user) throw new ConnectionEnded(CloseCauses.invalidToken);
  const channels = [...claims.subs.keys()].toSorted();
  const isSame =
    channels.length === session.tokenChannels.length &&
    channels.every((channel, index) => channel === session.tokenChannels[index]);
  if (!isSame) throw new ConnectionEnded(CloseCauses.insufficientState);
  const expireAtWallMs = expiryOf(claims.expiresAtMs);
  if (expireAtWallMs <= deps.clock.wallMs()) throw new CommandRefused(ReplyErrors.expired);
  session.expireAtWallMs = expireAtWallMs;
  renewConnInfo(connection, claims.info, deps);
  session.meta = claims.meta;
  connection.dispatch({ type: 'expiry', atMs: connectionDeadlineMs(connection, deps) });
  const ttlS = ttlSeconds(expireAtWallMs, deps.clock.wallMs());
  connection.reply(id, { kind: 'refresh', result: { client: session.client, version: deps.version, ttlS } });
}

export async function subRefresh(
  deps: CommandDeps,
  connection: Connection,
  command: { readonly id: number; readonly channel: string; readonly token: string; readonly type: number },
): Promise<void> {
  const { id, channel, token, type } = command;
  if (channel === '') throw new ConnectionEnded(CloseCauses.badRequest);
  if (type !== 0) throw new CommandRefused(ReplyErrors.notAvailable);
  if (!(connection.subscriptions.get(channel)?.live ?? false)) {
    throw new CommandRefused(ReplyErrors.permissionDenied);
  }
  if (token === '') throw new CommandRefused(ReplyErrors.badRequest);
  const claims = await deps.verifier
    .verifySubscription(token)
    .catch((error: unknown) => refuse(deps, connection, error, CloseCauses.subscriptionExpired));
  if (connection.isClosed) return;
  const { user, client } = connection.session;
  const isForThis =
    claims.channel === channel && claims.user === user && (claims.client === '' || claims.client === client);
  if (!isForThis) throw new ConnectionEnded(CloseCauses.invalidToken);
  const subscription = connection.subscriptions.get(channel);
  // It may have ended while the token was verified.
  if (subscription === undefined) throw new CommandRefused(ReplyErrors.permissionDenied);
  const expireAtWallMs = expiryOf(claims.expiresAtMs);
  if (expireAtWallMs <= deps.clock.wallMs()) throw new CommandRefused(ReplyErrors.expired);
  subscription.state.expireAtWallMs = expireAtWallMs;
  renewChanInfo(subscription, claims.info, deps);
  scheduleSubscriptionExpiry(connection, deps);
  connection.reply(id, {
    kind: 'sub_refresh',
    ttlS: ttlSeconds(expireAtWallMs, deps.clock.wallMs()),
  });
}

function refuse(deps: CommandDeps, connection: Connection, error: unknown, whenExpired: CloseCause): never {
  if (error instanceof TokenExpiredError) throw new ConnectionEnded(whenExpired);
  if (!(error instanceof InvalidTokenError)) throw error;
  deps.log.info({ client: connection.session.client, reason: error.message }, 'refresh token refused');
  throw new ConnectionEnded(CloseCauses.invalidToken);
}
