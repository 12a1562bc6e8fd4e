// Which figures of a worker are read from where.
import type { Connection } from '../connection/connection.ts';
import type { OpenConnections } from '../gateway/open-connections.ts';
import type { Hub } from '../hub/hub.ts';
import type { Metrics, Reading } from '../observe/metrics.ts';

export interface WorkerFigures {
  readonly metrics: Metrics;
  readonly hub: Hub;
  readonly slot: number;
  /** From the handshake on, whether its client has spoken or not. */
  readonly open: Pick<OpenConnections, 'size' | 'all'>;
  readonly queuedNotices: () => number;
}

export function exposeFigures(figures: WorkerFigures): void {
  const { metrics, hub, slot, open, queuedNotices } = figures;
  metrics.read('connections', () => connectionsByKind(open.all()));
  metrics.read('workerConnections', () => [[[String(slot)], open.size]]);
  metrics.read('subscriptions', () => hub.subscriptionCount);
  metrics.read('channels', () => hub.channelCount);
  metrics.read('noticesQueued', queuedNotices);
  metrics.read('outboxBytes', () => metrics.hot.queuedBytes);
}

function connectionsByKind(connections: readonly Connection[]): Iterable<Reading> {
  const counts = new Map<string, [labels: [string, string], value: number]>();
  for (const { transport } of connections) {
    const key = `${transport.kind} ${transport.format.encoding}`;
    const entry = counts.get(key);
    if (entry === undefined) counts.set(key, [[transport.kind, transport.format.encoding], 1]);
    else entry[1] += 1;
  }
  return counts.values();
}
