// A change of the running gateway that takes a while: shown while it is under way, and stopped with the command that began it.
import type { ControlClient } from '../cluster/control-client.ts';
import type { CliDeps } from './cli-deps.ts';
import { interruptible } from './interrupt.ts';
import type { ProgressDisplay } from './progress.ts';
import { ageText } from './table.ts';

export interface Change<Report> {
  /** Of the control socket; `<method>-abort` stops it. */
  readonly method: string;
  readonly params?: unknown;
  readonly display: ProgressDisplay<Report>;
}

/** Resolves to the gateway's answer. Ctrl-C stops the change, and whoever waits for it hears that. */
export async function runChange<Report>(
  control: ControlClient,
  { method, params = null, display }: Change<Report>,
): Promise<unknown> {
  let answer: unknown;
  const stop = (): void => void control.request(`${method}-abort`).catch(() => undefined);
  await interruptible(async (signal) => {
    signal.addEventListener('abort', stop, { once: true });
    try {
      answer = await control.request(method, params, (value) => display.show(value));
    } finally {
      display.clear();
    }
  });
  return answer;
}

/** Stops what another command has begun; `name` such as 'reload'. */
export async function abortChange(
  control: ControlClient,
  method: string,
  name: string,
  { json, deps }: { readonly json: boolean; readonly deps: CliDeps },
): Promise<void> {
  const answer = await control.request(`${method}-abort`);
  const aborted = typeof answer === 'object' && answer !== null && 'aborted' in answer && answer.aborted;
  if (json) deps.stdout.write(`${JSON.stringify(answer)}\n`);
  else deps.stdout.write(aborted === true ? `the ${name} stops\n` : `no ${name} is under way\n`);
}

interface MovesUnderWay {
  readonly moved: number;
  readonly left: number;
  readonly perSecond: number;
  readonly leftMs: number | null;
}

/** How far moving connections has come, how fast it goes, and how long it will take. */
export function movesText({ moved, left, perSecond, leftMs }: MovesUnderWay): string {
  const rate = perSecond > 0 ? `, ${perSecond}/s` : '';
  const time = leftMs !== null && leftMs > 0 ? `, ${ageText(leftMs)} left` : '';
  return `${moved} connections moved, ${left} to go${rate}${time}`;
}
