// Composition root of the primary: engine, control socket, workers, the public port; and all of it down again.
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { agentAnswer } from '../cluster/agent-score.ts';
import { ControlServer } from '../cluster/control-server.ts';
import { connectionsAllowed, readDescriptorLimit } from '../cluster/descriptors.ts';
import type { Drain } from '../cluster/drain.ts';
import { defaultHeartbeatPolicy, Heartbeat, isDebugged, type Silence } from '../cluster/heartbeat.ts';
import { hostCapacity, type HostReport } from '../cluster/host-capacity.ts';
import { hostStatus, type HostStatus } from '../cluster/host-status.ts';
import { HostLoad } from '../cluster/host-load.ts';
import { HostSurvey } from '../cluster/host-survey.ts';
import { OneAtATime } from '../cluster/one-at-a-time.ts';
import type { Predecessor } from '../cluster/predecessor.ts';
import type { RequestHead } from '../cluster/request-head.ts';
import { ServiceNotifier } from '../cluster/service-notifier.ts';
import { StartWatch } from '../cluster/start-watch.ts';
import { defaultSlotPolicy, Supervisor } from '../cluster/supervisor.ts';
import type { WorkerProcess } from '../cluster/worker-process.ts';
import { controlSocketPath } from '../config/control-socket.ts';
import type { Config } from '../config/schema.ts';
import { snapshotFile } from '../config/snapshot-file.ts';
import type { Logger } from '../observe/logger.ts';
import { systemClock } from '../util/clock.ts';
import { ConfigError, HoldfastError, messageOf } from '../util/errors.ts';
import { hostRoom } from './host-room.ts';
import { inheritedInternal, internalPlace } from './internal-socket.ts';
import { EmbeddedEngine } from './embedded-engine.ts';
import { PrimaryAdmission } from './primary-admission.ts';
import { PrimaryDoors } from './primary-doors.ts';
import { PrimaryDrain } from './primary-drain.ts';
import { PrimaryMetrics } from './primary-metrics.ts';
import { PrimaryRebalance } from './primary-rebalance.ts';
import { PrimaryReload } from './primary-reload.ts';
import { forbidsSuccession, PrimarySuccession } from './primary-succession.ts';
import { PrimaryUpgrade } from './primary-upgrade.ts';
import { enginePath, removeDeadRuntimeDirectories } from './runtime-directory.ts';

export interface PrimaryDeps {
  readonly logger: Logger;
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Program that workers run; they know by node:cluster that they are workers. */
  readonly workerProgram: string;
  /** The configuration as files and environment give it now; rejects with ConfigError. */
  readonly reread: () => Promise<Config>;
  /** The primary that this one is to replace. */
  readonly predecessor?: Predecessor | undefined;
}

const HURRY_MS = 3000;
/** For the other workers, once one is ready. */
const START_PATIENCE_MS = 3000;

/** Serves until it is asked to leave; resolves to the exit code. Everything it made is gone by then. */
export async function runPrimary(config: Config, deps: PrimaryDeps): Promise<number> {
  let primary: Primary | undefined;
  try {
    const facts = deps.predecessor?.facts;
    const obstacle = facts === undefined ? '' : forbidsSuccession(facts.config, config);
    if (obstacle !== '') throw new ConfigError(obstacle);
    primary = new Primary(config, deps);
    return await primary.run();
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    deps.logger.fatal({ reason: error.message }, 'cannot serve');
    await deps.predecessor?.fail(error.message);
    return error instanceof ConfigError ? ConfigError.exitCode : 1;
  } finally {
    await primary?.close();
  }
}

class Primary {
  readonly #config: Config;
  readonly #deps: PrimaryDeps;
  /** Undefined with Redis, as the engine. */
  readonly #runtimeDirectory: string | undefined;
  readonly #engine: EmbeddedEngine | undefined;
  readonly #metrics: PrimaryMetrics;
  readonly #supervisor: Supervisor;
  readonly #admission: PrimaryAdmission;
  readonly #doors: PrimaryDoors;
  readonly #heartbeat: Heartbeat;
  readonly #leaving: PrimaryDrain;
  readonly #start = new StartWatch();
  readonly #control: ControlServer;
  readonly #notifier: ServiceNotifier;
  readonly #reload: PrimaryReload;
  readonly #rebalance: PrimaryRebalance;
  readonly #upgrade: PrimaryUpgrade;
  readonly #succession: PrimarySuccession | undefined;
  readonly #load = new HostLoad(() => systemClock.monotonicMs());
  readonly #connectionsAllowed: number | null;
  #servingSinceMs = 0;
  /** What is only once on a host is ours. */
  #isGateway = false;
  #listening: readonly string[] = [];

  constructor(config: Config, deps: PrimaryDeps) {
    this.#config = config;
    this.#deps = deps;
    const { logger } = deps;
    const clock = systemClock;
    const inherited = deps.predecessor?.facts;
    const engineSocketPath = enginePath(config, inherited?.engineSocketPath);
    this.#runtimeDirectory = engineSocketPath === '' ? undefined : dirname(engineSocketPath);
    this.#engine =
      config.engine.type === 'memory'
        ? new EmbeddedEngine({
            clock,
            path: engineSocketPath,
            newEpoch,
            logger,
            snapshotFile: snapshotFile(config, deps.environment),
          })
        : undefined;
    this.#metrics = new PrimaryMetrics(
      deps.version,
      () => this.#report().capacity,
      () => this.#rebalance.workerLoads,
    );
    this.#supervisor = new Supervisor(
      { clock, random: Math.random, logger },
      {
        exec: deps.workerProgram,
        args: [],
        workers: config.workers,
        policy: defaultSlotPolicy,
        facts: { config, engineSocketPath },
        internalFd: inheritedInternal(inherited?.sockets ?? []),
      },
    );
    this.#admission = new PrimaryAdmission(
      {
        logger,
        metrics: this.#metrics,
        isLeaving: () => this.#drain.draining,
        connectionsAllowed: () => this.#connectionsAllowed,
        passOn: (socket, head, bytes) => this.#passOn(socket, head, bytes),
      },
      config,
    );
    const { assigner, heads } = this.#admission;
    this.#doors = new PrimaryDoors(
      {
        logger,
        environment: deps.environment,
        onConnection: (socket) => heads.accept(socket),
        agentAnswer: () => this.#agentAnswer(),
        inherited: inherited?.sockets ?? [],
      },
      config,
    );
    this.#heartbeat = new Heartbeat(
      { logger, isDebugged, onSilence: (worker, silence) => this.#onSilence(worker, silence) },
      defaultHeartbeatPolicy,
    );
    const survey = new HostSurvey();
    survey.answer('metrics', () => {
      void this.#leaving.known();
      return this.#metrics.answer();
    });
    survey.overhear('metrics', (answer) => this.#metrics.record(answer));
    this.#supervisor.observe(assigner, this.#admission, survey, this.#heartbeat, this.#metrics, this.#start);
    const changes = new OneAtATime();
    this.#leaving = new PrimaryDrain(
      {
        logger,
        supervisor: this.#supervisor,
        admission: this.#admission,
        survey,
        metrics: this.#metrics,
        notifier: () => this.#notifier,
        changes,
        isServing: () => this.#listening.length > 0,
        onEnding: () => {
          this.#reload.abort('this host is leaving');
          this.#rebalance.abort('this host is leaving');
          this.#upgrade.abort('this host is leaving');
        },
        onServingAgain: () => {
          this.#servingSinceMs = systemClock.monotonicMs();
        },
      },
      config,
    );
    this.#control = new ControlServer({
      logger,
      methods: {
        status: () => this.#leaving.known().then(() => this.#report()),
        ...this.#leaving.methods,
        reload: (_params, progress) => this.#reload.run('command', progress),
        'reload-abort': () => ({ aborted: this.#reload.abort('by command') }),
        rebalance: (params, progress) => this.#rebalance.command(params, progress),
        upgrade: (params, progress) => this.#upgrade.command(params, progress),
        'upgrade-abort': () => ({ aborted: this.#upgrade.abort('by command') }),
        'rebalance-abort': () => ({ aborted: this.#rebalance.abort('by command') }),
      },
    });
    this.#notifier = new ServiceNotifier({
      environment: deps.environment,
      logger,
      sendToParent: process.send?.bind(process),
      program: 'systemd-notify',
    });
    this.#reload = new PrimaryReload(
      {
        logger,
        supervisor: this.#supervisor,
        assigner,
        notifier: this.#notifier,
        changes,
        engineSocketPath,
        reread: deps.reread,
        isLeaving: () => this.#drain.draining,
        onConfig: (next) => this.#admission.configure(next),
      },
      config,
    );
    this.#rebalance = new PrimaryRebalance({
      logger,
      supervisor: this.#supervisor,
      assigner,
      heartbeat: this.#heartbeat,
      metrics: this.#metrics,
      moves: this.#reload.moves,
      changes,
      config: () => this.#reload.config,
      isLeaving: () => this.#drain.draining,
    });
    const parts = {
      logger,
      environment: deps.environment,
      supervisor: this.#supervisor,
      admission: this.#admission,
      doors: this.#doors,
      reload: this.#reload,
      engine: this.#engine,
      notifier: this.#notifier,
      changes,
      isServing: () => this.#isGateway,
      isLeaving: () => this.#drain.draining,
    };
    this.#upgrade = new PrimaryUpgrade({ ...parts, start: this.#start, engineSocketPath });
    this.#succession =
      deps.predecessor === undefined
        ? undefined
        : new PrimarySuccession(
            {
              ...parts,
              predecessor: deps.predecessor,
              openDoors: () => this.#openDoors(),
              becomeGateway: () => this.#becomeGateway(),
              closeDoors: () => this.#doors.close(true),
            },
            config,
          );
    const limit = readDescriptorLimit();
    this.#connectionsAllowed = limit === undefined ? null : connectionsAllowed(limit, config.workers);
  }

  async run(): Promise<number> {
    const { logger, environment, version } = this.#deps;
    process.on('SIGTERM', this.#onSignal);
    process.on('SIGINT', this.#onSignal);
    process.on('SIGHUP', this.#onHangUp);
    process.on('SIGUSR2', this.#onUpgradeSignal);
    const { workers } = this.#config;
    logger.info({ version, workers, connectionsAllowed: this.#connectionsAllowed }, 'starting');
    const ended = Promise.race([this.#drain.whenEnded(), this.#upgrade.whenReplaced()]);
    if (this.#succession !== undefined) {
      await Promise.race([this.#succession.takeOver(), ended]);
    } else {
      await this.#cleanUpAfterOthers();
      await this.#engine?.listen();
      await this.#control.listen(controlSocketPath(this.#config, environment));
      this.#supervisor.start();
      await Promise.race([this.#start.serving(START_PATIENCE_MS), ended]);
      if (!this.#drain.draining) await this.#serve();
    }
    await ended;
    return 0;
  }

  /** Takes down what is up, whatever that is. */
  async close(): Promise<void> {
    process.off('SIGTERM', this.#onSignal);
    process.off('SIGINT', this.#onSignal);
    process.off('SIGHUP', this.#onHangUp);
    process.off('SIGUSR2', this.#onUpgradeSignal);
    await this.#upgrade.close();
    // Of what is only once on a host nothing is removed that another primary has, or still has.
    const isOthers = this.#upgrade.isReplaced || (this.#succession !== undefined && !this.#isGateway);
    await this.#doors.close(isOthers);
    this.#admission.close();
    // Nobody is left after a drain; after a failed start there are workers without connections.
    this.#supervisor.leave(0, HURRY_MS);
    await this.#supervisor.whenStopped();
    this.#heartbeat.close();
    this.#rebalance.close();
    this.#drain.close();
    this.#reload.close();
    this.#metrics.close();
    await Promise.all([this.#control.close(isOthers), this.#engine?.close(), this.#notifier.close()]);
    if (this.#runtimeDirectory !== undefined && !isOthers)
      rmSync(this.#runtimeDirectory, { recursive: true, force: true });
  }

  async #serve(): Promise<void> {
    await this.#openDoors();
    this.#isGateway = true;
    this.#notifier.ready(`serving at ${this.#listening.join(', ')}`);
    this.#notifier.startWatchdog(() => this.#heartbeat.allAnswer);
  }

  async #openDoors(): Promise<void> {
    const { listening, url, agent } = await this.#doors.open();
    this.#listening = listening;
    this.#heartbeat.start();
    this.#servingSinceMs = systemClock.monotonicMs();
    const control = controlSocketPath(this.#config, this.#deps.environment);
    const internal = [...new Set(this.#supervisor.slots().flatMap(({ addresses }) => addresses))];
    this.#deps.logger.info({ url, listening, internal, control, agent }, 'listening');
    this.#rebalance.start();
  }

  /** From here on another primary has nothing to say any more. */
  async #becomeGateway(): Promise<void> {
    const takeOver = await this.#control.prepare(controlSocketPath(this.#config, this.#deps.environment));
    takeOver();
    this.#isGateway = true;
    this.#doors.closeUnused(internalPlace(this.#config));
    await this.#notifier.adopted(`serving at ${this.#listening.join(', ')}`);
    this.#notifier.startWatchdog(() => this.#heartbeat.allAnswer);
  }

  #passOn(socket: Socket, head: RequestHead, bytes: Buffer): boolean {
    return this.#succession?.pass(socket, head, bytes) === true || this.#upgrade.pass(socket, head, bytes);
  }

  async #cleanUpAfterOthers(): Promise<void> {
    const { logger } = this.#deps;
    try {
      const directories = await removeDeadRuntimeDirectories(systemClock.wallMs());
      if (directories.length > 0) logger.info({ directories }, 'removed what killed primaries left');
    } catch (error) {
      logger.warn({ err: error }, 'could not remove what killed primaries left');
    }
  }

  get #drain(): Drain {
    return this.#leaving.drain;
  }

  #onSilence(worker: WorkerProcess, silence: Silence): void {
    this.#admission.assigner.suspend(worker, silence !== 'answering');
    if (silence === 'hung') this.#supervisor.hung(worker);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#drain.signal(signal);
  };

  readonly #onHangUp = (): void => {
    const { logger } = this.#deps;
    this.#reload.run('SIGHUP').catch((error: unknown) => {
      const reason = messageOf(error);
      logger.error({ reason }, 'reload failed');
    });
  };

  readonly #onUpgradeSignal = (): void => {
    this.#upgrade.bySignal();
  };

  #status(): HostStatus {
    const parts = {
      supervisor: this.#supervisor,
      assigner: this.#admission.assigner,
      heartbeat: this.#heartbeat,
      drain: this.#drain,
    };
    const facts = {
      version: this.#deps.version,
      listening: this.#listening,
      connectionsAllowed: this.#connectionsAllowed,
      refused: this.#metrics.refusals,
      queued: this.#admission.queued,
    };
    return hostStatus(parts, facts, systemClock.monotonicMs());
  }

  #report(): HostReport {
    const status = this.#status();
    const room = hostRoom(status, this.#reload.config, this.#load);
    const takesClients = !status.draining && hasWorkers(status);
    return { ...status, capacity: hostCapacity(room, takesClients, this.#admission.desk.acceptRate) };
  }

  #agentAnswer(): string {
    const { ready_time: readyMs, ramp: rampMs } = this.#config.agent_check;
    const status = this.#status();
    const facts = {
      draining: status.draining,
      servingMs: systemClock.monotonicMs() - this.#servingSinceMs,
      hasWorkers: hasWorkers(status),
      room: hostRoom(status, this.#reload.config, this.#load),
    };
    return agentAnswer(facts, { readyMs, rampMs });
  }
}

function hasWorkers({ workers }: HostStatus): boolean {
  return workers.some(({ state, overloaded }) => state === 'ready' && !overloaded);
}

function newEpoch(): string {
  return randomBytes(6).toString('base64url');
}
