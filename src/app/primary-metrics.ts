// Figures of the primary, and of the whole host: keeps what dead workers counted, so that sums never go back.
import { randomBytes } from 'node:crypto';
import type { AdmissionDesk } from '../cluster/admission/admission-desk.ts';
import type { DrainProgress } from '../cluster/drain/drain.ts';
import type { HostCapacity } from '../cluster/load/host-capacity.ts';
import type { WeighedWorker } from '../cluster/moves/rebalance-plan.ts';
import type { WorkerObserver } from '../cluster/supervisor.ts';
import type { WorkerEnd, WorkerProcess } from '../cluster/worker-process.ts';
import { MetricsArchive } from '../observe/host-metrics.ts';
import { Metrics, type MetricsSnapshot, type Reading } from '../observe/metrics.ts';
import { ProcessReadings } from '../observe/process-readings.ts';

export class PrimaryMetrics implements WorkerObserver {
  readonly #metrics = new Metrics(`primary-${randomBytes(8).toString('hex')}`);
  readonly #archive = new MetricsArchive();
  readonly #readings: ProcessReadings;

  constructor(version: string, capacity: () => HostCapacity, loads: () => readonly WeighedWorker[]) {
    this.#readings = new ProcessReadings({ metrics: this.#metrics, worker: 'primary', version });
    this.#metrics.read('utilisation', () => {
      const { eventLoop, ...rest } = capacity().utilisation;
      return Object.entries({ ...rest, event_loop: eventLoop }).map(([of, value]) => [[of], value]);
    });
    this.#metrics.read('workerLoad', () => loads().map(({ slot, load }) => [[String(slot)], load]));
    this.#metrics.read('connectionLimit', () => orNone(capacity().connectionLimit));
    this.#metrics.read('acceptHeadroom', () => orNone(capacity().acceptHeadroom));
  }

  exposeDrain(drain: () => DrainProgress): void {
    this.#metrics.read('reconnectWindow', () => drain().window.neededMs / 1000);
    this.#metrics.read('drainConnections', () => {
      const { state, closed, remaining } = drain();
      if (state === 'serving') return [];
      return [
        [['closed'], closed],
        [['remaining'], remaining],
      ];
    });
  }

  /** `by`: command or automatic; `result`: done or failed. */
  rebalanced(by: string, result: string, moved: number): void {
    const { hot } = this.#metrics;
    hot.rebalances.cell(by, result).value += 1;
    hot.rebalanceMoves += moved;
  }

  /** A connection that no worker saw. */
  refused(reason: string): void {
    this.#metrics.hot.admissionRefusals.cell(reason).value += 1;
  }

  /** A new connection is on its way to a worker. */
  letIn(waitedMs: number): void {
    const { admissionAllowed, admissionWait } = this.#metrics.hot;
    admissionAllowed.cell(waitedMs === 0 ? 'at_once' : 'waited').value += 1;
    if (waitedMs > 0) admissionWait.observe(waitedMs / 1000);
  }

  exposeAdmission(desk: AdmissionDesk): void {
    this.#metrics.read('admissionQueued', () =>
      Object.entries(desk.waiting).map(([client, count]) => [[client], count]),
    );
    this.#metrics.read('admissionGaveUp', () => desk.gaveUp);
    this.#metrics.read('acceptRate', () => orNone(desk.acceptRate ?? null));
  }

  exposeHistory(history: () => { readonly bytes: number; readonly evicted: number }): void {
    this.#metrics.read('engineHistoryBytes', () => history().bytes);
    this.#metrics.read('engineEvicted', () => history().evicted);
  }

  get refusals(): Readonly<Record<string, number>> {
    const cells = [...this.#metrics.hot.admissionRefusals.entries()];
    return Object.fromEntries(cells.map(([[reason], value]) => [reason, value]));
  }

  /** What the primary answers when the host is asked for its metrics. */
  answer(): readonly MetricsSnapshot[] {
    return this.#archive.answer(this.#metrics.snapshot());
  }

  /** What a worker answered, or left as its last words. */
  record(answer: unknown): void {
    this.#archive.record(answer);
  }

  gone(process: WorkerProcess, end: WorkerEnd): void {
    this.#archive.retire(process.pid);
    if (end.expected) return;
    const reason = end.signal ?? `exit code ${end.code}`;
    this.#metrics.hot.workerRestarts.cell(reason).value += 1;
  }

  close(): void {
    this.#readings.close();
  }
}

/** A number that is not known has no series. */
function orNone(value: number | null): number | readonly Reading[] {
  return value ?? [];
}
