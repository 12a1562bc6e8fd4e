// The subscriptions of connections that come from another worker. Before the first of them this worker follows their
// channels and keeps what comes, so that each is served from exactly where the other worker stopped:
//
//   other worker:  1 2 3 4 5 6 ──► stops after 6
//   this worker:       3 4 5 6 7 8 ...                  kept from 3 on; the subscriber gets 7, 8, ...
//
// Publications without history come in another order here than there: what the subscriber has had is told by the last
// number of each publisher. Nothing can be missing in between, because the other worker has caught up with the engine after
// this one had begun to follow the channel.
import type { Connection } from '../connection/connection.ts';
import { Subscription, type TagsPredicate } from '../connection/subscription.ts';
import type { HubChannel } from './channel.ts';
import type { MovedSubscription } from './departures.ts';
import { Heard } from './heard.ts';
import type { Hub } from './hub.ts';
import { serveItem } from './serving.ts';

export interface ArrivalsDeps {
  readonly hub: Hub;
  /** See EngineClient. */
  readonly settle: () => Promise<void>;
  readonly matcher: (filter: unknown) => TagsPredicate | undefined;
  /** Something that the subscriber should have got is no longer known here. */
  readonly onLost: () => void;
}

interface Arrived {
  readonly subscription: Subscription;
  readonly channel: HubChannel;
  readonly moveId: number;
}

export class Arrivals {
  readonly #deps: ArrivalsDeps;
  readonly #channels = new Map<string, HubChannel>();
  readonly #followed = new Map<string, Promise<void>>();
  /** Of whose last publications some may still be on their way here. */
  readonly #unsettled = new Set<Arrived>();
  #isOver = false;

  constructor(deps: ArrivalsDeps) {
    this.#deps = deps;
  }

  /** Resolves when everything that is published from now on is kept. Rejects with UnavailableError. */
  async prepare(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#follow(name)));
    // What this worker had published before has reached the other ones.
    await this.#deps.settle();
  }

  isPrepared(subscriptions: readonly MovedSubscription[]): boolean {
    return subscriptions.every(({ state }) => this.#channels.has(state.channel));
  }

  /** All its channels are prepared; what it has to get waits in its outbox. */
  adopt(connection: Connection, moveId: number, subscriptions: readonly MovedSubscription[]): void {
    const { hub, matcher, onLost } = this.#deps;
    for (const { state, heard: had } of subscriptions) {
      const channel = this.#channels.get(state.channel);
      if (channel === undefined) continue;
      const heard = new Heard(had);
      const subscription = new Subscription(connection, state, 0, matcher(state.filter));
      const items = channel.itemsBeyond(heard);
      hub.enrol(subscription);
      hub.admit(subscription, channel);
      subscription.since = 0;
      if (items === undefined) {
        onLost();
        if (state.positioned) hub.insufficientState(subscription);
      }
      for (const item of items ?? []) serveItem(hub.serving, subscription, item);
      if (!subscription.live) continue;
      subscription.since = channel.sequence;
      subscription.seen = heard;
      this.#unsettled.add({ subscription, channel, moveId });
    }
  }

  /** The other worker says that all it had published when it let this connection go has reached the engine. */
  async settled(upTo: number): Promise<void> {
    await this.#deps.settle();
    for (const arrived of this.#unsettled) {
      const { subscription, channel, moveId } = arrived;
      if (moveId > upTo) continue;
      this.#unsettled.delete(arrived);
      if (subscription.live) this.#deps.hub.catchUp(subscription, channel);
      subscription.seen = undefined;
    }
  }

  /** No more will come. May be called twice. */
  async close(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const channel of this.#channels.values()) {
      channel.endJoin();
      this.#deps.hub.releaseIfEmpty(channel);
    }
    this.#channels.clear();
    await this.settled(Infinity);
  }

  #follow(name: string): Promise<void> {
    let followed = this.#followed.get(name);
    if (followed === undefined) {
      followed = this.#begin(name);
      this.#followed.set(name, followed);
    }
    return followed;
  }

  async #begin(name: string): Promise<void> {
    const { hub } = this.#deps;
    const channel = hub.channelToJoin(name);
    channel.beginJoin();
    try {
      await hub.interests.want(name);
    } catch (error) {
      this.#followed.delete(name);
      channel.endJoin();
      hub.releaseIfEmpty(channel);
      throw error;
    }
    if (!this.#isOver) {
      this.#channels.set(name, channel);
      return;
    }
    channel.endJoin();
    hub.releaseIfEmpty(channel);
  }
}
