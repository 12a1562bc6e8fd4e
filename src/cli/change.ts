// A change of the running gateway that takes a while: shown while it is under way, and stopped with the command that began it.
import type { ControlClient } from '../cluster/control/control-client.ts';
import type { MoveFigures } from '../cluster/control/progress.ts';
import { isFields } from '../util/fields.ts';
import type { CliDeps } from './cli-deps.ts';
import type { ConfigFlags } from './config-options.ts';
import { withControl } from './control.ts';
import { interruptible } from './interrupt.ts';
import { type ProgressFormat, ProgressDisplay } from './progress.ts';
import { ageText } from './table.ts';

export interface ChangeFlags extends ConfigFlags {
  readonly json?: true;
  readonly abort?: true;
}

export interface Change<Report> {
  /** Of the control socket; `<method>-abort` stops it. */
  readonly method: string;
  /** What it is called, such as 'rebalancing'. */
  readonly name: string;
  readonly params?: unknown;
  readonly format: ProgressFormat<Report>;
  /** Of the last report, which is the gateway's answer. */
  readonly doneText: (report: Report) => string;
  /** Of an answer that is none. */
  readonly otherwise?: (answer: unknown, display: ProgressDisplay<Report>) => void;
}

/** Makes the change or, with `--abort`, stops the one that is under way. */
export async function changeGateway<Report>(
  flags: ChangeFlags,
  deps: CliDeps,
  change: Change<Report>,
): Promise<void> {
  await withControl(flags, deps, async (control) => {
    if (flags.abort === true) {
      await abortChange(control, change, flags, deps);
      return;
    }
    const { format, doneText, otherwise } = change;
    const display = new ProgressDisplay<Report>(deps, format, flags);
    const answer = await runChange(control, change, display);
    if (format.isReport(answer)) display.finish(doneText(answer));
    else otherwise?.(answer, display);
  });
}

/** Resolves to the gateway's answer. Ctrl-C stops the change, and whoever waits for it hears that. */
async function runChange<Report>(
  control: ControlClient,
  { method, params = null }: Change<Report>,
  display: ProgressDisplay<Report>,
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

/** Stops what another command has begun. */
async function abortChange<Report>(
  control: ControlClient,
  { method, name }: Change<Report>,
  { json }: ChangeFlags,
  { stdout }: CliDeps,
): Promise<void> {
  const answer = await control.request(`${method}-abort`);
  const aborted = isFields(answer) && answer['aborted'] === true;
  if (json === true) stdout.write(`${JSON.stringify(answer)}\n`);
  else stdout.write(aborted ? `the ${name} stops\n` : `no ${name} is under way\n`);
}

/** How far moving connections has come, how fast it goes, and how long it will take. */
export function movesText({ moved, left, perSecond, leftMs }: MoveFigures): string {
  const rate = perSecond > 0 ? `, ${perSecond}/s` : '';
  const time = leftMs !== null && leftMs > 0 ? `, ${ageText(leftMs)} left` : '';
  return `${moved} connections moved, ${left} to go${rate}${time}`;
}
