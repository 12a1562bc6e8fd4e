// Commands that only look: presence, presence_stats and history (client protocol §5.5, §5.6).
import type { Connection } from '../connection/connection.ts';
import { isReplyError } from '../hub/namespaces.ts';
import type { ChannelOptions } from '../protocol/channel-options.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import type { HistoryRequest } from '../protocol/commands.ts';
import { ReplyErrors } from '../protocol/reply-errors.ts';
import type { CommandDeps } from './command-deps.ts';
import { CommandRefused, ConnectionEnded } from './failure.ts';
import { type Actor, mayReadHistory, mayReadPresence } from './permissions.ts';

export async function presence(
  deps: CommandDeps,
  connection: Connection,
  id: number,
  channel: string,
): Promise<void> {
  allow(deps, connection, channel, mayReadPresence, hasPresence);
  connection.reply(id, { kind: 'presence', presence: await deps.presence.get(channel) });
}

export async function presenceStats(
  deps: CommandDeps,
  connection: Connection,
  id: number,
  channel: string,
): Promise<void> {
  allow(deps, connection, channel, mayReadPresence, hasPresence);
  connection.reply(id, { kind: 'presence_stats', ...(await deps.presence.stats(channel)) });
}

export async function history(
  deps: CommandDeps,
  connection: Connection,
  id: number,
  request: HistoryRequest,
): Promise<void> {
  const { channel, limit, reverse, since } = request;
  const options = allow(deps, connection, channel, mayReadHistory, hasHistory);
  if (reverse && since?.offset === 0) throw new CommandRefused(ReplyErrors.badRequest);
  const max = deps.settings.historyMaxPublications;
  const { publications, top } = await deps.broker.history(channel, {
    limit: limit < 0 ? max : Math.min(limit, max),
    since,
    reverse,
    historyMetaTtlMs: options.historyMetaTtlMs,
  });
  if (since !== undefined && since.epoch !== '' && since.epoch !== top.epoch) {
    throw new CommandRefused(ReplyErrors.unrecoverablePosition);
  }
  connection.reply(id, { kind: 'history', publications, position: top });
}

const hasPresence = (options: ChannelOptions): boolean => options.presence;
const hasHistory = (options: ChannelOptions): boolean => options.historySize > 0;

function allow(
  deps: CommandDeps,
  connection: Connection,
  channel: string,
  may: (options: ChannelOptions, actor: Actor) => boolean,
  isAvailable: (options: ChannelOptions) => boolean,
): ChannelOptions {
  if (channel === '') throw new ConnectionEnded(CloseCauses.badRequest);
  const resolved = deps.namespaces.resolve(channel);
  if (isReplyError(resolved)) throw new CommandRefused(resolved);
  const { options } = resolved;
  if (!isAvailable(options)) throw new CommandRefused(ReplyErrors.notAvailable);
  const actor = {
    user: connection.session.user,
    isSubscribed: connection.subscriptions.get(channel)?.live ?? false,
    insecure: deps.settings.insecure,
  };
  if (!may(options, actor)) throw new CommandRefused(ReplyErrors.permissionDenied);
  return options;
}
