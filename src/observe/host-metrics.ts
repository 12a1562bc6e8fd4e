// Figures of the whole host: snapshots of all its processes, collected through the primary, become one page.
import { AggregatorRegistry } from 'prom-client';
import { METRIC_PREFIX } from './metric-table.ts';
import type { Family, FamilyValue, MetricsSnapshot } from './metrics.ts';

/** Stands in for a worker that may not answer: its counters as it last told them, void next to a fresh snapshot of it. */
interface StandIn extends MetricsSnapshot {
  readonly standIn: true;
}

const MAX_REMEMBERED_DEAD = 1000;

/**
 * Kept by the primary, so that counters of the host never go backwards: a scraper would take that for a restart and
 * report everything counted so far as a sudden burst. It remembers what each worker said last, for when the worker does
 * not answer in time or is gone.
 */
export class MetricsArchive {
  readonly #last = new Map<string, MetricsSnapshot>();
  readonly #dead = new Set<string>();
  #retired = new Map<string, Family>();

  /** Takes any answer of a worker and keeps it when it is a snapshot. One that comes after its sender's death is void. */
  record(answer: unknown): void {
    if (isSnapshot(answer) && !this.#dead.has(answer.instance)) this.#last.set(answer.instance, answer);
  }

  /** The worker is dead: its counters stay, its gauges go. */
  retire(pid: number): void {
    for (const snapshot of [...this.#last.values()].filter((each) => each.pid === pid)) {
      this.#last.delete(snapshot.instance);
      this.#dead.add(snapshot.instance);
      this.#retired = addCounters(this.#retired, snapshot.families);
    }
    for (const oldest of this.#dead) {
      if (this.#dead.size <= MAX_REMEMBERED_DEAD) break;
      this.#dead.delete(oldest);
    }
  }

  /** What the primary answers when the host is asked for its metrics. */
  answer(own: MetricsSnapshot): MetricsSnapshot[] {
    const standIns = Array.from(this.#last.values(), (snapshot): StandIn => ({
      ...snapshot,
      standIn: true,
      families: snapshot.families.filter(isCumulative),
    }));
    const dead = { instance: 'retired', pid: 0, families: [...this.#retired.values()] };
    return [own, ...standIns, dead];
  }
}

/** The Prometheus text of what all processes of the host answered; what is no snapshot is left out. */
export async function hostPage(answers: readonly unknown[]): Promise<string> {
  const snapshots = answers.flat().filter(isSnapshot);
  const fresh = snapshots.filter((each) => !isStandIn(each));
  const instances = new Set(fresh.map((each) => each.instance));
  const missing = snapshots.filter((each) => isStandIn(each) && !instances.has(each.instance));
  const sources = sourcesFamily([
    ['answered', fresh.filter((each) => each.pid !== 0).length],
    ['missing', missing.length],
  ]);
  const families = [...fresh, ...missing].map((each) => each.families);
  return AggregatorRegistry.aggregate([...families, [sources]]).metrics();
}

function sourcesFamily(values: ReadonlyArray<readonly [state: string, value: number]>): Family {
  return {
    name: `${METRIC_PREFIX}metrics_sources`,
    help: 'Processes of this host that these figures come from; missing ones count as they last were.',
    type: 'gauge',
    aggregator: 'sum',
    values: values.map(([state, value]) => ({ labels: { state }, value })),
  };
}

function isStandIn(snapshot: MetricsSnapshot): boolean {
  return 'standIn' in snapshot;
}

function isCumulative(family: Family): boolean {
  return family.type !== 'gauge';
}

function addCounters(into: ReadonlyMap<string, Family>, families: readonly Family[]): Map<string, Family> {
  const result = new Map(into);
  for (const family of families.filter(isCumulative)) {
    const before = result.get(family.name);
    result.set(family.name, { ...family, values: addValues(before?.values ?? [], family.values) });
  }
  return result;
}

function addValues(before: readonly FamilyValue[], more: readonly FamilyValue[]): FamilyValue[] {
  const byLabels = new Map<string, FamilyValue>();
  for (const value of [...before, ...more]) {
    const key = JSON.stringify([value.metricName, value.labels]);
    byLabels.set(key, { ...value, value: value.value + (byLabels.get(key)?.value ?? 0) });
  }
  return [...byLabels.values()];
}

function isSnapshot(value: unknown): value is MetricsSnapshot {
  return (
    typeof value === 'object' &&
    value !== null &&
    'instance' in value &&
    'pid' in value &&
    'families' in value &&
    Array.isArray(value.families)
  );
}
