// `holdfast drain`: the gateway of this host closes its connections over `shutdown.timeout` and ends.
import type { Command } from 'commander';
import type { DrainProgress } from '../cluster/drain.ts';
import { type CliDeps, note } from './cli-deps.ts';
import { addConfigFlags, type ConfigFlags } from './config-options.ts';
import { withControl } from './control.ts';

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
        const progress = new DrainDisplay(flags, deps);
        await control.request('drain', null, (value) => progress.show(value));
        progress.finish();
      });
    });
}

/** One line that is rewritten on a terminal; elsewhere a line whenever the count changes. */
class DrainDisplay {
  readonly #flags: DrainFlags;
  readonly #deps: CliDeps;
  #shown = '';

  constructor(flags: DrainFlags, deps: CliDeps) {
    this.#flags = flags;
    this.#deps = deps;
  }

  show(value: unknown): void {
    if (!isProgress(value)) return;
    if (this.#flags.json === true) {
      this.#deps.stdout.write(`${JSON.stringify(value)}\n`);
      return;
    }
    const text = `${value.state}: ${value.remaining} connections on ${value.workers} workers`;
    if (text === this.#shown) return;
    this.#shown = text;
    if (this.#deps.stderr.isTTY === true) this.#deps.stderr.write(`\r\u001b[K${text}`);
    else note(this.#deps, text);
  }

  finish(): void {
    if (this.#flags.json === true) {
      this.#deps.stdout.write(`${JSON.stringify({ state: 'ended' })}\n`);
      return;
    }
    if (this.#deps.stderr.isTTY === true && this.#shown !== '') this.#deps.stderr.write('\r\u001b[K');
    this.#deps.stdout.write('drained\n');
  }
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
