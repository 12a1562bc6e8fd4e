// The command line as a whole: which commands there are, and how any of them ends.
import { Command, CommanderError } from 'commander';
import { InvalidConfigError } from '../config/issues.ts';
import { ConfigError } from '../util/errors.ts';
import { CliError, type ExitCode, ExitCodes } from './cli-error.ts';
import { type CliDeps, note, paint } from './cli-deps.ts';

type AddCommand = (program: Command, deps: CliDeps) => void;

/**
 * In the order in which the help lists them. Only the one that is run is loaded: the gateway, which starts often, has no use
 * for the others.
 */
const COMMANDS: ReadonlyArray<readonly [name: string, load: () => Promise<AddCommand>]> = [
  ['serve', async () => (await import('./serve.ts')).addServe],
  ['check', async () => (await import('./check.ts')).addCheck],
  ['defaults', async () => (await import('./defaults.ts')).addDefaults],
  ['schema', async () => (await import('./defaults.ts')).addSchema],
  ['token', async () => (await import('./token.ts')).addToken],
  ['sub-token', async () => (await import('./token.ts')).addSubToken],
  ['check-token', async () => (await import('./check-token.ts')).addCheckToken],
  ['pub', async () => (await import('./pub.ts')).addPub],
  ['sub', async () => (await import('./sub.ts')).addSub],
  ['status', async () => (await import('./status.ts')).addStatus],
  ['reload', async () => (await import('./reload.ts')).addReload],
  ['rebalance', async () => (await import('./rebalance.ts')).addRebalance],
  ['upgrade', async () => (await import('./upgrade.ts')).addUpgrade],
  ['drain', async () => (await import('./drain.ts')).addDrain],
  ['deploy', async () => (await import('./deploy.ts')).addDeploy],
  ['haproxy', async () => (await import('./haproxy.ts')).addHaproxy],
  ['doctor', async () => (await import('./doctor.ts')).addDoctor],
];

/** Runs one command; resolves to the exit code. */
export async function runCli(args: readonly string[], deps: CliDeps): Promise<ExitCode> {
  try {
    const program = buildProgram(deps);
    for (const add of await loadCommands(args[0])) add(program, deps);
    await program.parseAsync([...args], { from: 'user' });
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
deploy was undone or stands, 69 no gateway answers, 75 interrupted, 78 wrong
configuration. With --json stdout has JSON alone: what went wrong is said on
stderr, and by the exit code.`,
    );
  return program;
}

/** All of them when none is named: for the help, and to say what could have been meant. */
function loadCommands(named: string | undefined): Promise<AddCommand[]> {
  const asked = COMMANDS.filter(([name]) => name === named);
  return Promise.all((asked.length > 0 ? asked : COMMANDS).map(([, load]) => load()));
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
