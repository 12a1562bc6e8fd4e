// Questions to every process of this host: the primary asks all workers and itself, and takes what comes in time.
import type { CollectedAnswer, ToPrimary } from '../ipc.ts';
import type { WorkerObserver } from '../supervisor.ts';
import type { WorkerProcess } from '../worker-process.ts';
import type { AnswerHandler } from '../host-questions.ts';

const PATIENCE_MS = 1000;

interface Survey {
  readonly kind: string;
  readonly answers: CollectedAnswer[];
  readonly waitingFor: Set<WorkerProcess>;
  readonly finish: () => void;
}

export class HostSurvey implements WorkerObserver {
  readonly #answers = new Map<string, AnswerHandler>();
  readonly #listeners = new Map<string, (value: unknown) => void>();
  readonly #workers = new Set<WorkerProcess>();
  readonly #surveys = new Map<number, Survey>();
  #nextId = 1;

  /** Registers how the primary itself answers questions of one kind. */
  answer(kind: string, handler: AnswerHandler): void {
    this.#answers.set(kind, handler);
  }

  /** Hears everything that workers say to questions of this kind, their last words too. */
  overhear(kind: string, listener: (value: unknown) => void): void {
    this.#listeners.set(kind, listener);
  }

  /** Answers in the order of arrival; workers that are silent for a second or have no handler are left out. */
  async collect(kind: string, params: unknown): Promise<readonly CollectedAnswer[]> {
    const own = this.#answers.get(kind);
    const [fromWorkers, value] = await Promise.all([this.#ask(kind, params), own?.(params)]);
    return own === undefined ? fromWorkers : [{ from: 'primary', pid: process.pid, value }, ...fromWorkers];
  }

  routed(worker: WorkerProcess, routed: boolean): void {
    // One that is leaving still has connections to account for.
    if (routed) this.#workers.add(worker);
  }

  message(worker: WorkerProcess, message: ToPrimary): void {
    if (message.type === 'collect') {
      void this.#collectFor(worker, message.id, message.kind, message.params);
    } else if (message.type === 'last-words') {
      this.#listeners.get(message.kind)?.(message.value);
    } else if (message.type === 'answer') {
      const survey = this.#surveys.get(message.id);
      if (survey?.waitingFor.delete(worker) !== true) return;
      this.#listeners.get(survey.kind)?.(message.value);
      survey.answers.push({ from: `worker-${worker.slot}`, pid: worker.pid, value: message.value });
      if (survey.waitingFor.size === 0) survey.finish();
    }
  }

  gone(worker: WorkerProcess): void {
    this.#workers.delete(worker);
    for (const survey of this.#surveys.values()) {
      if (survey.waitingFor.delete(worker) && survey.waitingFor.size === 0) survey.finish();
    }
  }

  async #collectFor(worker: WorkerProcess, id: number, kind: string, params: unknown): Promise<void> {
    const answers = await this.collect(kind, params).catch(() => []);
    worker.post({ type: 'collected', id, answers });
  }

  #ask(kind: string, params: unknown): Promise<readonly CollectedAnswer[]> {
    const id = this.#nextId++;
    const waitingFor = new Set([...this.#workers].filter((worker) => worker.connected));
    const answers: CollectedAnswer[] = [];
    if (waitingFor.size === 0) return Promise.resolve(answers);
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#surveys.delete(id);
        resolve(answers);
      };
      const timer = setTimeout(finish, PATIENCE_MS);
      this.#surveys.set(id, { kind, answers, waitingFor, finish });
      for (const worker of waitingFor) worker.post({ type: 'question', id, kind, params });
    });
  }
}
