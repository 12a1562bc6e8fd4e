// `holdfast drain`: the gateway of this host closes its connections over `shutdown.timeout` and ends.
import type { Command } from 'commander';
import type { DrainProgress } from '../cluster/drain.ts';
import type { CliDeps } from './cli-deps.ts';
import { addConfigFlags, type ConfigFlags } from './config-options.ts';
import { withControl } from './control.ts';
import { ProgressDisplay } from './progress.ts';

interface DrainFlags extends ConfigFlags {
  readonly json?: true;
}

export function addDrain(program: Command, deps: CliDeps): void {
  addConfigFlags(
    program
      .command('drain')
      .description('let the gateway of this host leave: clients are told and closed, then it ends'),
  )
    .option('--json', 'print progress and result as JSON, one object a line')
    .addHelpText(
      'after',
      '\nExample:\n  $ holdfast drain --config holdfast.yaml\n\nAsked a second time, the gateway hurries.',
    )
    .action(async (flags: DrainFlags) => {
      await withControl(flags, deps, async (control) => {
        const display = new ProgressDisplay<DrainProgress>(
          deps,
          {
            isReport: isProgress,
            text: ({ state, remaining, workers }) =>
              `${state}: ${remaining} connections on ${workers} workers`,
          },
          flags,
        );
        await control.request('drain', null, (value) => display.show(value));
        display.finish('drained', { state: 'ended' });
      });
    });
}

function isProgress(value: unknown): value is DrainProgress {
  return (
    typeof value === 'object' &&
    value !== null &&
    'state' in value &&
    'remaining' in value &&
    'workers' in value
  );
}
