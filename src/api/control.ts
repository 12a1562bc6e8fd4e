// API methods that act on live connections, wherever they are: subscribe, unsubscribe, disconnect, refresh. They are told
// to all nodes; success says that the order went out, not that there was such a connection.
import { z } from 'zod';
import type { NodeBus } from '../engine/node-bus.ts';
import {
  ControlKinds,
  type ControlTarget,
  type DisconnectControl,
  type RefreshControl,
  type SubscribeControl,
  type UnsubscribeControl,
} from '../hub/control-messages.ts';
import type { Namespaces } from '../hub/namespaces.ts';
import { CloseCauses, safeReason } from '../protocol/close-causes.ts';
import { ApiErrors, ApiFailure } from './api-errors.ts';
import { optionsOf } from './channel-options.ts';
import { channel, count, flag, optional, rawJson, streamPosition, text } from './fields.ts';
import { apiMethod, type ApiMethod } from './method.ts';
import { payloadOf } from './payload.ts';

export interface ControlDeps {
  readonly bus: Pick<NodeBus, 'broadcast'>;
  readonly namespaces: Pick<Namespaces, 'resolve'>;
}

const who = {
  user: text('Connections of this user. Empty: anonymous ones, or any when `client` or `session` is given.'),
  client: text('Only the connection with this client id.'),
  session: text('Only the connection of this session.'),
};

const everyone = {
  all_users: flag('Connections of all users, instead of `user`.'),
  per_second: count('At most so many connections a second on each node. 0: all at once.'),
};

const subscribedTo = text('Only connections subscribed to this channel; of all users when `user` is empty.');

const boolValue = optional(z.object({ value: z.boolean() }), 'Absent: as the channel is configured.');

const subscribeParams = z.object({
  ...who,
  ...everyone,
  channel,
  info: rawJson('Seen by others in presence and in join and leave pushes (`chan_info`).'),
  b64info: text('`info` as base64.'),
  data: rawJson('Sent to the client with the subscribe push.'),
  b64data: text('`data` as base64.'),
  expire_at: count('Unix seconds at which the subscription expires. 0: never.'),
  recover_since: optional(streamPosition, 'Send what was published after this position.'),
  override: optional(
    z.object({
      presence: boolValue,
      join_leave: boolValue,
      force_recovery: boolValue,
      force_positioning: boolValue,
      force_push_join_leave: boolValue,
    }),
    'Options of the channel that are different for this subscription.',
  ),
});

const unsubscribeParams = z.object({
  ...who,
  ...everyone,
  channel: text('Channel to leave. Empty: all channels.'),
});

const CLOSE_CODE_ERROR = 'expected a close code from 3000 to 4999';

const disconnectParams = z.object({
  ...who,
  ...everyone,
  channel: subscribedTo,
  whitelist: optional(z.array(z.string()), 'Client ids that stay connected.'),
  disconnect: optional(
    z.object({
      code: z
        .int()
        .refine((code) => code === 0 || (code >= 3000 && code <= 4999), CLOSE_CODE_ERROR)
        .nullish()
        .transform((value) => value ?? 0),
      reason: text('Told to the client; at most 123 bytes.'),
    }),
    'Close code and reason; by default one after which clients do not reconnect.',
  ),
});

const refreshParams = z.object({
  ...who,
  ...everyone,
  channel: subscribedTo,
  expired: flag('The connection has expired: it is closed.'),
  expire_at: count('Unix seconds at which the connection expires now. 0: never.'),
  info: rawJson('Replaces the connection info.'),
});

const nothing = z.object({});

export function controlMethods(deps: ControlDeps): ApiMethod[] {
  const tell = async (kind: string, payload: object): Promise<string> => {
    await deps.bus.broadcast(kind, payload);
    return '{}';
  };
  return [
    apiMethod({
      name: 'subscribe',
      summary: 'Subscribe live connections of a user to a channel.',
      params: subscribeParams,
      result: nothing,
      run: async (params, source) => {
        optionsOf(deps.namespaces, params.channel);
        const { override } = params;
        return tell(ControlKinds.subscribe, {
          target: targetOf(params),
          channel: params.channel,
          info: payloadOf(source, 'info', params.b64info)?.toString('base64'),
          data: payloadOf(source, 'data', params.b64data)?.toString('base64'),
          expireAt: params.expire_at,
          perSecond: params.per_second,
          recoverSince: params.recover_since,
          override: {
            presence: override?.presence?.value,
            joinLeave: override?.join_leave?.value,
            forceRecovery: override?.force_recovery?.value,
            forcePositioning: override?.force_positioning?.value,
            forcePushJoinLeave: override?.force_push_join_leave?.value,
          },
        } satisfies Loose<SubscribeControl>);
      },
    }),
    apiMethod({
      name: 'unsubscribe',
      summary: 'End subscriptions of live connections.',
      params: unsubscribeParams,
      result: nothing,
      run: async (params) => {
        if (params.channel !== '') optionsOf(deps.namespaces, params.channel);
        return tell(ControlKinds.unsubscribe, {
          target: targetOf(params),
          channel: params.channel,
          perSecond: params.per_second,
        } satisfies Loose<UnsubscribeControl>);
      },
    }),
    apiMethod({
      name: 'disconnect',
      summary: 'Close live connections.',
      params: disconnectParams,
      result: nothing,
      run: async (params) => {
        const { disconnect } = params;
        const isDefault = disconnect === undefined || disconnect.code === 0;
        const reason = disconnect?.reason ?? '';
        return tell(ControlKinds.disconnect, {
          target: targetOf(params, params.channel),
          whitelist: params.whitelist ?? [],
          code: isDefault ? CloseCauses.forceDisconnect.code : disconnect.code,
          reason: reason === '' && isDefault ? CloseCauses.forceDisconnect.reason : safeReason(reason),
          perSecond: params.per_second,
        } satisfies Loose<DisconnectControl>);
      },
    }),
    apiMethod({
      name: 'refresh',
      summary: 'Prolong or end live connections whose expiry the server decides.',
      params: refreshParams,
      result: nothing,
      run: async (params, source) =>
        tell(ControlKinds.refresh, {
          target: targetOf(params, params.channel),
          expired: params.expired,
          expireAt: params.expire_at,
          info: payloadOf(source, 'info', '')?.toString('base64'),
          perSecond: params.per_second,
        } satisfies Loose<RefreshControl>),
    }),
  ];
}

/** Members that are undefined vanish on the wire. */
type Loose<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]: Loose<T[K]> | Extract<undefined, T[K]> }
    : T;

interface Who {
  readonly user: string;
  readonly client: string;
  readonly session: string;
  readonly all_users?: boolean | undefined;
}

/** `channelOf`: narrows to connections with this subscription, as an id of a connection does. */
function targetOf(params: Who, channelOf = ''): ControlTarget {
  const { user, client, session } = params;
  const isAll = params.all_users === true;
  if (isAll && user !== '') throw new ApiFailure(ApiErrors.badRequest, 'all_users: contradicts user');
  const isNarrow = client !== '' || session !== '' || channelOf !== '';
  return {
    ...(!isAll && !(user === '' && isNarrow) && { user }),
    ...(client !== '' && { client }),
    ...(session !== '' && { session }),
    ...(channelOf !== '' && { channel: channelOf }),
  };
}
