// Subscriptions and publications for tests of what lies below the commands.
import type { Connection } from '../../src/connection/connection.ts';
import {
  Subscription,
  type SubscriptionState,
  type TagsPredicate,
} from '../../src/connection/subscription.ts';
import type { ChannelEvent } from '../../src/hub/channel-item.ts';

export function subscription(
  connection: Connection,
  over: Partial<SubscriptionState> = {},
  matches?: TagsPredicate,
): Subscription {
  const { client, user } = connection.session;
  const state: SubscriptionState = {
    channel: 'ch',
    serverSide: false,
    positioned: false,
    recoverable: false,
    joinLeavePushes: false,
    announced: false,
    inPresence: false,
    delta: false,
    deltaBase: 0,
    info: { user, client },
    filter: undefined,
    expireAtWallMs: Infinity,
    clientSideRefresh: false,
    offset: 0,
    epoch: '',
    ...over,
  };
  const made = new Subscription(connection, state, 0, matches);
  made.live = true;
  return made;
}

/** Offset 0: of a channel without history. */
export function published(
  data: unknown,
  offset = 0,
  over: {
    readonly epoch?: string;
    readonly tags?: Readonly<Record<string, string>>;
    readonly time?: number;
  } = {},
): ChannelEvent {
  const { epoch = offset === 0 ? '' : 'e1', tags, time = 1 } = over;
  const publication = { data: Buffer.from(JSON.stringify(data)), offset, time, tags };
  return { kind: 'publication', publication, epoch, previous: undefined };
}

export function joined(client: string): ChannelEvent {
  return { kind: 'join', info: { user: '', client } };
}
