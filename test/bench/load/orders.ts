// What the benchmark tells a generator process to do, and what it answers: plain data over IPC.
import type { ChannelRef, Target } from './connection.ts';
import type { DialectName } from './dialects.ts';
import type { HistogramState } from './histogram.ts';
import type { Tally } from './ledger.ts';

/**
 * Subscriptions are numbered over the connections, and each run of `subscribersPerChannel` shares a channel: neighbours
 * land on different workers, so that the subscribers of a channel are spread over all of them.
 */
export interface Assignment {
  readonly channelBase: number;
  readonly channelCount: number;
  readonly subscribersPerChannel: number;
  /** Number of the first subscription of this process. */
  readonly firstSubscription: number;
  readonly channelsEach: number;
}

export interface OpenOrder {
  readonly op: 'open';
  readonly target: Target;
  readonly localAddress: string;
  readonly dialect: DialectName;
  readonly count: number;
  readonly assignment: Assignment;
  /** 0: no faster than `atOnce` connections in the making allow. */
  readonly perSecond: number;
  readonly atOnce: number;
}

/** Adds channels to every open connection. */
export interface SubscribeOrder {
  readonly op: 'subscribe';
  readonly assignment: Assignment;
  readonly atOnce: number;
}

export interface PublishOrder {
  readonly op: 'publish';
  /** Channel c is published by connection c mod the number of open ones. */
  readonly channels: readonly number[];
  /** Publications a second over all channels. */
  readonly perSecond: number;
  /** Publications that leave together, in one write when they share a connection. */
  readonly burst: number;
  readonly durationMs: number;
  readonly sizeBytes: number;
  /** Gaps between publications vary around their mean, so that they fall into step with nothing. */
  readonly jitter: boolean;
}

/** Waits until everything published (counts by stream, from the start) has come, or nothing comes any more. */
export interface SettleOrder {
  readonly op: 'settle';
  readonly published: readonly (readonly [key: number, count: number])[];
  readonly patienceMs: number;
}

/** Begins a window of measurement. */
interface MarkOrder {
  readonly op: 'mark';
}

interface CloseOrder {
  readonly op: 'close';
}

export type Order = OpenOrder | SubscribeOrder | PublishOrder | SettleOrder | MarkOrder | CloseOrder;

export interface OpenResult {
  readonly tookMs: number;
  /** From the start of the TCP connect to the last acknowledged subscription, in µs. */
  readonly latencies: HistogramState;
  /** Clients that got no answer and came again; only where the server is known for it, else the run fails. */
  readonly repeated: number;
}

export interface PublishResult {
  readonly startUs: number;
  readonly tookMs: number;
  /** By stream, since the process started. */
  readonly published: readonly (readonly [key: number, count: number])[];
  /** How far the worst publication was behind its schedule. */
  readonly latestUs: number;
}

export interface SettleResult extends Tally {
  readonly lost: number;
}

/** Since the mark. */
export interface WindowResult {
  readonly latencies: HistogramState;
  readonly deliveries: number;
  readonly lastDeliveryUs: number;
}

export interface Results {
  readonly open: OpenResult;
  readonly subscribe: OpenResult;
  readonly publish: PublishResult;
  readonly settle: SettleResult & WindowResult;
  readonly mark: null;
  readonly close: null;
}

export interface Request {
  readonly id: number;
  readonly order: Order;
}

export type Reply =
  | { readonly id: number; readonly result: Results[Order['op']] }
  | { readonly id: number; readonly error: string }
  | { readonly progress: string };

export function channelName(number: number): string {
  return `c${String(number).padStart(6, '0')}`;
}

export function channelsOf(connection: number, assignment: Assignment): ChannelRef[] {
  const { channelBase, channelCount, subscribersPerChannel, firstSubscription, channelsEach } = assignment;
  return Array.from({ length: channelsEach }, (_, i) => {
    const subscription = firstSubscription + connection * channelsEach + i;
    const number = channelBase + (Math.floor(subscription / subscribersPerChannel) % channelCount);
    return { number, name: channelName(number) };
  });
}
