// What every connection of a worker has around it: who acts for it, time, and limits.
import type { CloseCause } from '../protocol/close-causes.ts';
import type { Command } from '../protocol/commands.ts';
import type { Codec } from '../protocol/replies.ts';
import type { Clock } from '../util/clock.ts';
import type { DeadlineWheel } from '../util/deadline-wheel.ts';
import type { BucketRate } from '../util/token-bucket.ts';
import type { Connection } from './connection.ts';
import type { HeartbeatTiming } from './connection-state.ts';
import type { Flusher } from './flusher.ts';
import type { OutboxCounters, OutboxLimits } from './outbox.ts';

/** What a connection asks of others. */
export interface ConnectionOwner {
  /** Carries a command out. Must answer it (or close) however it ends; never throws or rejects. */
  onCommand(connection: Connection, command: Command): void | Promise<void>;
  onExpire(connection: Connection): void;
  onSubscriptionDeadline(connection: Connection): void;
  /** Called once, at once when the connection ends: give up everything it registered. */
  onClosed(connection: Connection, cause: CloseCause): void;
}

/** One object for all connections of a worker. */
export interface ConnectionShared {
  readonly owner: ConnectionOwner;
  readonly clock: Clock;
  readonly wheel: DeadlineWheel;
  readonly flusher: Flusher;
  readonly outboxLimits: OutboxLimits;
  readonly outboxCounters: OutboxCounters;
  readonly staleCloseDelayMs: number;
  readonly timing: HeartbeatTiming;
  /** Of each peer; undefined: no limit. */
  readonly inboundBytes: BucketRate | undefined;
  /** Commands of one connection carried out at the same time, at least 1. */
  readonly concurrency: number;
  readonly codecs: Readonly<Record<'json' | 'protobuf', Codec>>;
}
