// The options of `holdfast deploy`. COLOUR in a text stands for the colour that is meant.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../config/duration.ts';
import { type Colour, COLOURS } from '../deploy/plan.ts';
import { nonEmpty } from './config-options.ts';

export interface DeployFlags {
  readonly to?: Colour;
  readonly config: string;
  readonly control: string;
  readonly haproxy: readonly string[];
  readonly backend: string;
  readonly host?: string;
  readonly front: URL;
  readonly frontAddress: string;
  readonly ca?: string;
  readonly origin?: string;
  readonly canaryChannel: string;
  readonly canaryUser: string;
  readonly canaryToken?: string;
  readonly api: string;
  readonly startCommand: string;
  readonly stopCommand: string;
  readonly checkCommand?: string;
  readonly startTimeout: number;
  readonly canaryTimeout: number;
  readonly settle: number;
  readonly window?: number;
  readonly state: string;
  readonly dryRun?: true;
  readonly status?: true;
  readonly rollback?: true;
  readonly json?: true;
}

const UNITS = 'holdfast@COLOUR.socket holdfast@COLOUR.service';
const HELP = `
COLOUR in an option stands for blue or green. The steps: keep clients away from the new colour, start it, prove it by messages
of both colours to a client that comes through the front, send new clients to it, watch it, drain the old colour, stop it. A
check that fails turns it back: the old colour has its clients again, those of the new one return to it, the new one is stopped.
Interrupted, the same command goes on where it was; --rollback turns it back, or deploys the colour from before.

Examples:
  $ holdfast deploy --front https://chat.example.com
  $ holdfast deploy --front https://chat.example.com --check-command 'curl -fsS http://127.0.0.1:9002/readyz'
  $ holdfast deploy --status

Exit codes: 0 deployed (or undone, with --rollback), 1 refused, 5 failed and undone, 6 stands and needs you, 69 HAProxy or a
gateway does not answer, 75 interrupted, 78 wrong configuration.`;

export function addDeployFlags(command: Command): Command {
  return command
    .addOption(
      new Option('--to <colour>', 'the one that shall serve (default: the one that does not)').choices(
        COLOURS,
      ),
    )
    .option('-c, --config <file>', 'configuration of each colour', nonEmpty, '/etc/holdfast/COLOUR.yaml')
    .option('--control <socket>', 'control socket of each colour', '/run/holdfast-COLOUR/control.sock')
    .option('--haproxy <sockets>', 'runtime sockets of HAProxy, with commas: paths or HOST:PORT', list, [
      '/run/haproxy/admin.sock',
    ])
    .option('--backend <name>', 'of HAProxy', 'holdfast')
    .option('--host <name>', 'the pair is NAME-blue and NAME-green (default: the only one)')
    .option('--front <url>', 'how clients reach the front', parseUrl, new URL('https://localhost'))
    .option('--front-address <ip>', 'where its name leads from here; "dns" asks', '127.0.0.1')
    .option('--ca <file>', 'to trust for the certificate of the front')
    .option('--origin <origin>', 'Origin header of the canary')
    .option('--canary-channel <name>', 'where it listens', 'holdfast-canary')
    .option('--canary-user <id>', 'of the tokens that are signed when an HMAC secret is configured', 'canary')
    .option('--canary-token <file>', 'file with a connection token instead')
    .option(
      '--api <place>',
      'server API behind a socket of systemd',
      'unix:/run/holdfast-sockets/COLOUR.sock',
    )
    .option('--start-command <text>', 'starts a colour', `systemctl enable --now ${UNITS}`)
    .option('--stop-command <text>', 'stops it', `systemctl disable --now ${UNITS}`)
    .option('--check-command <text>', 'one more check of the new colour, before it gets clients')
    .addOption(
      new Option('--start-timeout <duration>', 'for the new gateway to serve')
        .argParser(duration)
        .default(60_000, '60s'),
    )
    .addOption(
      new Option('--canary-timeout <duration>', 'for the first message through the front')
        .argParser(duration)
        .default(30_000, '30s'),
    )
    .addOption(
      new Option('--settle <duration>', 'watch the new colour before the old one is drained')
        .argParser(duration)
        .default(10_000, '10s'),
    )
    .option('--window <duration>', 'drain over this time, whatever the other hosts take', duration)
    .option('--state <file>', 'where it remembers how far it is', '/var/lib/holdfast/deploy.json')
    .option('--dry-run', 'say what would be done')
    .option('--status', 'say where a deployment stands, and what serves')
    .option('--rollback', 'go back to the colour from before')
    .option('--json', 'print progress and result as JSON, one object a line')
    .addHelpText('after', HELP);
}

function parseUrl(written: string): URL {
  if (!URL.canParse(written) || !/^(?:https?|wss?):\/\//.test(written)) {
    throw new InvalidArgumentError('Write an address such as https://chat.example.com.');
  }
  return new URL(written);
}

function duration(written: string): number {
  const durationMs = parseDuration(written);
  if (durationMs === undefined) throw new InvalidArgumentError('Write a duration such as 30s.');
  return durationMs;
}

function list(written: string): readonly string[] {
  const all = written.split(',').filter((each) => each !== '');
  if (all.length === 0) throw new InvalidArgumentError('Write at least one.');
  return all;
}
