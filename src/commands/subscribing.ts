// From "may subscribe" to a live subscription: what client-side and server-side subscriptions have in common.
import type { ChannelOverride } from '../auth/claim-types.ts';
import type { Connection } from '../connection/connection.ts';
import { Subscription, type SubscriptionState } from '../connection/subscription.ts';
import { type Joined, join } from '../hub/joining.ts';
import type { RecoveryRequest } from '../hub/recovery.ts';
import type { ChannelOptions } from '../protocol/channel-options.ts';
import type { SubscribeRequest } from '../protocol/commands.ts';
import type { ClientInfo, Publication } from '../protocol/publication.ts';
import type { DeliveredPublication, SubscribeResult } from '../protocol/replies.ts';
import { ReplyErrors } from '../protocol/reply-errors.ts';
import { InvalidTagsFilterError, parseTagsFilter, type TagsFilter } from '../protocol/tags-filter.ts';
import { inDeltaForm } from '../hub/channel-item.ts';
import type { CommandDeps } from './command-deps.ts';
import { CommandRefused } from './failure.ts';
import { mayReadHistory, mayReadPresence } from './permissions.ts';
import { ttlSeconds } from './ttl.ts';

/** What somebody who decides about a subscription (a token, a hook, the namespace) grants along with it. */
export interface Grant {
  /** Raw JSON, becomes `chan_info`. */
  readonly info: Buffer | undefined;
  /** Raw JSON for the subscribe reply. */
  readonly data: Buffer | undefined;
  /** Unix milliseconds; Infinity is never. */
  readonly expireAtWallMs: number;
  readonly clientSideRefresh: boolean;
  readonly override: ChannelOverride;
}

export const PLAIN_GRANT: Grant = Object.freeze({
  info: undefined,
  data: undefined,
  expireAtWallMs: Infinity,
  clientSideRefresh: false,
  override: {},
});

export interface StartedSubscription {
  readonly result: SubscribeResult;
  readonly joined: Joined;
}

/** Undefined when the connection or the subscription ended meanwhile. */
export async function startSubscription(
  deps: CommandDeps,
  connection: Connection,
  request: SubscribeRequest,
  options: ChannelOptions,
  grant: Grant,
  serverSide: boolean,
): Promise<StartedSubscription | undefined> {
  const effective: ChannelOptions = { ...options, ...grant.override };
  const filter = serverSide ? undefined : tagsFilterOf(request, effective);
  const state = subscriptionState(deps, connection, request, effective, grant, serverSide, filter);
  const recovery = state.recoverable ? recoveryRequest(request, effective) : undefined;
  const subscription = new Subscription(connection, state, 0, filter?.matches);
  const joined = await join(
    {
      hub: deps.hub,
      broker: deps.broker,
      presence: deps.presence,
      maxRecoveredPublications: deps.settings.recoveryMaxPublications,
    },
    subscription,
    { historyMetaTtlMs: effective.historyMetaTtlMs, recovery },
  );
  if (joined === undefined) return undefined;
  const publications = forSubscriber(joined.publications, state, filter);
  if (joined.recovery !== undefined) {
    deps.counters.recoveries.cell(joined.recovery.recovered ? 'recovered' : 'lost').value += 1;
  }
  return {
    joined,
    result: {
      ttlS: grant.clientSideRefresh ? ttlSeconds(grant.expireAtWallMs, deps.clock.wallMs()) : undefined,
      recoverable: state.recoverable,
      positioned: state.positioned,
      position: joined.position,
      publications,
      recovered: joined.recovery?.recovered,
      wasRecovering: request.recover && state.recoverable,
      delta: state.delta,
      data: grant.data,
    },
  };
}

function subscriptionState(
  deps: CommandDeps,
  connection: Connection,
  request: SubscribeRequest,
  options: ChannelOptions,
  grant: Grant,
  serverSide: boolean,
  filter: TagsFilter | undefined,
): SubscriptionState {
  const { user } = connection.session;
  const actor = { user, isSubscribed: true, insecure: deps.settings.insecure };
  const hasHistory = options.historySize > 0;
  const readsHistory = mayReadHistory(options, actor);
  const wishesRecovery = request.recoverable && (options.allowRecovery || readsHistory);
  const recoverable = hasHistory && (options.forceRecovery || wishesRecovery);
  const wishesPosition = request.positioned && (options.allowPositioning || readsHistory);
  const wishesJoinLeave = request.joinLeave && mayReadPresence(options, actor);
  return {
    channel: request.channel,
    positioned: hasHistory && (recoverable || options.forcePositioning || wishesPosition),
    delta: filter === undefined && options.allowedDeltaTypes.some((type) => type === request.delta),
    serverSide,
    recoverable,
    joinLeavePushes: options.joinLeave && (options.forcePushJoinLeave || wishesJoinLeave),
    announced: options.joinLeave,
    inPresence: options.presence,
    filter: filter?.source,
    info: clientInfo(connection, grant.info),
    expireAtWallMs: grant.expireAtWallMs,
    clientSideRefresh: grant.clientSideRefresh,
    deltaBase: 0,
    offset: 0,
    epoch: '',
  };
}

export function clientInfo(connection: Connection, chanInfo: Buffer | undefined): ClientInfo {
  const { user, client, connInfo } = connection.session;
  return { user, client, connInfo, chanInfo };
}

function tagsFilterOf(request: SubscribeRequest, options: ChannelOptions): TagsFilter | undefined {
  if (request.filter === undefined) return undefined;
  if (!options.allowTagsFilter) throw new CommandRefused(ReplyErrors.badRequest);
  try {
    return parseTagsFilter(request.filter);
  } catch (error) {
    if (error instanceof InvalidTagsFilterError) throw new CommandRefused(ReplyErrors.badRequest);
    throw error;
  }
}

/** Recovered publications as this subscriber gets them: filtered and, with deltas, in their form (§16, §17). */
function forSubscriber(
  publications: readonly Publication[],
  state: SubscriptionState,
  filter: TagsFilter | undefined,
): readonly DeliveredPublication[] {
  const wanted =
    filter === undefined ? publications : publications.filter(({ tags }) => filter.matches(tags));
  if (!state.delta) return wanted;
  state.deltaBase = wanted.at(-1)?.offset ?? 0;
  return wanted.map((publication) => inDeltaForm(publication));
}

function recoveryRequest(request: SubscribeRequest, options: ChannelOptions): RecoveryRequest | undefined {
  const mode = options.forceRecoveryMode;
  if (!request.recover && !(mode === 'cache' && options.autoCacheRecover)) return undefined;
  return { since: { offset: request.offset, epoch: request.epoch }, mode };
}
