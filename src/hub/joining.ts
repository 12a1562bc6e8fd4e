// How a subscription comes to life: interest at the engine, history, recovery, presence, and then, in one step with the
// reply, live delivery. Between the first and the last step other publications arrive; none is lost, none comes twice.
import type { Subscription } from '../connection/subscription.ts';
import type { Broker } from '../engine/broker.ts';
import type { PresenceStore } from '../engine/presence-store.ts';
import type { Publication, StreamPosition } from '../protocol/publication.ts';
import { UnsubscribeCodes } from '../protocol/unsubscribe-codes.ts';
import type { HubChannel } from './channel.ts';
import type { Hub } from './hub.ts';
import { decideRecovery, type Recovery, recoveryFilter, type RecoveryRequest } from './recovery.ts';
import { serveItem } from './serving.ts';

export interface JoinDeps {
  readonly hub: Hub;
  readonly broker: Broker;
  readonly presence: PresenceStore;
  /** Most publications that a recovery brings. */
  readonly maxRecoveredPublications: number;
}

export interface JoinWishes {
  readonly historyMetaTtlMs: number;
  readonly recovery: RecoveryRequest | undefined;
}

export interface Joined {
  /** Undefined when nothing was to be recovered. */
  readonly recovery: Recovery | undefined;
  /** For the reply; undefined without positioning. */
  readonly position: StreamPosition | undefined;
  readonly publications: readonly Publication[];
  /** To be called in the same turn as the reply is queued, right after it. */
  readonly start: () => void;
  /** Instead of `start`: the subscription is taken back. */
  readonly cancel: () => void;
}

/**
 * Undefined when the connection or the subscription ended meanwhile. Rejects with UnavailableError when the engine does
 * not answer; then nothing is left behind.
 */
export async function join(
  deps: JoinDeps,
  subscription: Subscription,
  wishes: JoinWishes,
): Promise<Joined | undefined> {
  const { hub, broker, presence } = deps;
  const { state } = subscription;
  const channel = hub.channelToJoin(state.channel);
  const since = channel.beginJoin();
  subscription.since = since;
  hub.enrol(subscription);
  const giveUp = (): undefined => {
    channel.endJoin();
    hub.leave(subscription, UnsubscribeCodes.server);
    hub.releaseIfEmpty(channel);
    // Also when it was not added yet: an earlier one may have left its entry to this subscription.
    if (state.inPresence) hub.forgetPresence(subscription);
    return undefined;
  };
  try {
    await hub.interests.want(state.channel);
    if (!hub.isEnrolled(subscription)) return giveUp();
    const filter = recoveryFilter(wishes.recovery, deps.maxRecoveredPublications, wishes.historyMetaTtlMs);
    const history = state.positioned ? await broker.history(state.channel, filter) : undefined;
    if (!hub.isEnrolled(subscription)) return giveUp();
    if (state.inPresence) {
      await presence.add(state.channel, state.info);
      if (!hub.isEnrolled(subscription)) return giveUp();
    }
    const recovery =
      history && wishes.recovery && decideRecovery(wishes.recovery, history, deps.maxRecoveredPublications);
    if (history !== undefined) {
      // What the reply carries counts as served: the live part goes on from the top that was read.
      state.offset = history.top.offset;
      state.epoch = history.top.epoch;
      channel.top ??= history.top;
    }
    return {
      recovery,
      position: recovery?.position ?? history?.top,
      publications: recovery?.publications ?? [],
      start: () => {
        if (hub.isEnrolled(subscription)) start(deps, subscription, channel, since);
        else giveUp();
      },
      cancel: giveUp,
    };
  } catch (error) {
    giveUp();
    throw error;
  }
}

function start(deps: JoinDeps, subscription: Subscription, channel: HubChannel, since: number): void {
  const { hub, broker } = deps;
  const { state } = subscription;
  const missed = channel.itemsSince(since);
  channel.endJoin();
  hub.admit(subscription, channel);
  // Its own join is newer, and comes to it as to all others.
  const known = channel.sequence;
  if (state.announced) broker.publishJoin(state.channel, state.info).catch(hub.onCleanUpFailure);
  if (missed === undefined && state.positioned) {
    hub.insufficientState(subscription);
    return;
  }
  // First what arrived while joining. Items that are still on their way through the fan-out are among it, and not newer
  // than `known`: they do not come again.
  subscription.since = since;
  for (const item of missed ?? []) serveItem(hub.serving, subscription, item);
  if (subscription.live) subscription.since = known;
}
