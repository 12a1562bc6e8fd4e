// The command line as a whole: which commands there are, and how any of them ends.
import { Command, CommanderError } from 'commander';
import { InvalidConfigError } from '../config/issues.ts';
import { ConfigError } from '../util/errors.ts';
import { addCheck } from './check.ts';
import { addCheckToken } from './check-token.ts';
import { CliError, type ExitCode, ExitCodes } from './cli-error.ts';
import { type CliDeps, note, paint } from './cli-deps.ts';
import { addDefaults, addSchema } from './defaults.ts';
import { addDeploy } from './deploy.ts';
import { addDoctor } from './doctor.ts';
import { addDrain } from './drain.ts';
import { addHaproxy } from './haproxy.ts';
import { addPub } from './pub.ts';
import { addRebalance } from './rebalance.ts';
import { addReload } from './reload.ts';
import { addServe } from './serve.ts';
import { addStatus } from './status.ts';
import { addSub } from './sub.ts';
import { addSubToken, addToken } from './token.ts';
import { addUpgrade } from './upgrade.ts';

/** In the order in which the help lists them. */
const COMMANDS = [
  addServe,
  addCheck,
  addDefaults,
  addSchema,
  addToken,
  addSubToken,
  addCheckToken,
  addPub,
  addSub,
  addStatus,
  addReload,
  addRebalance,
  addUpgrade,
  addDrain,
  addDeploy,
  addHaproxy,
  addDoctor,
] as const;

/** Runs one command; resolves to the exit code. */
export async function runCli(args: readonly string[], deps: CliDeps): Promise<ExitCode> {
  try {
    await buildProgram(deps).parseAsync([...args], { from: 'user' });
    return ExitCodes.ok;
  } catch (error) {
    return reportFailure(error, deps);
  }
}

function buildProgram(deps: CliDeps): Command {
  const program = new Command('holdfast')
    .description('A WebSocket gateway whose connections hold, whatever you do to the servers.')
    .version(deps.version, '-V, --version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void deps.stdout.write(text),
      writeErr: (text) => void deps.stderr.write(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showHelpAfterError('(--help says more)')
    .addHelpText(
      'after',
      `
First steps:
  $ holdfast serve --dev
  $ holdfast sub chat &
  $ holdfast pub chat '{"text":"hello"}'

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 and 4 doctor found something, 5 and 6
deploy was undone or stands, 69 no gateway answers, 75 deploy was
interrupted, 78 wrong configuration.`,
    );
  for (const add of COMMANDS) add(program, deps);
  return program;
}

function reportFailure(error: unknown, deps: CliDeps): ExitCode {
  // commander has printed its message already; help and version arrive here too, with code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCodes.ok : ExitCodes.usage;
  const label = paint(deps.stderr, deps.environment, 'red', 'holdfast');
  if (error instanceof CliError) {
    note(deps, `${label}: ${error.message}`);
    return error.exitCode;
  }
  if (error instanceof ConfigError) {
    const isInvalid = error instanceof InvalidConfigError;
    const text = isInvalid
      ? `the configuration is invalid\n${error.message.replace(/^/gm, '  ')}`
      : error.message;
    note(deps, `${label}: ${text}`);
    return ExitCodes.config;
  }
  note(deps, `${label}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return ExitCodes.failure;
}
