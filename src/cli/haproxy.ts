// `holdfast haproxy`: prints a complete haproxy.cfg for the gateways of this configuration.
import { isIP } from 'node:net';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../config/schema.ts';
import { nearest } from '../config/suggest.ts';
import {
  expectDistinctNames,
  type FrontOptions,
  isPort,
  parseBalance,
  parseHost,
} from '../front/front-options.ts';
import { haproxyConfig } from '../front/haproxy-config.ts';
import { ConfigError } from '../util/errors.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import { type CliDeps, note } from './cli-deps.ts';
import { addConfigFlags, configFrom, type ConfigFlags } from './config-options.ts';
import { addHaproxyKeys } from './haproxy-keys.ts';
import { addHaproxyReload } from './haproxy-reload.ts';

interface HaproxyFlags extends ConfigFlags {
  readonly balance: string;
  readonly tls: FrontOptions['tls'];
  readonly bind: string;
  readonly http2?: true;
  readonly certificate: string;
  readonly ticketKeys?: string;
  readonly stateFile?: string;
  readonly maxconn: number;
  readonly perSource: number;
  readonly perSourceRate: number;
  readonly trusted: readonly string[];
  readonly opsBind: string | false;
  readonly apiBind?: string;
  readonly canaryFrom: readonly string[];
  readonly log: FrontOptions['log'];
  readonly privileged: boolean;
}

/** This machine: where `holdfast deploy` runs. */
const CANARY_FROM = ['127.0.0.0/8', '::1'];
const TRUSTED = ['127.0.0.0/8', '::1', '10.0.0.0/8'];
const EXAMPLES = `
A host is [NAME=]ADDRESS[:PORT], [NAME=]unix:/PATH, or two of them with a comma between: a blue and a green gateway.
/health=PORT and /agent=PORT after an address say where that gateway answers checks, when it is not as configured.

Examples:
  $ holdfast haproxy 10.0.0.11 10.0.0.12 --config holdfast.yaml > /etc/haproxy/haproxy.cfg
  $ holdfast haproxy unix:/run/holdfast/gateway.sock --balance url_param:room
  $ holdfast haproxy a=10.0.0.11:8001/health=9001,10.0.0.11:8002/health=9002

What it prints names its reasons. Put it to the proof with \`haproxy -dW -c -f FILE\` and a start. Two commands are for the HAProxy that
runs: \`holdfast haproxy reload\` and \`holdfast haproxy rotate-keys\`.

Exit codes: 0 printed, 2 wrong usage, 78 wrong configuration or host.`;

export function addHaproxy(program: Command, deps: CliDeps): void {
  const command = program
    .command('haproxy')
    .description('print an haproxy.cfg for the gateways of this configuration')
    .argument('<hosts...>', 'the hosts behind it');
  addHaproxyReload(command, deps);
  addHaproxyKeys(command, deps);
  addConfigFlags(command)
    .option('--balance <how>', 'leastconn, source, cookie[:NAME], url_param:NAME, header:NAME', 'leastconn')
    .addOption(
      new Option('--tls <profile>', 'which clients TLS is for, in the words of Mozilla')
        .choices(['intermediate', 'modern'])
        .default('intermediate'),
    )
    .option('--bind <address>', 'where clients arrive: [ADDRESS]:PORT', bindAddress, ':443')
    .option('--http2', 'offer HTTP/2, and websockets over it; docs/operations.md says when not to')
    .option(
      '--certificate <file>',
      'certificate and key, or a directory of them',
      '/etc/haproxy/certs/site.pem',
    )
    .option(
      '--ticket-keys <file>',
      'TLS ticket keys, so that sessions survive a reload (made by `holdfast haproxy rotate-keys`)',
    )
    .option('--state-file <file>', 'drain and weights of servers survive `holdfast haproxy reload`')
    .option('--maxconn <n>', 'connections of the whole HAProxy', count, 40_000)
    .option('--per-source <n>', 'connections of one address at a time, 0: no limits', count, 1000)
    .option('--per-source-rate <n>', 'new connections of one address in ten seconds', count, 400)
    .option('--trusted <networks>', 'networks without those limits, with commas', networks, TRUSTED)
    .option(
      '--ops-bind <address>',
      'figures and status page, for the inner network',
      bindAddress,
      '127.0.0.1:8404',
    )
    .option('--no-ops-bind', 'no figures and no status page')
    .option('--api-bind <address>', 'pass the server API on, for the inner network', bindAddress)
    .option(
      '--canary-from <networks>',
      'where `holdfast deploy` runs, which may choose one of a pair',
      someNetworks,
      CANARY_FROM,
    )
    .addOption(new Option('--log <form>', 'form of the log').choices(['json', 'text']).default('json'))
    .option('--no-privileged', 'to be started as an ordinary user: no chroot, no runtime socket')
    .addHelpText('after', EXAMPLES)
    .action(async (hosts: readonly string[], flags: HaproxyFlags) => {
      expectHosts(hosts, command);
      expectDistinctAddresses(flags);
      const config = await configFrom(flags, deps);
      const { http_server: server } = config;
      if (server.internal_port !== null && isLoopback(server.internal_address) && hosts.some(isElsewhere)) {
        note(
          deps,
          `http_server.internal_address is ${server.internal_address}: health checks of an HAProxy on another machine do not get there`,
        );
      }
      deps.stdout.write(haproxyConfig(config, chosen(config, hosts, flags), commandText(command, hosts)));
    });
}

/** Any word may be the name of a host; one that is nearly a command is more likely to be that. */
function expectHosts(hosts: readonly string[], { commands }: Command): void {
  const names = commands.map((each) => each.name());
  for (const host of hosts) {
    const meant = /^[a-z-]+$/.test(host) ? nearest(host, names) : undefined;
    if (meant !== undefined)
      throw new CliError(
        ExitCodes.usage,
        `${host} is no command (did you mean \`holdfast haproxy ${meant}\`?); a host of that name is written ${host}:PORT`,
      );
  }
}

/** HAProxy starts with them, and a connection meets either: the server API, on the public port. */
function expectDistinctAddresses({ bind, apiBind, opsBind }: HaproxyFlags): void {
  const taken = new Map<string, string>();
  for (const [flag, address] of Object.entries({
    '--bind': bind,
    '--ops-bind': opsBind,
    '--api-bind': apiBind,
  })) {
    if (address === undefined || address === false) continue;
    const bare = address.replace(/^\*(?=:)/, '');
    const other = taken.get(bare);
    if (other !== undefined)
      throw new CliError(
        ExitCodes.usage,
        `${other} and ${flag} are the same address, ${address}: give each its own`,
      );
    taken.set(bare, flag);
  }
}

/** A host that is written wrongly is no fault of the configuration. */
function chosen(config: Config, hosts: readonly string[], flags: HaproxyFlags): FrontOptions {
  try {
    const options = frontOptions(config, hosts, flags);
    expectDistinctNames(options.hosts);
    return options;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new CliError(ExitCodes.config, error.message, { cause: error });
  }
}

function frontOptions(config: Config, hosts: readonly string[], flags: HaproxyFlags): FrontOptions {
  const { port, internal_port: internalPort } = config.http_server;
  const { enabled, port: agentPort } = config.agent_check;
  const defaults = {
    port,
    healthPort: internalPort ?? undefined,
    agentPort: enabled ? agentPort : undefined,
  };
  const { perSource: connections, perSourceRate: rate, trusted } = flags;
  return {
    hosts: hosts.map((host, index) => parseHost(host, index + 1, defaults)),
    balance: parseBalance(flags.balance),
    tls: flags.tls,
    bind: flags.bind,
    http2: flags.http2 === true,
    certificate: flags.certificate,
    ticketKeys: flags.ticketKeys,
    stateFile: flags.stateFile,
    maxConnections: flags.maxconn,
    perSource: connections === 0 ? undefined : { connections, rate, trusted },
    opsBind: flags.opsBind === false ? undefined : flags.opsBind,
    apiBind: flags.apiBind,
    canaryFrom: flags.canaryFrom,
    log: flags.log,
    privileged: flags.privileged,
  };
}

/** The command again, as a shell reads it: hosts, and what differs from the defaults. */
function commandText(command: Command, hosts: readonly string[]): string {
  const given = command.options.flatMap((option) => {
    const name = option.attributeName();
    if (command.getOptionValueSource(name) !== 'cli' || option.long === undefined) return [];
    const value: unknown = command.getOptionValue(name);
    if (option.negate) return value === false ? [option.long] : [];
    if (value === false) return [];
    if (value === true) return [option.long];
    if (name === 'set') return [];
    return [`${option.long} ${shellWord(String(value))}`];
  });
  return ['holdfast haproxy', ...hosts.map(shellWord), ...given].join(' ');
}

function shellWord(text: string): string {
  return /^[\w./:@,=+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

function isElsewhere(host: string): boolean {
  return !/^(?:[\w.-]+=)?(?:unix:|127\.|localhost|\[::1\]|\$)/.test(host);
}

function bindAddress(written: string): string {
  const [, port = '1'] = /:(\d+)$/.exec(written) ?? [];
  if (
    !/^(?:[\w.:*-]*|\[[\da-fA-F:.]+\]):\d{1,5}$|^(?:unix|abns)@\S+$|^\$\{\w+\}$/.test(written) ||
    !isPort(Number(port))
  ) {
    throw new InvalidArgumentError('Expected ADDRESS:PORT, or :PORT for all addresses.');
  }
  return written;
}

function count(written: string): number {
  if (!/^\d{1,9}$/.test(written)) throw new InvalidArgumentError('Expected a number, 0 or more.');
  return Number(written);
}

function networks(written: string): readonly string[] {
  const all = written.split(/[\s,]+/).filter((network) => network !== '');
  if (!all.every(isNetwork)) {
    throw new InvalidArgumentError('Expected networks such as 10.0.0.0/8.');
  }
  return all;
}

function someNetworks(written: string): readonly string[] {
  const all = networks(written);
  if (all.length === 0) throw new InvalidArgumentError('Expected networks such as 10.0.0.0/8.');
  return all;
}

function isNetwork(written: string): boolean {
  const [, address = '', prefix = '0'] = /^([\da-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(written) ?? [];
  const version = isIP(address);
  return version !== 0 && Number(prefix) <= (version === 4 ? 32 : 128);
}
