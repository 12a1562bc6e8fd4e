// Questions that one process of a host asks and all of them answer, as a worker sees them: by way of the primary.
import { UnavailableError } from '../util/errors.ts';
import type { CollectedAnswer, ToPrimary } from './ipc.ts';

/** Answers a question of the whole host for this process. */
export type AnswerHandler = (params: unknown) => unknown;

/** The primary gives up on its slowest worker after 1 s; this is only for a primary that is itself stuck. */
const COLLECT_TIMEOUT_MS = 3000;

interface Pending {
  readonly resolve: (answers: readonly CollectedAnswer[]) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class HostQuestions {
  readonly #post: (message: ToPrimary) => void;
  readonly #handlers = new Map<string, AnswerHandler>();
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;

  constructor(post: (message: ToPrimary) => void) {
    this.#post = post;
  }

  /** Registers how this process answers questions of one kind. */
  answer(kind: string, handler: AnswerHandler): void {
    this.#handlers.set(kind, handler);
  }

  /**
   * Asks every process of this host, this one included; those that do not answer in a second are left out. Rejects with
   * UnavailableError when the primary does not answer, and when this worker ends before it does.
   */
  collect(kind: string, params: unknown = null): Promise<readonly CollectedAnswer[]> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new UnavailableError('the primary did not answer'));
      }, COLLECT_TIMEOUT_MS);
      this.#pending.set(id, { resolve, reject, timer });
      this.#post({ type: 'collect', id, kind, params });
    });
  }

  /** The primary asks this process. */
  async onQuestion(id: number, kind: string, params: unknown): Promise<void> {
    const handler = this.#handlers.get(kind);
    // No answer is an answer too: the primary counts this process as missing.
    if (handler === undefined) return;
    try {
      this.#post({ type: 'answer', id, value: await handler(params) });
    } catch (error) {
      process.emitWarning(`question '${kind}' failed: ${String(error)}`);
    }
  }

  /** The answers to a `collect`. */
  onCollected(id: number, answers: readonly CollectedAnswer[]): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    pending.resolve(answers);
  }

  close(): void {
    for (const { timer, reject } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new UnavailableError('this worker ends'));
    }
    this.#pending.clear();
  }
}
