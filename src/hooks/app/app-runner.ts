// Runs handlers so that a slow or faulty one hurts its own command only.
import type { LabelledCells, LabelledDistributions } from '../../observe/hot-counters.ts';
import type { Logger } from '../../observe/logger.ts';
import { applicationCause } from '../../protocol/close-causes.ts';
import type { Clock } from '../../util/clock.ts';
import { UnavailableError } from '../../util/errors.ts';
import type { Decision } from '../application.ts';
import { verdictOf } from './app-errors.ts';
import type { Gateway } from './gateway.ts';
import type { App, Context } from './handlers.ts';

export type HandlerName = Exclude<keyof App, 'start'>;

export interface AppRunnerDeps {
  readonly clock: Clock;
  readonly log: Pick<Logger, 'error' | 'warn'>;
  readonly counters: { readonly hookCalls: LabelledCells; readonly hookSeconds: LabelledDistributions };
  readonly timeoutMs: number;
}

export class AppRunner {
  readonly #deps: AppRunnerDeps;
  #gateway: Gateway | undefined;

  constructor(deps: AppRunnerDeps) {
    this.#deps = deps;
  }

  /** Handlers run only after it. */
  provide(gateway: Gateway): void {
    this.#gateway = gateway;
  }

  /** `facts` say in the log whom it was about. Rejects with UnavailableError, logged already. */
  async decide<Answer>(
    event: HandlerName,
    facts: Readonly<Record<string, unknown>>,
    handle: (context: Context) => Promise<Decision<Answer>>,
  ): Promise<Decision<Answer>> {
    const { clock, counters } = this.#deps;
    const startedMs = clock.monotonicMs();
    let result = 'failed';
    try {
      const decision = await this.#inTime(handle);
      result = decision.kind;
      return decision;
    } catch (error) {
      const decision = decisionOf(error);
      if (decision !== undefined) {
        result = decision.kind;
        return decision;
      }
      if (error instanceof HandlerTimeoutError) result = 'timeout';
      this.#deps.log.error({ event, ...facts, err: error }, 'app handler failed');
      throw new UnavailableError(`the ${event} handler of the app module failed`, { cause: error });
    } finally {
      counters.hookCalls.cell(event, result).value += 1;
      counters.hookSeconds.of(event).observe((clock.monotonicMs() - startedMs) / 1000);
    }
  }

  async #inTime<T>(handle: (context: Context) => Promise<T>): Promise<T> {
    const gateway = this.#gateway;
    if (gateway === undefined) throw new UnavailableError('the app module has not been started');
    const { timeoutMs } = this.#deps;
    const aborter = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new HandlerTimeoutError(`took longer than ${timeoutMs} ms`);
        reject(error);
        aborter.abort(error);
      }, timeoutMs);
    });
    try {
      // What comes after the time is up is nobody's: `race` takes it and lets it go, rejections included.
      return await Promise.race([handle({ gateway, signal: aborter.signal }), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

class HandlerTimeoutError extends UnavailableError {}

/** What the handler threw on purpose. */
function decisionOf(error: unknown): Decision<never> | undefined {
  const verdict = verdictOf(error);
  if (verdict === undefined) return undefined;
  if (verdict.kind === 'disconnect') {
    return { kind: 'disconnect', cause: applicationCause(verdict.code, verdict.reason) };
  }
  const { code, message, temporary } = verdict;
  return { kind: 'error', error: { code, message, temporary } };
}
