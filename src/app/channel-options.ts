// From the configuration as written to the form in which rooms use it.
import type { ChannelRules, ChannelSection } from '../config/sections/channel.ts';
import type { ChannelNaming } from '../hub/namespaces.ts';
import type { ChannelOptions } from '../protocol/channel-options.ts';

export interface ChannelSettings {
  readonly naming: ChannelNaming;
  readonly withoutNamespace: ChannelOptions;
  readonly namespaces: ReadonlyMap<string, ChannelOptions>;
}

export function channelSettings(channel: ChannelSection): ChannelSettings {
  return {
    naming: {
      maxLength: channel.max_length,
      privatePrefix: channel.private_prefix,
      namespaceBoundary: channel.namespace_boundary,
      userBoundary: channel.user_boundary,
      userSeparator: channel.user_separator,
    },
    withoutNamespace: toOptions('', channel.without_namespace, channel),
    namespaces: new Map(
      channel.namespaces.map((namespace) => [namespace.name, toOptions(namespace.name, namespace, channel)]),
    ),
  };
}

function toOptions(namespace: string, rules: ChannelRules, channel: ChannelSection): ChannelOptions {
  return {
    namespace,
    presence: rules.presence,
    joinLeave: rules.join_leave,
    forcePushJoinLeave: rules.force_push_join_leave,
    historySize: rules.history_size,
    historyTtlMs: rules.history_ttl,
    historyMetaTtlMs: rules.history_meta_ttl === 0 ? channel.history_meta_ttl : rules.history_meta_ttl,
    forcePositioning: rules.force_positioning,
    allowPositioning: rules.allow_positioning,
    forceRecovery: rules.force_recovery,
    allowRecovery: rules.allow_recovery,
    forceRecoveryMode: rules.force_recovery_mode === '' ? 'stream' : rules.force_recovery_mode,
    autoCacheRecover: rules.auto_cache_recover,
    allowedDeltaTypes: rules.allowed_delta_types,
    deltaPublish: rules.delta_publish,
    allowTagsFilter: rules.allow_tags_filter,
    allowSubscribeForClient: rules.allow_subscribe_for_client,
    allowSubscribeForAnonymous: rules.allow_subscribe_for_anonymous,
    allowPublishForClient: rules.allow_publish_for_client,
    allowPublishForSubscriber: rules.allow_publish_for_subscriber,
    allowPublishForAnonymous: rules.allow_publish_for_anonymous,
    allowPresenceForClient: rules.allow_presence_for_client,
    allowPresenceForSubscriber: rules.allow_presence_for_subscriber,
    allowPresenceForAnonymous: rules.allow_presence_for_anonymous,
    allowHistoryForClient: rules.allow_history_for_client,
    allowHistoryForSubscriber: rules.allow_history_for_subscriber,
    allowHistoryForAnonymous: rules.allow_history_for_anonymous,
    allowUserLimitedChannels: rules.allow_user_limited_channels,
    channelRegex: rules.channel_regex === '' ? undefined : new RegExp(rules.channel_regex),
    publicationDataFormat:
      rules.publication_data_format === '' ? channel.publication_data_format : rules.publication_data_format,
    subscribeProxy: rules.subscribe_proxy_enabled ? rules.subscribe_proxy_name : undefined,
    publishProxy: rules.publish_proxy_enabled ? rules.publish_proxy_name : undefined,
    subRefreshProxy: rules.sub_refresh_proxy_enabled ? rules.sub_refresh_proxy_name : undefined,
  };
}
