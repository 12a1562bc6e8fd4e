// A channel that this worker is subscribed to.
//
//                      ┌──────────── gap ────────────┐
//   subscribing ──► live ──(subscription lost)──► lost ──(back)──► repairing ──► live
//
// While lost or repairing, what comes is held, so that nothing overtakes what is read from the stream.
import type { StreamPosition } from '../../protocol/publication.ts';
import type { ChannelMessage } from './messages.ts';
import type { SeenStream } from './stream-step.ts';

export class ChannelEntry implements SeenStream {
  readonly channel: string;
  /** `subscribing`: what comes belongs to an earlier subscription and is dropped. */
  state: 'subscribing' | 'live' | 'lost' | 'repairing' = 'subscribing';
  /** Settles with the subscribe request. */
  ready: Promise<void> = Promise.resolve();
  position: StreamPosition | undefined;
  began = 0;
  /** Counts repairs: one that was overtaken by another has nothing to say. */
  repairs = 0;
  repaired = 0;
  held: ChannelMessage[] = [];
  heldBytes = 0;
  /** Of this node's own messages, the last one that came back through Redis. */
  cameBack = 0;
  /** The last one that was delivered here without Redis. */
  deliveredLocally = 0;

  constructor(channel: string) {
    this.channel = channel;
  }

  get isLive(): boolean {
    return this.state === 'live';
  }
}
