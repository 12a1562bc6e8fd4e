// The metrics of one process: hot counters plus values read on demand, turned into a snapshot that can travel over IPC
// and be added up with those of the other workers (see host-metrics.ts). No global registry.
import { type Distribution, HotCounters, LabelledCells, LabelledDistributions } from './hot-counters.ts';
import { METRIC_PREFIX, METRICS, type MetricKey, type MetricSpec, type ReadKey } from './metric-table.ts';

/** One value of a metric, labels in the order of the table. */
export type Reading = readonly [labels: readonly string[], value: number];

export interface FamilyValue {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Histograms: `..._bucket`, `..._sum` or `..._count`. */
  readonly metricName?: string;
}

/** The form in which prom-client exchanges metrics between processes. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: MetricSpec['type'];
  readonly aggregator: MetricSpec['aggregator'];
  readonly values: readonly FamilyValue[];
}

export interface MetricsSnapshot {
  /** Process that it is about; unique per start. */
  readonly instance: string;
  readonly pid: number;
  readonly families: readonly Family[];
}

/** One per process, made by its composition root. */
export class Metrics {
  readonly hot = new HotCounters();
  readonly #readers = new Map<MetricKey, () => number | Iterable<Reading>>();
  readonly #instance: string;

  /** `instance` must differ from that of every earlier process on this host. */
  constructor(instance: string) {
    this.#instance = instance;
  }

  /** Says where the values of a metric come from. They are read when somebody looks, so that nothing can drift. */
  read(key: ReadKey, read: () => number | Iterable<Reading>): void {
    if (this.#readers.has(key)) throw new Error(`metric ${METRICS[key].name} is already read from somewhere`);
    this.#readers.set(key, read);
  }

  snapshot(): MetricsSnapshot {
    const families: Family[] = [];
    for (const key of Object.keys(METRICS).filter(isMetricKey)) {
      const spec: MetricSpec = METRICS[key];
      const name = METRIC_PREFIX + spec.name;
      const { help, type, aggregator } = spec;
      families.push({ name, help, type, aggregator, values: this.#values(key, spec, name) });
    }
    return { instance: this.#instance, pid: process.pid, families };
  }

  #values(key: MetricKey, spec: MetricSpec, name: string): FamilyValue[] {
    const source = isReadKey(key) ? this.#readers.get(key)?.() : this.hot[key];
    if (source === undefined) return [];
    if (typeof source === 'number') return [{ labels: {}, value: source }];
    if (source instanceof LabelledCells) return readings(spec.labels, source.entries());
    if (source instanceof LabelledDistributions) {
      const label = spec.labels[0] ?? '';
      return [...source.entries()].flatMap(([value, distribution]) =>
        histogramValues(name, distribution, { [label]: value }),
      );
    }
    return 'bounds' in source ? histogramValues(name, source, {}) : readings(spec.labels, source);
  }
}

function isMetricKey(key: string): key is MetricKey {
  return Object.hasOwn(METRICS, key);
}

function isReadKey(key: MetricKey): key is ReadKey {
  return METRICS[key].source === 'read';
}

function readings(names: readonly string[], source: Iterable<Reading>): FamilyValue[] {
  return Array.from(source, ([labels, value]) => ({
    labels: Object.fromEntries(names.map((name, at) => [name, labels[at] ?? ''])),
    value,
  }));
}

function histogramValues(
  name: string,
  distribution: Distribution,
  labels: Record<string, string>,
): FamilyValue[] {
  const values: FamilyValue[] = [];
  let total = 0;
  for (const [at, count] of distribution.counts.entries()) {
    total += count;
    const le = distribution.bounds[at] ?? '+Inf';
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: total });
  }
  values.push({ metricName: `${name}_sum`, labels, value: distribution.sum });
  values.push({ metricName: `${name}_count`, labels, value: total });
  return values;
}
