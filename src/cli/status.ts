// `holdfast status`: the running gateway of this host, as its primary sees it.
import type { Command } from 'commander';
import type { ControlClient } from '../cluster/control/control-client.ts';
import { pause } from '../util/pause.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import { type CliDeps, printJson } from './cli-deps.ts';
import { addConfigFlags, type ConfigFlags } from './config-options.ts';
import { CONTROL_EXIT_CODES, withControl } from './control.ts';
import { interruptible } from './interrupt.ts';
import { isHostStatus, statusText } from './status-text.ts';

interface StatusFlags extends ConfigFlags {
  readonly watch?: true;
  readonly json?: true;
}

const WATCH_INTERVAL_MS = 1_000;
const CLEAR_SCREEN = '\u001b[H\u001b[J';

export function addStatus(program: Command, deps: CliDeps): void {
  addConfigFlags(program.command('status').description('show the running gateway of this host'))
    .option('--watch', 'show it again every second')
    .option('--json', 'print it as JSON; with --watch one line each time')
    .addHelpText(
      'after',
      '\nExample:\n  $ holdfast status --config holdfast.yaml --watch' + CONTROL_EXIT_CODES,
    )
    .action(async (flags: StatusFlags) => {
      await withControl(flags, deps, async (control) => {
        if (flags.watch !== true) await show(control, flags, deps);
        else await interruptible((signal) => watch(control, flags, deps, signal));
      });
    });
}

async function watch(
  control: ControlClient,
  flags: StatusFlags,
  deps: CliDeps,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await show(control, flags, deps);
    await pause(WATCH_INTERVAL_MS, signal);
  }
}

async function show(control: ControlClient, flags: StatusFlags, deps: CliDeps): Promise<void> {
  const status = await control.request('status');
  if (flags.json === true) {
    if (flags.watch === true) deps.stdout.write(`${JSON.stringify(status)}\n`);
    else printJson(deps, status);
    return;
  }
  if (!isHostStatus(status)) {
    throw new CliError(
      ExitCodes.failure,
      'the gateway answers in a form that this version does not know: use --json',
    );
  }
  const clear = flags.watch === true && deps.stdout.isTTY === true ? CLEAR_SCREEN : '';
  deps.stdout.write(clear + statusText(status, deps));
}
