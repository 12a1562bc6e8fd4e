// The flags by which every command finds the configuration.
import { type Command, InvalidArgumentError } from 'commander';
import { loadConfig, type Override } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { CliDeps } from './cli-deps.ts';

export interface ConfigFlags {
  readonly config?: string;
  readonly set?: readonly Override[];
}

export function addConfigFlags(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration in JSON or YAML (also: HOLDFAST_CONFIG)', nonEmpty)
    .option(
      '--set <option=value>',
      'set one option, such as client.channel_limit=64; may be repeated',
      collectOverride,
    );
}

export async function configFrom(
  flags: ConfigFlags,
  deps: CliDeps,
  more: readonly Override[] = [],
): Promise<Config> {
  return loadConfig({
    file: flags.config,
    environment: deps.environment,
    overrides: [...more, ...(flags.set ?? [])],
  });
}

/** Of a variable that is not set, most likely: it must not mean "none". */
export function nonEmpty(written: string): string {
  if (written === '') throw new InvalidArgumentError('It is empty.');
  return written;
}

function collectOverride(written: string, before: readonly Override[] = []): readonly Override[] {
  const at = written.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Write it as option=value.');
  return [...before, { option: written.slice(0, at), value: written.slice(at + 1), flag: '--set' }];
}
