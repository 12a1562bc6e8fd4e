// The subscriptions of a connection that is about to go on at another worker: taken out of their channels in one turn, and
// put back without a gap should it stay.
import type { Connection } from '../connection/connection.ts';
import type { Subscription, SubscriptionState } from '../connection/subscription.ts';
import type { HubChannel } from './channel.ts';
import type { HeardState } from './heard.ts';
import type { Hub } from './hub.ts';
import { serveItem } from './serving.ts';

/** A subscription as another worker takes it up. */
export interface MovedSubscription {
  readonly state: SubscriptionState;
  /** What the subscriber has had, or has been passed over for. */
  readonly heard: HeardState;
}

interface Suspended {
  readonly subscription: Subscription;
  readonly channel: HubChannel;
  /** From here on the channel keeps what it would have got. */
  readonly since: number;
}

export class Departure {
  readonly #hub: Hub;
  readonly #suspended: readonly Suspended[];

  /** Undefined while a subscription of it is still being made. */
  static of(hub: Hub, connection: Connection): Departure | undefined {
    const all = [...connection.subscriptions.values()];
    if (all.some(({ live }) => !live)) return undefined;
    const suspended: Suspended[] = [];
    for (const subscription of all) {
      const channel = hub.channel(subscription.state.channel);
      if (channel === undefined) continue;
      hub.catchUp(subscription, channel);
      // It may have missed something, and has been told so.
      if (!subscription.live) continue;
      const since = channel.beginJoin();
      hub.suspend(subscription, channel);
      suspended.push({ subscription, channel, since });
    }
    return new Departure(hub, suspended);
  }

  private constructor(hub: Hub, suspended: readonly Suspended[]) {
    this.#hub = hub;
    this.#suspended = suspended;
  }

  /** As of the moment it was made; read it in the same turn. */
  get subscriptions(): readonly MovedSubscription[] {
    return this.#suspended.map(({ subscription, channel }) => ({
      state: subscription.state,
      heard: channel.heard.state,
    }));
  }

  /** The connection stays. */
  undo(): void {
    for (const { subscription, channel, since } of this.#suspended) {
      const missed = channel.itemsSince(since);
      channel.endJoin();
      if (!this.#hub.isEnrolled(subscription)) {
        this.#hub.releaseIfEmpty(channel);
        continue;
      }
      this.#hub.admit(subscription, channel);
      subscription.since = since;
      if (missed === undefined && subscription.state.positioned) this.#hub.insufficientState(subscription);
      else for (const item of missed ?? []) serveItem(this.#hub.serving, subscription, item);
      if (subscription.live) subscription.since = channel.sequence;
    }
  }

  /** The connection has gone. */
  complete(): void {
    for (const { subscription, channel } of this.#suspended) {
      channel.endJoin();
      this.#hub.forgo(subscription);
      this.#hub.releaseIfEmpty(channel);
    }
  }
}
