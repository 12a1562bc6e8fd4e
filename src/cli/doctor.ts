// `holdfast doctor`: what will hurt on this host, why, and the line to change.
import { existsSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { connectControl } from '../cluster/control/control-client.ts';
import { redisSettings } from '../app/redis-settings.ts';
import { controlSocketPath } from '../config/control-socket.ts';
import type { Config } from '../config/schema.ts';
import { type Capacity, capacity } from '../doctor/capacity.ts';
import { diagnose } from '../doctor/diagnose.ts';
import type { Facts, MemoryFigures } from '../doctor/facts.ts';
import { type Finding, worstOf } from '../doctor/finding.ts';
import { gather } from '../doctor/gather.ts';
import { measureMemory } from '../doctor/measure.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import { type CliDeps, note, printJson } from './cli-deps.ts';
import { addConfigFlags, configFrom, type ConfigFlags } from './config-options.ts';
import { interruptible } from './interrupt.ts';
import { capacityText, findingsText } from './doctor-text.ts';

interface DoctorFlags extends ConfigFlags {
  readonly haproxy?: string;
  readonly unit?: string;
  readonly connections?: number;
  readonly sample: number;
  readonly root: string;
  readonly all?: true;
  readonly json?: true;
}

const DEFAULT_SAMPLE = 2_000;
const PROGRESS_STEP = 500;

export function addDoctor(program: Command, deps: CliDeps): void {
  addConfigFlags(
    program
      .command('doctor')
      .description(
        'say what will hurt on this host: machine, configuration, HAProxy, systemd unit and Redis',
      ),
  )
    .option('--haproxy <file>', 'the haproxy.cfg in front (default: /etc/haproxy/haproxy.cfg)')
    .option('--unit <unit>', 'systemd unit, by name or by file (default: holdfast.service)')
    .option(
      '--connections <n>',
      'connections that this host is to hold: measure, and print the arithmetic',
      parseCount,
    )
    .option('--sample <n>', 'connections that the measurement opens', parseCount, DEFAULT_SAMPLE)
    .option('--root <directory>', 'read /proc and /etc below this directory', '/')
    .option('--all', 'show what is in order, too')
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ holdfast doctor --config holdfast.yaml --connections 50000\n\n' +
        'Exit codes: 0 nothing found, 3 warnings, 4 something critical,\n75 interrupted, 78 wrong configuration or a file that is not there.',
    )
    .action(async (flags: DoctorFlags) => {
      const config = await configFrom(flags, deps);
      if (!existsSync(flags.root))
        throw new CliError(ExitCodes.config, `--root ${flags.root}: there is no such directory`);
      await interruptible((signal) => examine(flags, config, deps, signal));
    });
}

async function examine(
  flags: DoctorFlags,
  config: Config,
  deps: CliDeps,
  signal: AbortSignal,
): Promise<void> {
  const facts = await gather({
    config,
    clock: deps.clock,
    environment: deps.environment,
    root: flags.root,
    haproxyFile: flags.haproxy,
    unit: flags.unit,
    connections: flags.connections,
    redis: config.engine.type === 'redis' ? redisSettings(config.engine.redis) : undefined,
    gatewayPid: await gatewayPid(config, deps),
    measure: flags.connections === undefined ? undefined : () => measure(flags.sample, deps, signal),
  });
  if (signal.aborted) throw new CliError(ExitCodes.interrupted, 'interrupted');
  const findings = diagnose(facts);
  const sums = flags.connections === undefined ? undefined : capacityOf(facts, flags.connections);
  if (flags.json === true) {
    printJson(deps, { worst: worstOf(findings), findings, capacity: sums ?? null });
  } else {
    deps.stdout.write(findingsText(findings, { all: flags.all === true }, deps));
    if (sums !== undefined) deps.stdout.write(capacityText(sums));
  }
  endWith(findings);
}

async function measure(sample: number, deps: CliDeps, signal: AbortSignal): Promise<MemoryFigures> {
  note(deps, `measuring: ${sample} connections to a gateway of its own; Ctrl-C ends it`);
  return measureMemory({
    program: deps.program,
    environment: deps.environment,
    sample,
    signal,
    onProgress: (open) => {
      if (open % PROGRESS_STEP === 0) note(deps, `measuring: ${open} connections`);
    },
  });
}

function capacityOf(facts: Facts, connections: number): Capacity | undefined {
  const { config, figures, haproxy } = facts;
  if (!config.known || !figures.known) return undefined;
  return capacity({ connections, config: config.value, figures: figures.value, withFront: haproxy.known });
}

/** Undefined when none runs here, or not as this user. */
async function gatewayPid(config: Config, deps: CliDeps): Promise<number | undefined> {
  try {
    const control = await connectControl(controlSocketPath(config, deps.environment));
    try {
      const status = await control.request('status');
      if (typeof status !== 'object' || status === null || !('pid' in status)) return undefined;
      return typeof status.pid === 'number' ? status.pid : undefined;
    } finally {
      control.close();
    }
  } catch {
    return undefined;
  }
}

function endWith(findings: readonly Finding[]): void {
  const worst = worstOf(findings);
  if (worst !== 'warning' && worst !== 'critical') return;
  const count = findings.filter(({ severity }) => severity === worst).length;
  const [exitCode, word] =
    worst === 'critical' ? [ExitCodes.critical, 'critical'] : [ExitCodes.warnings, 'a warning'];
  throw new CliError(exitCode, `the worst finding is ${word} (${count} of them)`);
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new InvalidArgumentError('Write a whole number from 1.');
  return count;
}
