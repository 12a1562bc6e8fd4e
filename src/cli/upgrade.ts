// `holdfast upgrade`: another primary, from the program and the Node that are on disk now, takes everything over from the one
// that runs, while its clients stay connected.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { UpgradeProgress } from '../cluster/moves/upgrade.ts';
import { isFields } from '../util/fields.ts';
import { type ChangeFlags, changeGateway, movesText } from './change.ts';
import type { CliDeps } from './cli-deps.ts';
import { addConfigFlags } from './config-options.ts';
import { CONTROL_EXIT_CODES } from './control.ts';

interface UpgradeFlags extends ChangeFlags {
  readonly node?: string;
}

export function addUpgrade(program: Command, deps: CliDeps): void {
  addConfigFlags(
    program
      .command('upgrade')
      .description('replace the running gateway itself, its primary too, by what is installed now'),
  )
    .option(
      '--node <path>',
      'the Node that it runs on from then on; by default the path of the one it runs on',
    )
    .option('--abort', 'stop the upgrade that is under way, and put back what it has changed')
    .option('--json', 'print progress and result as JSON, one object a line')
    .addHelpText(
      'after',
      '\nFor a new version of Holdfast or of Node; for application and configuration alone `reload` does. A second\n' +
        'gateway is started with the command line of the first, reads the configuration anew, and gets the listening\n' +
        'sockets, all connections and the state of the embedded engine. Should it not come up, the first one goes on.\n' +
        'Not under pm2, which follows the process that it has started. Interrupting this command stops the upgrade,\n' +
        'until the old workers are ended.\n\n' +
        'Examples:\n  $ holdfast upgrade --config holdfast.yaml\n  $ holdfast upgrade --node /opt/node-22/bin/node' +
        CONTROL_EXIT_CODES,
    )
    .action(async ({ node = '', ...flags }: UpgradeFlags) => {
      // The gateway works in a directory of its own; a bare name is looked up on its path.
      const params = { node: node.includes('/') ? resolve(node) : node };
      await changeGateway(flags, deps, { method: 'upgrade', name: 'upgrade', params, format, doneText });
    });
}

const STATE_TEXTS: Readonly<Record<UpgradeProgress['state'], string>> = {
  starting: 'starting the new primary',
  checking: 'checking its workers',
  moving: 'moving connections',
  closing: 'ending the old workers',
  engine: 'giving the engine over',
  finishing: 'telling everybody',
  'putting-back': 'putting back',
  done: 'done',
  failed: 'failed',
};

const format = {
  isReport: isProgress,
  text: progressText,
  step: ({ worker, state }: UpgradeProgress): string => `${worker} ${state}`,
};

function progressText(progress: UpgradeProgress): string {
  const { state, worker, workers } = progress;
  const which = state === 'moving' && worker > 0 ? ` of worker ${worker} of ${workers}` : '';
  return `${STATE_TEXTS[state]}${which}; ${movesText(progress)}`;
}

function doneText({ pid, moved, closed }: UpgradeProgress): string {
  const rest = closed > 0 ? `, ${closed} closed to come back` : '';
  return `upgraded: process ${pid} is the gateway, ${moved} connections moved${rest}`;
}

function isProgress(value: unknown): value is UpgradeProgress {
  return isFields(value) && 'state' in value && 'moved' in value && 'pid' in value;
}
