// Who may do what in a channel (client protocol §11). Pure.
import type { ChannelOptions } from '../protocol/channel-options.ts';

export interface Actor {
  /** Empty for an anonymous user. */
  readonly user: string;
  readonly isSubscribed: boolean;
  /** `client.insecure`. */
  readonly insecure: boolean;
}

export function maySubscribe(options: ChannelOptions, actor: Actor): boolean {
  if (actor.insecure) return true;
  return options.allowSubscribeForClient && (actor.user !== '' || options.allowSubscribeForAnonymous);
}

export function mayPublish(options: ChannelOptions, actor: Actor): boolean {
  return may(
    actor,
    options.allowPublishForClient,
    options.allowPublishForSubscriber,
    options.allowPublishForAnonymous,
  );
}

export function mayReadPresence(options: ChannelOptions, actor: Actor): boolean {
  return may(
    actor,
    options.allowPresenceForClient,
    options.allowPresenceForSubscriber,
    options.allowPresenceForAnonymous,
  );
}

export function mayReadHistory(options: ChannelOptions, actor: Actor): boolean {
  return may(
    actor,
    options.allowHistoryForClient,
    options.allowHistoryForSubscriber,
    options.allowHistoryForAnonymous,
  );
}

function may(actor: Actor, forClient: boolean, forSubscriber: boolean, forAnonymous: boolean): boolean {
  if (actor.insecure) return true;
  if (actor.user === '' && !forAnonymous) return false;
  return forClient || (forSubscriber && actor.isSubscribed);
}
