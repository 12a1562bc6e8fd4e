// `holdfast serve`: checks the configuration, says what is worth saying, and becomes the primary.
import { type Command, Option } from 'commander';
import type { Override } from '../config/load.ts';
import { type ConfigWarning, configWarnings, permitsNobody } from '../config/warnings.ts';
import type { Config } from '../config/schema.ts';
import { messageOf } from '../util/errors.ts';
import { type CliDeps, note, paint } from './cli-deps.ts';
import { addConfigFlags, configFrom, type ConfigFlags, nonEmpty } from './config-options.ts';

interface ServeFlags extends ConfigFlags {
  readonly port?: string;
  readonly address?: string;
  readonly workers?: string;
  readonly logLevel?: string;
  readonly dev?: true;
  readonly succeed?: true;
}

/** The shortcuts, and which option each of them sets. */
const SHORTCUTS = [
  ['port', '--port', 'http_server.port'],
  ['address', '--address', 'http_server.address'],
  ['workers', '--workers', 'workers'],
  ['logLevel', '--log-level', 'log.level'],
] as const;

const DEV_ORIGINS = ['http://localhost{,:*}', 'http://127.0.0.1{,:*}', 'https://localhost{,:*}', 'null'];

/** What `--dev` sets: anybody on this machine may do anything, and nobody else reaches it. */
const DEV_OPTIONS: Readonly<Record<string, string>> = {
  'http_server.address': '127.0.0.1',
  'client.insecure': 'true',
  'client.allowed_origins': JSON.stringify(DEV_ORIGINS),
  'http_api.insecure': 'true',
};

export function addServe(program: Command, deps: CliDeps): void {
  addConfigFlags(program.command('serve').description('run the gateway: a primary and its workers'))
    .option('-p, --port <port>', 'public port (http_server.port)', nonEmpty)
    .option('-a, --address <address>', 'public address (http_server.address)')
    .option('-w, --workers <n>', 'worker processes, 0 for one a core (workers)', nonEmpty)
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or none (log.level)')
    .option(
      '--dev',
      'for development on this machine: no tokens, no API key, pages from localhost, loopback only',
    )
    // Given by the primary that is to be replaced: see `upgrade`.
    .addOption(new Option('--succeed').hideHelp())
    .addHelpText(
      'after',
      '\nExamples:\n  $ holdfast serve --dev\n  $ holdfast serve --config holdfast.yaml --set client.channel_limit=64',
    )
    .action(async (flags: ServeFlags) => {
      const read = (): Promise<Config> => configFrom(flags, deps, overridesFrom(flags));
      if (flags.succeed === true) {
        await succeed(read, deps);
        return;
      }
      const config = await read();
      announce(config, flags, deps);
      await deps.serve(config, read);
    });
}

/** What goes wrong is for whoever waits for the upgrade, too. */
async function succeed(read: () => Promise<Config>, deps: CliDeps): Promise<void> {
  const predecessor = await deps.meetPredecessor?.();
  try {
    await deps.serve(await read(), read, predecessor);
  } catch (error) {
    await predecessor?.fail(messageOf(error));
    throw error;
  }
}

function overridesFrom(flags: ServeFlags): Override[] {
  const development =
    flags.dev === true
      ? Object.entries(DEV_OPTIONS).map(([option, value]) => ({ option, value, flag: '--dev' }))
      : [];
  const shortcuts = SHORTCUTS.flatMap(([name, flag, option]) => {
    const value = flags[name];
    return value === undefined ? [] : [{ option, value, flag }];
  });
  return [...development, ...shortcuts];
}

function announce(config: Config, flags: ServeFlags, deps: CliDeps): void {
  const label = (text: string): string => paint(deps.stderr, deps.environment, 'yellow', text);
  if (flags.dev === true) {
    note(
      deps,
      `${label('development mode')}: no tokens and no API key are asked for; never use it in production`,
    );
  } else {
    for (const { option, message } of configWarnings(config).filter(isDangerous)) {
      note(deps, `${label('warning')}: ${option} ${message}`);
    }
  }
  if (permitsNobody(config)) note(deps, `${label('hint')}: ${NOBODY_HINT}`);
}

function isDangerous({ risk }: ConfigWarning): boolean {
  return risk === 'danger';
}

const NOBODY_HINT = `nobody can connect yet, because nothing allows it.
  To try it out:  holdfast serve --dev
  For real:       holdfast defaults > holdfast.yaml, set client.token.hmac_secret_key, client.allowed_origins,
                  http_api.key and channel.namespaces in it, then holdfast serve --config holdfast.yaml`;
