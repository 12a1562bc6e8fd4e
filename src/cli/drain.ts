// `holdfast drain`: the gateway of this host sends its clients to the others, at the pace that those can take.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ControlClient } from '../cluster/control/control-client.ts';
import type { DrainProgress } from '../cluster/drain/drain.ts';
import { parseDuration } from '../config/duration.ts';
import { HoldfastError } from '../util/errors.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import { type CliDeps, note } from './cli-deps.ts';
import { addConfigFlags, type ConfigFlags } from './config-options.ts';
import { CONTROL_EXIT_CODES, withControl } from './control.ts';
import { drainFormat, drainText, isDrainProgress } from './drain-text.ts';
import { interruptible } from './interrupt.ts';
import { ProgressDisplay } from './progress.ts';

interface DrainFlags extends ConfigFlags {
  readonly window?: number;
  readonly exit?: true;
  readonly pause?: true;
  readonly resume?: true;
  readonly hurry?: true;
  readonly abort?: true;
  readonly status?: true;
  readonly json?: true;
}

/** To a drain that is under way. */
const ORDERS = {
  pause: 'close nobody until --resume',
  resume: 'go on after --pause',
  hurry: 'close everybody now',
  abort: 'take the drain back: this host takes clients again; those that were not closed stay',
  status: 'show the drain that is under way, or how long one would take',
} as const;
const ORDER_NAMES = [
  'pause',
  'resume',
  'hurry',
  'abort',
  'status',
] as const satisfies (keyof typeof ORDERS)[];

const HELP =
  `
No new client comes any more, load balancers are told (agent check, /readyz), and the connections are closed over the
reconnect window: clients ÷ connections a second that the other hosts take. SDKs come back there and recover. The gateway
runs on without clients: stop it then, or take the drain back. Interrupted, this command asks what to do; without a
terminal the drain goes on.

SIGTERM drains as well, within shutdown.timeout, and ends the gateway; a second one hurries.

Examples:
  $ holdfast drain --config holdfast.yaml
  $ holdfast drain --window 5m --exit
  $ holdfast drain --status` + CONTROL_EXIT_CODES;

export function addDrain(program: Command, deps: CliDeps): void {
  const command = addConfigFlags(
    program
      .command('drain')
      .description('send the clients of this host to the others, at the pace they can take'),
  )
    .option('--window <duration>', 'close over this time, whatever the other hosts take', readWindow)
    .option('--exit', 'end the gateway when all are closed');
  for (const name of ORDER_NAMES) {
    const others = ORDER_NAMES.filter((other) => other !== name);
    command.addOption(new Option(`--${name}`, ORDERS[name]).conflicts([...others, 'window', 'exit']));
  }
  command
    .option('--json', 'print progress and result as JSON, one object a line')
    .addHelpText('after', HELP)
    .action(async (flags: DrainFlags) => {
      await withControl(flags, deps, async (control) => {
        const order = ORDER_NAMES.find((name) => flags[name] === true);
        if (order === undefined) await follow(control, flags, deps);
        else show(await control.request(`drain-${order}`), flags, deps);
      });
    });
}

function show(progress: unknown, flags: DrainFlags, deps: CliDeps): void {
  if (flags.json === true) deps.stdout.write(`${JSON.stringify(progress)}\n`);
  else if (isDrainProgress(progress)) deps.stdout.write(`${drainText(progress)}\n`);
}

/** Until all are closed, however often it is interrupted meanwhile. */
async function follow(control: ControlClient, flags: DrainFlags, deps: CliDeps): Promise<void> {
  const display = new ProgressDisplay<DrainProgress>(deps, drainFormat, flags);
  const params = { windowMs: flags.window ?? null, ends: flags.exit === true };
  let last: unknown;
  const drained = control.request('drain', params, (value) => {
    last = value;
    display.show(value);
  });
  // Nobody waits for it when this command leaves early.
  drained.catch(() => undefined);
  try {
    while (await isInterrupted(drained)) {
      display.clear();
      await decide(control, deps, last);
    }
    const result = await drained;
    const end = isDrainProgress(result) ? result.state : 'ended';
    display.finish(
      end === 'drained' ? 'drained: the gateway runs without clients' : 'drained: the gateway ends',
      result,
    );
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'HOLDFAST_DRAIN') throw error;
    throw new CliError(ExitCodes.failure, error.message, { cause: error });
  } finally {
    display.clear();
  }
}

async function isInterrupted(work: Promise<unknown>): Promise<boolean> {
  let interrupted = false;
  await interruptible(async (signal) => {
    const stopped = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([work, stopped]);
    interrupted = signal.aborted;
  });
  return interrupted;
}

const CHOICES = { p: 'pause', r: 'resume', h: 'hurry', a: 'abort' } as const;

/** Returns when this command shall go on watching. */
async function decide(control: ControlClient, deps: CliDeps, last: unknown): Promise<void> {
  if (deps.ask === undefined) leaveItToTheGateway();
  const isPaused = isDrainProgress(last) && last.state === 'paused';
  const first = isPaused ? '[r]esume' : '[p]ause';
  const answer = await deps.ask(`${first}, [h]urry, [a]bort, [l]eave it going, or [w]atch on? `);
  const letter = answer.trim().toLowerCase().slice(0, 1);
  if (letter === 'w') return;
  if (letter !== 'p' && letter !== 'r' && letter !== 'h' && letter !== 'a') leaveItToTheGateway();
  await control.request(`drain-${CHOICES[letter]}`).catch((error: unknown) => {
    if (!(error instanceof HoldfastError)) throw error;
    note(deps, error.message);
  });
}

function leaveItToTheGateway(): never {
  throw new CliError(
    ExitCodes.failure,
    'the drain goes on without this command: see `holdfast drain --status`, `--pause`, `--abort`',
  );
}

function readWindow(text: string): number {
  const windowMs = parseDuration(text);
  if (windowMs === undefined) throw new InvalidArgumentError('Expected a duration such as 90s or 5m.');
  return windowMs;
}
