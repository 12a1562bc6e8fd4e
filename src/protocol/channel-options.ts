// What a namespace allows and keeps: the resolved form of `channel.without_namespace` and `channel.namespaces[]`.

export interface ChannelOptions {
  /** Empty for channels without a namespace. */
  readonly namespace: string;
  readonly presence: boolean;
  readonly joinLeave: boolean;
  readonly forcePushJoinLeave: boolean;
  /** Publications kept; 0 switches history off. */
  readonly historySize: number;
  readonly historyTtlMs: number;
  readonly historyMetaTtlMs: number;
  readonly forcePositioning: boolean;
  readonly allowPositioning: boolean;
  readonly forceRecovery: boolean;
  readonly allowRecovery: boolean;
  readonly forceRecoveryMode: 'stream' | 'cache';
  readonly autoCacheRecover: boolean;
  readonly allowedDeltaTypes: readonly 'fossil'[];
  readonly deltaPublish: boolean;
  readonly allowTagsFilter: boolean;
  readonly allowSubscribeForClient: boolean;
  readonly allowSubscribeForAnonymous: boolean;
  readonly allowPublishForClient: boolean;
  readonly allowPublishForSubscriber: boolean;
  readonly allowPublishForAnonymous: boolean;
  readonly allowPresenceForClient: boolean;
  readonly allowPresenceForSubscriber: boolean;
  readonly allowPresenceForAnonymous: boolean;
  readonly allowHistoryForClient: boolean;
  readonly allowHistoryForSubscriber: boolean;
  readonly allowHistoryForAnonymous: boolean;
  readonly allowUserLimitedChannels: boolean;
  /** Matches the part after the namespace; lifts the ASCII-only rule. */
  readonly channelRegex: RegExp | undefined;
  readonly publicationDataFormat: '' | 'json' | 'json_object' | 'binary';
  readonly subscribeProxy: string | undefined;
  readonly publishProxy: string | undefined;
  readonly subRefreshProxy: string | undefined;
}
