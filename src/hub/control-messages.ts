// What nodes tell and ask each other about connections, over the NodeBus: commands of the server API that every worker
// carries out on its own connections, and surveys that every worker answers. Payload bytes travel as base64.
import { z } from 'zod';

export const ControlKinds = {
  subscribe: 'control.subscribe',
  unsubscribe: 'control.unsubscribe',
  disconnect: 'control.disconnect',
  refresh: 'control.refresh',
} as const;

export const SurveyKinds = {
  info: 'survey.info',
  channels: 'survey.channels',
  connections: 'survey.connections',
} as const;

/** Whom a command concerns: every member that is there must match; no member at all means everyone. */
const target = z.object({
  /** Empty: anonymous connections. */
  user: z.string().optional(),
  client: z.string().optional(),
  session: z.string().optional(),
  /** Connections subscribed to this channel. */
  channel: z.string().optional(),
});

/** At most so many connections a second on each node; 0: all at once. */
const perSecond = z.number().nonnegative();

export const subscribeControl = z.object({
  target,
  channel: z.string(),
  /** `chan_info`. */
  info: z.base64().optional(),
  /** Sent with the subscribe push. */
  data: z.base64().optional(),
  /** Unix seconds; 0: never. */
  expireAt: z.number(),
  recoverSince: z.object({ offset: z.number(), epoch: z.string() }).optional(),
  /** What differs from the options of the channel. */
  override: z.object({
    presence: z.boolean().optional(),
    joinLeave: z.boolean().optional(),
    forceRecovery: z.boolean().optional(),
    forcePositioning: z.boolean().optional(),
    forcePushJoinLeave: z.boolean().optional(),
  }),
  perSecond,
});

export const unsubscribeControl = z.object({
  target,
  /** Empty: all channels of the connection. */
  channel: z.string(),
  perSecond,
});

export const disconnectControl = z.object({
  target,
  /** Client ids that stay. */
  whitelist: z.array(z.string()),
  code: z.number(),
  reason: z.string(),
  perSecond,
});

export const refreshControl = z.object({
  target,
  /** True: the connection has expired (close 3005). */
  expired: z.boolean(),
  /** Unix seconds; 0: never. */
  expireAt: z.number(),
  info: z.base64().optional(),
  perSecond,
});

/** What one node says about itself (server API §2.12). */
export const nodeInfo = z.object({
  uid: z.string(),
  name: z.string(),
  version: z.string(),
  num_clients: z.number(),
  num_users: z.number(),
  num_channels: z.number(),
  num_subs: z.number(),
  /** Seconds. */
  uptime: z.number(),
  /** CPU in percent of one core, resident memory in bytes. */
  process: z.object({ cpu: z.number(), rss: z.number() }).optional(),
  /** New connections a second that it takes: 0 for none at all, left out until that was measured. */
  accept_rate: z.number().optional(),
});

/** Part of a long list: at most `limit` items (0: all) whose key sorts after `after`, by UTF-16 code units. */
const page = { after: z.string(), limit: z.number() };

export const channelsSurvey = z.object({
  /** Glob; empty: all channels. */
  pattern: z.string(),
  ...page,
});

/** Names and numbers of subscribers on the node that answers, sorted by name when there is a limit. */
export const channelsAnswer = z.array(z.tuple([z.string(), z.number()]));

export const connectionsSurvey = z.object({
  target,
  ...page,
});

export const connectionDetails = z.object({
  client: z.string(),
  user: z.string(),
  transport: z.string(),
  protocol: z.string(),
  app_name: z.string(),
  app_version: z.string(),
  /** Unix milliseconds. */
  connected_at_ms: z.number(),
  /** Unix milliseconds of the last frame from the client. */
  last_activity_ms: z.number(),
  /** Channels it is subscribed to. */
  channels: z.array(z.string()),
  /** Bytes that the client has not taken yet. */
  outbox_bytes: z.number(),
  /** Between the last ping and its pong. */
  ping_pong_latency_ms: z.number().optional(),
  remote_address: z.string(),
  user_agent: z.string(),
});

export const connectionsAnswer = z.array(connectionDetails);

export type ControlTarget = z.output<typeof target>;
export type SubscribeControl = z.output<typeof subscribeControl>;
export type UnsubscribeControl = z.output<typeof unsubscribeControl>;
export type DisconnectControl = z.output<typeof disconnectControl>;
export type RefreshControl = z.output<typeof refreshControl>;
export type NodeInfo = z.output<typeof nodeInfo>;
export type ChannelsSurvey = z.output<typeof channelsSurvey>;
export type ChannelsAnswer = z.output<typeof channelsAnswer>;
export type ConnectionsSurvey = z.output<typeof connectionsSurvey>;
export type ConnectionDetails = z.output<typeof connectionDetails>;
export type ConnectionsAnswer = z.output<typeof connectionsAnswer>;
