// Figures of the whole host: snapshots of all its processes, collected through the primary, become one page.
import { AggregatorRegistry } from 'prom-client';
import { METRIC_PREFIX } from './metric-table.ts';
import type { Family, FamilyValue, MetricsSnapshot } from './metrics.ts';

/**
 * Kept by the primary, so that counters of the host never go backwards: a scraper would take that for a restart and
 * report everything counted so far as a sudden burst. It remembers what each worker said last, and goes on adding it
 * when the worker does not answer in time or is gone.
 */
export class MetricsArchive {
  readonly #last = new Map<string, MetricsSnapshot>();
  readonly #gone = new Set<string>();
  #retired = new Map<string, Family>();

  /** What one worker said: its answer to a collection, or its last words. Answers of the dead that come late are void. */
  record(snapshot: MetricsSnapshot): void {
    if (!this.#gone.has(snapshot.instance)) this.#last.set(snapshot.instance, snapshot);
  }

  /** The worker is dead: its counters stay, its gauges go. */
  retire(pid: number): void {
    for (const snapshot of [...this.#last.values()].filter((each) => each.pid === pid)) {
      this.#last.delete(snapshot.instance);
      this.#gone.add(snapshot.instance);
      this.#retired = addCounters(this.#retired, snapshot.families);
    }
  }

  /**
   * Takes what workers answered and returns what the page must add up: these answers, the counters of workers that
   * owe one, and those of the dead.
   */
  complete(answers: readonly unknown[]): MetricsSnapshot[] {
    const fresh = answers.filter(isSnapshot).filter((each) => !this.#gone.has(each.instance));
    const answered = new Set(fresh.map((each) => each.instance));
    for (const snapshot of fresh) this.record(snapshot);
    const silent = [...this.#last.values()].filter((each) => !answered.has(each.instance));
    const kept = silent.map((each) => ({ ...each, families: each.families.filter(isCumulative) }));
    const archive = {
      instance: 'archive',
      pid: 0,
      families: [
        ...this.#retired.values(),
        sourcesFamily([
          ['answered', fresh.length],
          ['missing', silent.length],
        ]),
      ],
    };
    return [...fresh, ...kept, archive];
  }
}

/** The Prometheus text of all these snapshots together; what is no snapshot is left out. */
export async function hostPage(snapshots: readonly unknown[]): Promise<string> {
  const families = snapshots.filter(isSnapshot).map((each) => each.families);
  return AggregatorRegistry.aggregate([...families]).metrics();
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
    'families' in value &&
    Array.isArray(value.families)
  );
}
