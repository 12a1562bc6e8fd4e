// How this worker helps hosts to know each other's accept rates: it answers for its own host, and asks all others.
import { type HostRate } from '../cluster/drain/reconnect-window.ts';
import { type FleetQuestion, isHostRate, RateQuestions } from '../cluster/drain/rest-rate.ts';
import type { HostQuestions } from '../cluster/host-questions.ts';
import type { NodeBus } from '../engine/node-bus.ts';
import type { Clock } from '../util/clock.ts';

interface WorkerRateDeps {
  readonly questions: HostQuestions;
  readonly bus: NodeBus;
  readonly clock: Clock;
}

const SURVEY_KIND = 'survey.host_rate';
/** Less than the primary's patience with its workers. */
const SURVEY_TIMEOUT_MS = 600;
/** Many hosts may ask. */
const FRESH_MS = 2000;

export function answerRates({ questions, bus, clock }: WorkerRateDeps): void {
  let known: Promise<HostRate | null> = Promise.resolve(null);
  let askedMs = -Infinity;
  const askPrimary = async (): Promise<HostRate | null> => {
    const answers = await questions.collect(RateQuestions.host).catch(() => []);
    return answers.map(({ value }) => value).find(isHostRate) ?? null;
  };
  bus.handle(SURVEY_KIND, () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - askedMs >= FRESH_MS) {
      askedMs = nowMs;
      known = askPrimary();
    }
    return known;
  });
  questions.answer(RateQuestions.host, () => null);
  questions.answer(RateQuestions.fleet, async (question) => {
    if (!isFleetQuestion(question) || question.asker !== process.pid) return null;
    const { answers } = await bus.survey(SURVEY_KIND, null, SURVEY_TIMEOUT_MS);
    return answers.map(({ result }) => result);
  });
}

function isFleetQuestion(value: unknown): value is FleetQuestion {
  return typeof value === 'object' && value !== null && 'asker' in value;
}
