// Counters that the message path may touch: plain fields and cached cells, copied into families only when the metrics
// page is made. prom-client's own labelled `inc` costs more than 100 ns, which a delivery of 7 µs would notice.
import {
  type LabelledCounterKey,
  type LabelledHistogramKey,
  METRICS,
  type PlainCounterKey,
  type PlainHistogramKey,
} from './metric-table.ts';

/** One labelled counter: keep it and write `cell.value += 1`. */
export interface Cell {
  value: number;
}

/** Beyond this many combinations of labels, new ones are counted together as `other`: names must not come from clients. */
const MAX_CELLS = 1000;
const OTHER = 'other';

/** Cells by one or two label values, in the order of the table. */
export class LabelledCells {
  readonly #cells = new Map<string, Map<string, Cell>>();
  #count = 0;

  cell(first: string, second = ''): Cell {
    const existing = this.#cells.get(first)?.get(second);
    if (existing !== undefined) return existing;
    if (this.#count >= MAX_CELLS && first !== OTHER) return this.cell(OTHER, second === '' ? '' : OTHER);
    const cell = { value: 0 };
    let row = this.#cells.get(first);
    if (row === undefined) this.#cells.set(first, (row = new Map()));
    row.set(second, cell);
    this.#count += 1;
    return cell;
  }

  *entries(): Generator<[labels: readonly [string, string], value: number]> {
    for (const [first, row] of this.#cells) {
      for (const [second, cell] of row) yield [[first, second], cell.value];
    }
  }
}

/** A histogram with plain fields. `counts[i]` belongs to `bounds[i]`; the last one counts what is above all bounds. */
export class Distribution {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  /** `times`: how many observations had this value, so that one fan-out needs one call. */
  observe(seconds: number, times = 1): void {
    // Clocks of two hosts may differ: a negative latency is counted as none.
    const value = seconds > 0 ? seconds : 0;
    let at = 0;
    while (at < this.bounds.length && value > (this.bounds[at] ?? 0)) at += 1;
    this.counts[at] = (this.counts[at] ?? 0) + times;
    this.sum += value * times;
  }
}

export class LabelledDistributions {
  readonly #bounds: readonly number[];
  readonly #byLabel = new Map<string, Distribution>();

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
  }

  of(label: string): Distribution {
    const existing = this.#byLabel.get(label);
    if (existing !== undefined) return existing;
    if (this.#byLabel.size >= MAX_CELLS && label !== OTHER) return this.of(OTHER);
    const added = new Distribution(this.#bounds);
    this.#byLabel.set(label, added);
    return added;
  }

  entries(): IterableIterator<[label: string, distribution: Distribution]> {
    return this.#byLabel.entries();
  }
}

/** What the table demands: HotCounters has exactly one field of the right kind for each hot metric. */
export type HotFields = Record<PlainCounterKey, number> &
  Readonly<Record<LabelledCounterKey, LabelledCells>> &
  Readonly<Record<PlainHistogramKey, Distribution>> &
  Readonly<Record<LabelledHistogramKey, LabelledDistributions>>;

/** One per process; whoever counts holds it and adds to its fields. */
export class HotCounters implements HotFields {
  messagesIn = 0;
  messagesOut = 0;
  bytesIn = 0;
  bytesOut = 0;
  publicationsIn = 0;
  publicationsMissed = 0;
  delivered = 0;
  slowConsumers = 0;
  shed = 0;
  rebalanceMoves = 0;
  /** Bytes in all outboxes; the metric is read from here. */
  queuedBytes = 0;
  readonly opened = new LabelledCells();
  readonly closed = new LabelledCells();
  readonly admissionRefusals = new LabelledCells();
  readonly admissionAllowed = new LabelledCells();
  readonly verifications = new LabelledCells();
  readonly commands = new LabelledCells();
  readonly apiCalls = new LabelledCells();
  readonly hookCalls = new LabelledCells();
  readonly notices = new LabelledCells();
  readonly dropped = new LabelledCells();
  readonly recoveries = new LabelledCells();
  readonly moves = new LabelledCells();
  readonly rebalances = new LabelledCells();
  readonly engineOperations = new LabelledCells();
  readonly workerRestarts = new LabelledCells();
  readonly deliveryLatency = new Distribution(METRICS.deliveryLatency.buckets);
  readonly admissionWait = new Distribution(METRICS.admissionWait.buckets);
  readonly movePause = new Distribution(METRICS.movePause.buckets);
  readonly hookSeconds = new LabelledDistributions(METRICS.hookSeconds.buckets);
  readonly engineSeconds = new LabelledDistributions(METRICS.engineSeconds.buckets);
}
