// Brings one batch or item to one subscriber: what it has already is skipped, what it misses is noticed.
import type { Subscription } from '../connection/subscription.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import type { Batch } from './batch.ts';
import type { ChannelItem, Codecs } from './channel-item.ts';
import type { ItemForm } from './item-form.ts';

export interface ServingDeps {
  readonly codecs: Codecs;
  readonly counters: { delivered: number };
  /** The subscriber has missed something that cannot be made good here. */
  readonly onInsufficientState: (subscription: Subscription) => void;
}

export function serveBatch(deps: ServingDeps, subscription: Subscription, batch: Batch): void {
  const { connection, state } = subscription;
  const form = batch.formFor(subscription);
  const frame = form === undefined ? null : batch.frame(connection.transport.format, form);
  if (frame === null) {
    for (const item of batch.items) serveItem(deps, subscription, item);
    return;
  }
  if (batch.range !== undefined) {
    if (state.positioned) state.offset = batch.range.last;
    if (state.delta) state.deltaBase = batch.range.last;
  }
  deps.counters.delivered += batch.items.length;
  connection.deliver(frame, 'publication');
}

export function serveItem(deps: ServingDeps, subscription: Subscription, item: ChannelItem): void {
  const { connection, state } = subscription;
  const { event } = item;
  if (item.sequence <= subscription.since || connection.isClosed) return;
  if (subscription.seen?.has(event) === true) return;
  if (event.kind !== 'publication') {
    if (!state.joinLeavePushes) return;
  } else {
    const { offset, tags } = event.publication;
    if (state.positioned && offset > 0) {
      const position = comparePosition(state, offset, event.epoch);
      if (position === 'old') return;
      if (position === 'gap') {
        // Nothing more for this subscription, whatever else this pass holds.
        subscription.since = Infinity;
        deps.onInsufficientState(subscription);
        return;
      }
      // A publication that the filter holds back counts as served (§12.4).
      state.offset = offset;
      state.epoch = event.epoch;
    }
    if (subscription.matches !== undefined && !subscription.matches(tags)) return;
  }
  const frame = item.frame(connection.transport.format, deps.codecs, formFor(subscription, item));
  if (frame === null) {
    connection.close(CloseCauses.inappropriateProtocol);
    return;
  }
  if (state.delta && event.kind === 'publication') state.deltaBase = event.publication.offset;
  deps.counters.delivered += 1;
  connection.deliver(frame, 'publication');
}

/** A patch only fits on the publication that was sent last (§16). */
function formFor({ state }: Subscription, item: ChannelItem): ItemForm {
  if (!state.delta || item.event.kind !== 'publication') return 'plain';
  return item.deltaBase > 0 && item.deltaBase === state.deltaBase ? 'patch' : 'full';
}

function comparePosition(
  state: { readonly offset: number; readonly epoch: string },
  offset: number,
  epoch: string,
): 'next' | 'old' | 'gap' {
  if (state.epoch !== '' && state.epoch !== epoch) return 'gap';
  if (offset <= state.offset) return 'old';
  return offset === state.offset + 1 ? 'next' : 'gap';
}
