// `holdfast reload`: the gateway of this host takes up its configuration and application anew, worker by worker, while its
// clients stay connected.
import type { Command } from 'commander';
import type { ReloadProgress } from '../cluster/moves/reload.ts';
import { isFields } from '../util/fields.ts';
import { type ChangeFlags, changeGateway, movesText } from './change.ts';
import type { CliDeps } from './cli-deps.ts';
import { addConfigFlags } from './config-options.ts';
import { CONTROL_EXIT_CODES } from './control.ts';

export function addReload(program: Command, deps: CliDeps): void {
  addConfigFlags(
    program
      .command('reload')
      .description('replace the workers of the running gateway one by one; clients stay connected'),
  )
    .option('--abort', 'stop the reload that is under way, and put back what it has changed')
    .option('--json', 'print progress and result as JSON, one object a line')
    .addHelpText(
      'after',
      '\nThe gateway reads the configuration that it was started with again; what is wrong with it is said,\n' +
        'and then nothing is changed. Interrupting this command stops the reload.\n\n' +
        'Example:\n  $ holdfast reload --config holdfast.yaml' +
        CONTROL_EXIT_CODES,
    )
    .action(async (flags: ChangeFlags) => {
      await changeGateway(flags, deps, { method: 'reload', name: 'reload', format, doneText });
    });
}

const STATE_TEXTS: Readonly<Record<ReloadProgress['state'], string>> = {
  starting: 'starting',
  checking: 'checking',
  moving: 'moving connections',
  closing: 'ending the old one',
  'putting-back': 'putting back',
  done: 'done',
  failed: 'failed',
};

const format = {
  isReport: isProgress,
  text: progressText,
  step: ({ worker, state }: ReloadProgress): string => `${worker} ${state}`,
};

function progressText(progress: ReloadProgress): string {
  const { state, worker, replaced, workers } = progress;
  return `worker ${worker}: ${STATE_TEXTS[state]} (${replaced} of ${workers} done); ${movesText(progress)}`;
}

function doneText({ replaced, moved, closed }: ReloadProgress): string {
  const rest = closed > 0 ? `, ${closed} closed to come back` : '';
  return `reloaded: ${replaced} workers replaced, ${moved} connections moved${rest}`;
}

function isProgress(value: unknown): value is ReloadProgress {
  return isFields(value) && 'state' in value && 'moved' in value && 'replaced' in value;
}
