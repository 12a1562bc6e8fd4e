// Composition root of the primary: engine, control socket, workers, the public port; and all of it down again.
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { ControlServer } from '../cluster/control/control-server.ts';
import { connectionsAllowed, readDescriptorLimit } from '../cluster/descriptors.ts';
import type { Drain } from '../cluster/drain/drain.ts';
import { defaultHeartbeatPolicy, Heartbeat, isDebugged, type Silence } from '../cluster/load/heartbeat.ts';
import { memoryBytes } from '../cluster/load/host-load.ts';
import { HostSurvey } from '../cluster/load/host-survey.ts';
import { OneAtATime } from '../cluster/control/one-at-a-time.ts';
import type { Predecessor } from '../cluster/moves/predecessor.ts';
import type { RequestHead } from '../cluster/admission/request-head.ts';
import { ServiceNotifier } from '../cluster/service-notifier.ts';
import { StartWatch } from '../cluster/start-watch.ts';
import { defaultSlotPolicy, Supervisor } from '../cluster/supervisor.ts';
import type { WorkerProcess } from '../cluster/worker-process.ts';
import { controlSocketPath } from '../config/control-socket.ts';
import type { Config } from '../config/schema.ts';
import { snapshotFile } from '../config/snapshot-file.ts';
import type { Logger } from '../observe/logger.ts';
import { systemClock } from '../util/clock.ts';
import { ConfigError, HoldfastError } from '../util/errors.ts';
import { pause } from '../util/pause.ts';
import { EmbeddedEngine, historyLimit } from './embedded-engine.ts';
import { PrimaryAdmission } from './primary-admission.ts';
import { PrimaryDoors } from './primary-doors.ts';
import { PrimaryDrain } from './primary-drain.ts';
import { PrimaryMetrics } from './primary-metrics.ts';
import { PrimaryRebalance } from './primary-rebalance.ts';
import { PrimaryReload } from './primary-reload.ts';
import { PrimaryReport } from './primary-report.ts';
import { forbidsSuccession, PrimarySuccession } from './primary-succession.ts';
import { PrimaryUpgrade } from './primary-upgrade.ts';
import { cleanUpRuntimeDirectories, enginePath } from './runtime-directory.ts';

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
  readonly #report: PrimaryReport;
  readonly #connectionsAllowed: number | null;
  readonly #signals: readonly (readonly [NodeJS.Signals, NodeJS.SignalsListener])[] = [
    ['SIGTERM', (signal) => this.#onEndSignal(signal)],
    ['SIGINT', (signal) => this.#onEndSignal(signal)],
    ['SIGHUP', () => this.#reload.bySignal()],
    ['SIGUSR2', () => this.#upgrade.bySignal()],
  ];
  /** What is only once on a host is ours. */
  #isGateway = false;

  constructor(config: Config, deps: PrimaryDeps) {
    this.#config = config;
    this.#deps = deps;
    const { logger } = deps;
    const clock = systemClock;
    const limit = readDescriptorLimit();
    this.#connectionsAllowed = limit === undefined ? null : connectionsAllowed(limit, config.workers);
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
            maxHistoryBytes: historyLimit(config.engine.memory.max_history_memory, memoryBytes()),
          })
        : undefined;
    this.#metrics = new PrimaryMetrics(
      deps.version,
      () => this.#report.report().capacity,
      () => this.#rebalance.workerLoads,
    );
    const engine = this.#engine;
    if (engine !== undefined) this.#metrics.exposeHistory(() => engine.history);
    this.#supervisor = new Supervisor(
      { clock, random: Math.random, logger },
      {
        exec: deps.workerProgram,
        args: [],
        workers: config.workers,
        policy: defaultSlotPolicy,
        facts: { config, engineSocketPath },
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
        onInternal: (socket) => {
          if (!this.#upgrade.passInternal(socket)) assigner.acceptInternal(socket);
        },
        agentAnswer: () => this.#report.agentAnswer(),
        inherited: inherited?.sockets ?? [],
      },
      config,
    );
    this.#heartbeat = new Heartbeat(
      { logger, isDebugged, onSilence: (worker, silence) => this.#onSilence(worker, silence) },
      defaultHeartbeatPolicy,
    );
    this.#report = new PrimaryReport(
      {
        clock,
        version: deps.version,
        supervisor: this.#supervisor,
        admission: this.#admission,
        heartbeat: this.#heartbeat,
        metrics: this.#metrics,
        drain: () => this.#drain,
        config: () => this.#reload.config,
        isPassingOn: () => this.#upgrade.isPassingOn,
        connectionsAllowed: this.#connectionsAllowed,
      },
      config,
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
        isServing: () => this.#report.listening.length > 0,
        onEnding: () => {
          this.#reload.abort('this host is leaving');
          this.#rebalance.abort('this host is leaving');
          this.#upgrade.leave(config.shutdown.timeout);
        },
        onServingAgain: () => this.#report.servesAnew(),
      },
      config,
    );
    this.#control = new ControlServer({
      logger,
      methods: {
        status: () => this.#leaving.known().then(() => this.#report.report()),
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
        isServing: () => this.#isGateway && !this.#upgrade.isReplaced,
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
    this.#upgrade = new PrimaryUpgrade({
      ...parts,
      start: this.#start,
      engineSocketPath,
      servingSinceMs: () => this.#report.servingSinceMs,
    });
    this.#succession =
      deps.predecessor === undefined
        ? undefined
        : new PrimarySuccession(
            {
              ...parts,
              predecessor: deps.predecessor,
              openDoors: () => this.#openDoors(),
              prepareGateway: () => this.#prepareGateway(),
              closeDoors: () => this.#doors.close(true),
            },
            config,
          );
  }

  async run(): Promise<number> {
    const { logger, environment, version } = this.#deps;
    for (const [signal, act] of this.#signals) process.on(signal, act);
    const { workers } = this.#config;
    logger.info({ version, workers, connectionsAllowed: this.#connectionsAllowed }, 'starting');
    const ended = Promise.race([this.#drain.whenEnded(), this.#upgrade.whenReplaced()]);
    if (this.#succession !== undefined) {
      await Promise.race([this.#succession.takeOver(), ended]);
    } else {
      await cleanUpRuntimeDirectories(logger);
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
    // Until the end of this process what it is told is meant for the one that has replaced it.
    if (!this.#upgrade.isReplaced) this.#listenNoMore();
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
    this.#succession?.close();
    this.#drain.close();
    this.#reload.close();
    this.#metrics.close();
    await Promise.all([this.#control.close(isOthers), this.#engine?.close(isOthers), this.#notifier.close()]);
    if (this.#runtimeDirectory !== undefined && !isOthers)
      rmSync(this.#runtimeDirectory, { recursive: true, force: true });
    // What came meanwhile is read by the event loop only.
    if (this.#upgrade.isReplaced) await pause(1);
    this.#listenNoMore();
  }

  async #serve(): Promise<void> {
    await this.#openDoors();
    this.#notifier.ready(`serving at ${this.#report.listening.join(', ')}`);
    this.#becomeGateway();
  }

  async #openDoors(): Promise<void> {
    const { listening, internal, url, agent } = await this.#doors.open();
    this.#report.opened({ listening, internal }, this.#deps.predecessor?.facts.servingSinceMs);
    this.#heartbeat.start();
    const control = controlSocketPath(this.#config, this.#deps.environment);
    this.#deps.logger.info({ url, listening, internal, control, agent }, 'listening');
  }

  /** Until what this resolves to is called, the other primary can go on. */
  async #prepareGateway(): Promise<() => void> {
    const takeOver = await this.#control.prepare(controlSocketPath(this.#config, this.#deps.environment));
    await this.#notifier.adopted(`serving at ${this.#report.listening.join(', ')}`);
    return () => {
      takeOver();
      this.#doors.closeUnused();
      this.#becomeGateway();
    };
  }

  #becomeGateway(): void {
    this.#isGateway = true;
    this.#notifier.startWatchdog(() => this.#heartbeat.allAnswer);
    this.#rebalance.start();
  }

  #passOn(socket: Socket, head: RequestHead, bytes: Buffer): boolean {
    return this.#succession?.pass(socket, head, bytes) === true || this.#upgrade.pass(socket, head, bytes);
  }

  get #drain(): Drain {
    return this.#leaving.drain;
  }

  #listenNoMore(): void {
    for (const [signal, act] of this.#signals) process.off(signal, act);
  }

  #onEndSignal(signal: NodeJS.Signals): void {
    if (this.#upgrade.endReplacement()) return;
    const leave = (): void => this.#drain.signal(signal);
    if (this.#succession?.stop(signal, leave) !== true) leave();
  }

  #onSilence(worker: WorkerProcess, silence: Silence): void {
    this.#admission.assigner.suspend(worker, silence !== 'answering');
    if (silence === 'hung') this.#supervisor.hung(worker);
  }
}

function newEpoch(): string {
  return randomBytes(6).toString('base64url');
}
