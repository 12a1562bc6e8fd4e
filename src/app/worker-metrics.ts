// Which figures of a worker are read from where.
import type { Hub } from '../hub/hub.ts';
import type { Metrics, Reading } from '../observe/metrics.ts';

export interface WorkerFigures {
  readonly metrics: Metrics;
  readonly hub: Hub;
  readonly slot: number;
  readonly openConnections: () => number;
}

export function exposeFigures(figures: WorkerFigures): void {
  const { metrics, hub, slot, openConnections } = figures;
  metrics.read('connections', () => connectionsByKind(hub));
  metrics.read('workerConnections', () => [[[String(slot)], openConnections()]]);
  metrics.read('subscriptions', () => hub.subscriptionCount);
  metrics.read('channels', () => hub.channelCount);
  metrics.read('outboxBytes', () => metrics.hot.queuedBytes);
}

function connectionsByKind(hub: Hub): Iterable<Reading> {
  const counts = new Map<string, [labels: [string, string], value: number]>();
  for (const { transport } of hub.connections()) {
    const key = `${transport.kind} ${transport.format.encoding}`;
    const entry = counts.get(key);
    if (entry === undefined) counts.set(key, [[transport.kind, transport.format.encoding], 1]);
    else entry[1] += 1;
  }
  return counts.values();
}
