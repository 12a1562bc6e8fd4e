// `holdfast deploy`: replaces the gateway of this host by its other colour, behind HAProxy, and goes back when it is not well.
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { signConnectionToken, signSubscriptionToken } from '../auth/sign-token.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { ColourService } from '../deploy/colour-service.ts';
import { Deployment, InterruptedError, StuckError } from '../deploy/deployment.ts';
import { findPair, HaproxyRuntime, pairIn } from '../deploy/haproxy-runtime.ts';
import { Journal } from '../deploy/journal.ts';
import {
  type Colour,
  COLOURS,
  type DeployRecord,
  BY_COMMAND,
  isOver,
  planDeploy,
  type Situation,
  stepText,
  undo,
} from '../deploy/plan.ts';
import { ConfigError, UnavailableError } from '../util/errors.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import type { CliDeps } from './cli-deps.ts';
import { canary } from './deploy-canary.ts';
import { addDeployFlags, type DeployFlags } from './deploy-options.ts';
import { DeployDisplay, printDeployStatus, printPlan } from './deploy-text.ts';
import { interruptible } from './interrupt.ts';
import { signingFrom } from './token.ts';

export function addDeploy(program: Command, deps: CliDeps): void {
  addDeployFlags(
    program
      .command('deploy')
      .description('replace the gateway of this host by its other colour (blue/green), behind HAProxy'),
  ).action((flags: DeployFlags) => new DeployCommand(flags, deps).run());
}

class DeployCommand {
  readonly #flags: DeployFlags;
  readonly #deps: CliDeps;
  readonly #journal: Journal;
  readonly #services: Readonly<Record<Colour, ColourService>>;
  readonly #fronts: readonly HaproxyRuntime[];
  readonly #display: DeployDisplay;

  constructor(flags: DeployFlags, deps: CliDeps) {
    this.#flags = flags;
    this.#deps = deps;
    this.#display = new DeployDisplay(deps, flags);
    this.#journal = new Journal(flags.state);
    this.#services = { blue: this.#service('blue'), green: this.#service('green') };
    this.#fronts = flags.haproxy.map((address) => new HaproxyRuntime(address));
  }

  async run(): Promise<void> {
    const { status, dryRun } = this.#flags;
    if (status === true) return this.#printStatus();
    const { host, inFront } = await this.#findHost();
    if (dryRun === true) return printPlan(await this.#plan(inFront), this.#services, this.#flags, this.#deps);
    const unlock = this.#lock();
    try {
      await this.#execute(await this.#plan(inFront), host);
    } finally {
      unlock();
    }
  }

  async #execute(record: DeployRecord, host: string): Promise<void> {
    const { flags, configs } = { flags: this.#flags, configs: await this.#configs(record) };
    const plan = {
      url: frontUrl(flags.front, configs[record.to]),
      frontAddress: flags.frontAddress === 'dns' ? undefined : flags.frontAddress,
      ca: flags.ca === undefined ? undefined : readText(flags.ca),
      origin: flags.origin,
      channel: flags.canaryChannel,
      tokens: () => this.#tokens(configs[record.to]),
      host,
      configs,
      services: this.#services,
      api: flags.api,
      version: this.#deps.version,
    };
    const deployment = new Deployment(
      {
        clock: this.#deps.clock,
        journal: this.#journal,
        fronts: this.#fronts,
        services: this.#services,
        canary: (to, from, signal) => canary(plan, to, from, signal),
        report: (report) => this.#display.show(report),
      },
      {
        backend: flags.backend,
        host,
        startTimeoutMs: flags.startTimeout,
        canaryTimeoutMs: flags.canaryTimeout,
        settleMs: flags.settle,
        checkCommand: flags.checkCommand?.replaceAll('COLOUR', record.to),
        windowMs: flags.window ?? null,
      },
    );
    await interruptible(async (signal) => {
      try {
        this.#finish(await deployment.run(record, signal));
      } catch (error) {
        throw this.#ending(error);
      }
    });
  }

  #finish(record: DeployRecord): void {
    this.#display.clear();
    if (this.#flags.json !== true) this.#deps.stdout.write(`${stepText(record, record.step)}\n`);
    if (record.step === 'undone' && record.failure !== BY_COMMAND) {
      throw new CliError(ExitCodes.rolledBack, record.failure ?? 'undone');
    }
  }

  #ending(error: unknown): unknown {
    this.#display.clear();
    if (error instanceof InterruptedError) {
      const where = stepText(error.record, error.record.step);
      return new CliError(
        ExitCodes.interrupted,
        `interrupted at: ${where}. The same command goes on; --rollback turns it back`,
        { cause: error },
      );
    }
    if (error instanceof StuckError) {
      const where = stepText(error.record, error.record.step);
      return new CliError(
        ExitCodes.stuck,
        `stands at: ${where}: ${error.message}. Mend it and run it again`,
        {
          cause: error,
        },
      );
    }
    return error;
  }

  async #plan(inFront: Situation['inFront']): Promise<DeployRecord> {
    const { to, rollback } = this.#flags;
    const record = this.#journal.read();
    const nowMs = this.#deps.clock.wallMs();
    if (rollback === true) {
      if (record === undefined)
        throw new CliError(ExitCodes.failure, 'no deployment is known that could be undone');
      return accepted(undo(record, nowMs));
    }
    const isUnderWay = record !== undefined && !isOver(record.step);
    const serving = isUnderWay ? [] : await this.#serving();
    return accepted(planDeploy({ record, serving, inFront, to, nowMs }));
  }

  async #serving(): Promise<readonly Colour[]> {
    const answers = COLOURS.map(async (colour) => {
      const status = await reach(this.#services[colour].status());
      return status === undefined ? [] : [colour];
    });
    return (await Promise.all(answers)).flat();
  }

  /** Both colours' own, before anything is touched; two engines would be two worlds. */
  async #configs({ from, to }: DeployRecord): Promise<Record<Colour, Config>> {
    const load = (colour: Colour): Promise<Config> =>
      loadConfig({
        file: this.#flags.config.replaceAll('COLOUR', colour),
        environment: this.#deps.environment,
        overrides: [],
      });
    const newer = await load(to);
    const older = from === null ? newer : await load(from);
    for (const { engine } of [newer, older]) {
      if (engine.type === 'memory' && from !== null) {
        throw new ConfigError(
          'engine.type is memory: two colours would not hear each other, and clients could not recover. Use redis, or `holdfast reload`',
        );
      }
    }
    return to === 'blue' ? { blue: newer, green: older } : { blue: older, green: newer };
  }

  async #tokens(
    config: Config,
  ): Promise<{ token: string | undefined; subscriptionToken: string | undefined }> {
    const { canaryUser: user, canaryToken, canaryChannel: channel } = this.#flags;
    const issuedAtMs = this.#deps.clock.wallMs();
    const connection = signingFrom(config, 'token', undefined);
    const subscription = signingFrom(config, 'subscription_token', undefined);
    const given = canaryToken === undefined ? undefined : readText(canaryToken).trim();
    return {
      token:
        given ??
        (connection &&
          (await signConnectionToken({ user, issuedAtMs, ...connection.checks }, connection.secret))),
      subscriptionToken:
        given !== undefined || subscription === undefined
          ? undefined
          : await signSubscriptionToken(
              { user, channel, issuedAtMs, ...subscription.checks },
              subscription.secret,
            ),
    };
  }

  /** Also shows that every HAProxy answers and knows the pair. */
  async #findHost(): Promise<Pick<Situation, 'inFront'> & { readonly host: string }> {
    const { backend } = this.#flags;
    let { host } = this.#flags;
    const inFront: Situation['inFront'][number][] = [];
    for (const front of this.#fronts) {
      const servers = await reach(front.servers(backend));
      const found = findPair(servers, host);
      if (typeof found === 'string') {
        throw new CliError(ExitCodes.config, `HAProxy at ${front.address}, backend ${backend}: ${found}`);
      }
      host = found.host;
      inFront.push(...pairIn(servers, host));
    }
    return { host: host ?? '', inFront };
  }

  async #printStatus(): Promise<void> {
    const { backend } = this.#flags;
    const record = this.#journal.read() ?? null;
    let away: CliError | undefined;
    const colours = COLOURS.map(async (colour) => {
      const status = await this.#services[colour].status().catch((error: unknown) => {
        if (error instanceof UnavailableError)
          return { state: 'does not answer', version: null, connections: 0 };
        throw error;
      });
      const { state = 'stopped', version = null, connections = 0 } = status ?? {};
      return { colour, state, version, connections };
    });
    const fronts = this.#fronts.map(async (front) => {
      const servers = await reach(front.servers(backend)).catch((error: unknown) => {
        if (!(error instanceof CliError)) throw error;
        away ??= error;
        return [];
      });
      return { haproxy: front.address, servers: servers.filter(({ name }) => /-(?:blue|green)$/.test(name)) };
    });
    const [known, seen] = await Promise.all([Promise.all(colours), Promise.all(fronts)]);
    printDeployStatus({ record, colours: known, fronts: seen }, this.#flags, this.#deps);
    // Where a deployment stands is wanted most when a HAProxy is gone.
    if (away !== undefined) throw away;
  }

  #lock(): () => void {
    try {
      return this.#journal.lock();
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      throw new CliError(ExitCodes.failure, error.message, { cause: error });
    }
  }

  #service(colour: Colour): ColourService {
    const of = (text: string): string => text.replaceAll('COLOUR', colour);
    const { control, startCommand, stopCommand } = this.#flags;
    return new ColourService({
      colour,
      controlSocket: of(control),
      startCommand: of(startCommand),
      stopCommand: of(stopCommand),
    });
  }
}

function accepted(planned: DeployRecord | string): DeployRecord {
  if (typeof planned === 'string') throw new CliError(ExitCodes.failure, planned);
  return planned;
}

/** The first words with HAProxy, before anything is changed. */
async function reach<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    throw new CliError(ExitCodes.unavailable, error.message, { cause: error });
  }
}

function frontUrl(front: URL, { websocket }: Config): URL {
  const url = new URL(front.href.replace(/^http/, 'ws'));
  if (url.pathname === '/') url.pathname = websocket.handler_prefix;
  return url;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${String(error)}`, { cause: error });
  }
}
