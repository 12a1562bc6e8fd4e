// How the primary leaves: by command, which leaves it running without clients and can be taken back, and by signal.
import { randomBytes } from 'node:crypto';
import type { ControlMethod } from '../cluster/control/control-server.ts';
import { Drain, DrainError, type DrainProgress } from '../cluster/drain/drain.ts';
import type { DrainState } from '../cluster/drain/drain-state.ts';
import type { HostSurvey } from '../cluster/load/host-survey.ts';
import type { OneAtATime } from '../cluster/control/one-at-a-time.ts';
import { RateQuestions, RestRate } from '../cluster/drain/rest-rate.ts';
import type { ServiceNotifier } from '../cluster/service-notifier.ts';
import type { Supervisor } from '../cluster/supervisor.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../observe/logger.ts';
import { systemClock } from '../util/clock.ts';
import type { PrimaryAdmission } from './primary-admission.ts';
import type { PrimaryMetrics } from './primary-metrics.ts';

interface PrimaryDrainDeps {
  readonly logger: Logger;
  readonly supervisor: Supervisor;
  readonly admission: Pick<PrimaryAdmission, 'assigner' | 'desk' | 'drain'>;
  readonly survey: HostSurvey;
  readonly metrics: PrimaryMetrics;
  readonly notifier: () => ServiceNotifier;
  /** A drain by command is one; a signal goes before all of them. */
  readonly changes: OneAtATime;
  readonly isServing: () => boolean;
  /** The gateway ends: what is under way gives way. */
  readonly onEnding: () => void;
  readonly onServingAgain: () => void;
}

const HURRY_MS = 3000;
/** The next question of a load balancer comes, and what it does about the answer. */
const HEARD_MS = 1000;
/** Upgrades a second that a worker takes without being late, as long as nobody has measured it. */
const ASSUMED_RATE_PER_WORKER = 200;
const STATUS_AGE_MS = 30_000;
const DRAIN_AGE_MS = 5000;

export class PrimaryDrain {
  readonly drain: Drain;
  readonly #rate: RestRate;
  readonly #deps: PrimaryDrainDeps;

  constructor(deps: PrimaryDrainDeps, config: Config) {
    this.#deps = deps;
    const { logger, supervisor, admission, survey, metrics } = deps;
    const clock = systemClock;
    const host = randomBytes(12).toString('hex');
    const ownRate = (): number => admission.desk.acceptRate ?? ASSUMED_RATE_PER_WORKER * config.workers;
    this.#rate = new RestRate({
      clock,
      host,
      ownRate,
      ask: (question) => survey.collect(RateQuestions.fleet, question),
      asker: () => supervisor.serving().find(({ connected }) => connected)?.pid,
    });
    survey.answer(RateQuestions.host, () => ({ host, acceptRate: this.drain.draining ? 0 : ownRate() }));
    const { enabled: hasAgent, interval: intervalMs } = config.agent_check;
    this.drain = new Drain(
      {
        clock,
        logger,
        supervisor,
        connections: () => admission.assigner.clients,
        rate: this.#rate,
        onState: (state) => this.#onState(state),
      },
      {
        timeoutMs: config.shutdown.timeout,
        hurryMs: HURRY_MS,
        announceMs: hasAgent ? intervalMs + HEARD_MS : 0,
        rateAgeMs: DRAIN_AGE_MS,
      },
    );
    metrics.exposeDrain(() => this.drain.progress);
    supervisor.observe(this.drain);
  }

  get methods(): Readonly<Record<string, ControlMethod>> {
    const { drain } = this;
    return {
      drain: (params, onProgress) => this.#run(params, onProgress),
      'drain-status': async () => {
        await this.#rate.refresh(DRAIN_AGE_MS);
        return drain.progress;
      },
      'drain-pause': () => drain.command('pause'),
      'drain-resume': () => drain.command('resume'),
      'drain-hurry': () => drain.command('hurry'),
      'drain-abort': () => drain.command('abort'),
    };
  }

  /** What others take is known, if half a minute old; resolves in a second. */
  known(): Promise<void> {
    return this.#rate.refresh(STATUS_AGE_MS);
  }

  /** Joins the drain that is under way, or begins one when nothing else is. */
  async #run(params: unknown, onProgress: (progress: DrainProgress) => void): Promise<DrainProgress> {
    const { drain } = this;
    const { changes, isServing } = this.#deps;
    const how = { reason: 'command', ...readParams(params) };
    if (!drain.draining) {
      if (!isServing()) throw new DrainError('the gateway does not serve yet');
      let result: Promise<DrainProgress> | undefined;
      await new Promise<void>((resolve, reject) => {
        const work = (): Promise<void> => {
          result = drain.run(how, onProgress);
          resolve();
          return drain.whenOver();
        };
        changes.run('drain', work).catch(reject);
      });
      if (result !== undefined) return result;
    }
    return drain.run(how, onProgress);
  }

  #onState(state: DrainState['name']): void {
    const { admission, onEnding, onServingAgain } = this.#deps;
    const notifier = this.#deps.notifier();
    if (this.drain.ending) {
      onEnding();
      notifier.stopping(state);
    } else if (state === 'serving') {
      notifier.status('serving');
      onServingAgain();
    } else {
      notifier.status(state === 'drained' ? 'drained: no connections' : `draining: ${state}`);
    }
    if (state === 'announcing') admission.desk.dismiss();
    if (state === 'ending') admission.drain();
  }
}

function readParams(params: unknown): { readonly windowMs: number | null; readonly ends: boolean } {
  const given = typeof params === 'object' && params !== null ? params : {};
  const windowMs = 'windowMs' in given ? given.windowMs : null;
  if (windowMs !== null && (typeof windowMs !== 'number' || !(windowMs >= 0))) {
    throw new DrainError('windowMs: expected milliseconds');
  }
  return { windowMs, ends: 'ends' in given && given.ends === true };
}
