// A server-side subscription on a live connection, as the server API orders it (client protocol §15).
import type { Connection } from '../connection/connection.ts';
import type { SubscribeControl } from '../hub/control-messages.ts';
import type { ChannelOptions } from '../protocol/channel-options.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import { PLAIN_SUBSCRIBE } from '../protocol/commands.ts';
import type { CommandDeps } from './command-deps.ts';
import { scheduleSubscriptionExpiry } from './expiry.ts';
import { type Grant, startSubscription } from './subscribing.ts';
import { expiryOf } from './ttl.ts';

/** Does nothing where the channel is subscribed to already. Rejects with UnavailableError. */
export async function subscribeByServer(
  deps: CommandDeps,
  connection: Connection,
  order: SubscribeControl,
  options: ChannelOptions,
): Promise<void> {
  const { channel, recoverSince } = order;
  const grant = grantOf(order);
  if (connection.subscriptions.has(channel) || grant.expireAtWallMs <= deps.clock.wallMs()) return;
  if (connection.subscriptions.size >= deps.settings.channelLimit) {
    connection.close(CloseCauses.channelLimit);
    return;
  }
  const request = { ...PLAIN_SUBSCRIBE, channel, ...(recoverSince && { ...recoverSince, recover: true }) };
  const started = await startSubscription(deps, connection, request, options, grant, true);
  if (started === undefined) return;
  const { joined, result } = started;
  const { publications, recovered: _, wasRecovering: _was, ...announced } = result;
  connection.push({ kind: 'subscribe', channel, result: announced });
  // The push has no room for what was missed: it follows as if it were published now.
  for (const publication of publications ?? [])
    connection.push({ kind: 'publication', channel, publication });
  joined.start();
  if (grant.expireAtWallMs !== Infinity) scheduleSubscriptionExpiry(connection, deps);
}

function grantOf({ info, data, expireAt, override, recoverSince }: SubscribeControl): Grant {
  const { presence, joinLeave, forceRecovery, forcePositioning, forcePushJoinLeave } = override;
  return {
    info: bytesOf(info),
    data: bytesOf(data),
    expireAtWallMs: expiryOf(expireAt * 1000),
    clientSideRefresh: false,
    override: {
      // Whoever says from where to recover wants it recoverable.
      ...(recoverSince && { forceRecovery: true }),
      ...(presence !== undefined && { presence }),
      ...(joinLeave !== undefined && { joinLeave }),
      ...(forceRecovery !== undefined && { forceRecovery }),
      ...(forcePositioning !== undefined && { forcePositioning }),
      ...(forcePushJoinLeave !== undefined && { forcePushJoinLeave }),
    },
  };
}

function bytesOf(base64: string | undefined): Buffer | undefined {
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64');
}
