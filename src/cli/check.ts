// `holdfast check [FILE]`: is this configuration valid, and is it wise?
import type { Command } from 'commander';
import { InvalidConfigError, issueText } from '../config/issues.ts';
import { configWarnings } from '../config/warnings.ts';
import { ConfigError } from '../util/errors.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import { type CliDeps, paint, printJson } from './cli-deps.ts';
import { addConfigFlags, configFrom, type ConfigFlags, nonEmpty } from './config-options.ts';

export function addCheck(program: Command, deps: CliDeps): void {
  addConfigFlags(
    program
      .command('check')
      .description('validate the configuration as `serve` would read it: file, environment and flags')
      .argument('[file]', 'configuration in JSON or YAML', nonEmpty),
  )
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', '\nExample:\n  $ holdfast check holdfast.yaml\n\nExit codes: 0 valid, 78 invalid.')
    .action(async (file: string | undefined, flags: ConfigFlags & { json?: true }) => {
      await check(file ?? flags.config, flags, deps);
    });
}

async function check(
  file: string | undefined,
  flags: ConfigFlags & { json?: true },
  deps: CliDeps,
): Promise<void> {
  const subject = file ?? deps.environment['HOLDFAST_CONFIG'] ?? 'configuration';
  try {
    const config = await configFrom({ ...flags, ...(file === undefined ? {} : { config: file }) }, deps);
    const warnings = configWarnings(config);
    if (flags.json === true) {
      printJson(deps, { valid: true, issues: [], warnings });
      return;
    }
    deps.stdout.write(`${subject}: ${paint(deps.stdout, deps.environment, 'green', 'valid')}\n`);
    for (const { option, message } of warnings) {
      deps.stdout.write(
        `${paint(deps.stdout, deps.environment, 'yellow', 'warning')}: ${option} ${message}\n`,
      );
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const issues = error instanceof InvalidConfigError ? error.issues : [];
    if (flags.json === true) {
      const found = issues.length > 0 ? issues : [{ option: '', where: subject, message: error.message }];
      printJson(deps, { valid: false, issues: found, warnings: [] });
    } else {
      const lines = issues.length > 0 ? issues.map(issueText) : [error.message];
      for (const line of lines)
        deps.stdout.write(`${paint(deps.stdout, deps.environment, 'red', 'error')}: ${line}\n`);
    }
    const count = Math.max(1, issues.length);
    throw new CliError(
      ExitCodes.config,
      `${subject} is invalid: ${count} ${count === 1 ? 'error' : 'errors'}`,
    );
  }
}
