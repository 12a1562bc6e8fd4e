// How a primary has itself replaced: by command and by SIGUSR2, with the program, the Node and the configuration that are on
// disk now.
import type { Socket } from 'node:net';
import type { OneAtATime } from '../cluster/control/one-at-a-time.ts';
import type { RequestHead } from '../cluster/admission/request-head.ts';
import type { ServiceNotifier } from '../cluster/service-notifier.ts';
import type { StartWatch } from '../cluster/start-watch.ts';
import { Successor } from '../cluster/moves/successor.ts';
import type { Supervisor } from '../cluster/supervisor.ts';
import { LEAVING, Upgrade, UpgradeError, type UpgradeProgress } from '../cluster/moves/upgrade.ts';
import type { Logger } from '../observe/logger.ts';
import { systemClock } from '../util/clock.ts';
import { messageOf } from '../util/errors.ts';
import { endsWithin } from '../util/pause.ts';
import type { EmbeddedEngine } from './embedded-engine.ts';
import type { PrimaryAdmission } from './primary-admission.ts';
import type { PrimaryDoors } from './primary-doors.ts';
import { policyOf, type PrimaryReload } from './primary-reload.ts';

export interface PrimaryUpgradeDeps {
  readonly logger: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly supervisor: Supervisor;
  readonly admission: PrimaryAdmission;
  readonly doors: PrimaryDoors;
  readonly reload: PrimaryReload;
  readonly engine: EmbeddedEngine | undefined;
  readonly engineSocketPath: string;
  readonly servingSinceMs: () => number;
  readonly start: StartWatch;
  readonly notifier: ServiceNotifier;
  readonly changes: OneAtATime;
  readonly isServing: () => boolean;
  readonly isLeaving: () => boolean;
}

/** Meant for this process alone. */
const NOT_INHERITED = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'WATCHDOG_PID'];
const SUCCEED_FLAG = '--succeed';
/** Connections at the door reach the other primary in moments. */
const LAST_WORDS_MS = 3000;
const REVIVE_MS = 30_000;
/** The state of the embedded engine is read into the memory of the other primary. */
const ENGINE_MS = 10_000;

export class PrimaryUpgrade {
  readonly #deps: PrimaryUpgradeDeps;
  readonly #upgrade: Upgrade;
  readonly #whenReplaced: (() => void)[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #successor: Successor | undefined;
  #isReplaced = false;
  /** The gateway, when it is not this primary any more. */
  #replacement: Successor | undefined;

  constructor(deps: PrimaryUpgradeDeps) {
    this.#deps = deps;
    const { logger, supervisor, admission, reload, isLeaving } = deps;
    this.#upgrade = new Upgrade({
      clock: systemClock,
      logger,
      supervisor,
      moves: reload.moves,
      connections: (process) => admission.assigner.clientsOf(process),
      canary: (from, to) => reload.flyCanary(from, to),
      start: (node) => this.#start(node),
      passOn: (successor) => {
        this.#successor = successor;
        if (successor !== undefined) {
          admission.desk.giveAway((socket, bytes) =>
            successor.passOn(socket, { bytes, door: 'public' }, () => socket.destroy()),
          );
        }
      },
      giveEngine: async (successor) =>
        deps.engine?.giveAway(
          (bytes) => successor.piece(bytes),
          async (nodes) => String(await successor.ask('engine', nodes, ENGINE_MS)),
        ),
      revive: () => this.#revive(),
      finish: (successor) => this.#finish(successor),
      isLeaving,
    });
  }

  /** Another primary serves what this one has served. */
  get isReplaced(): boolean {
    return this.#isReplaced;
  }

  /** Another primary has its doors open, and gets who comes to those of this one. */
  get isPassingOn(): boolean {
    return this.#successor !== undefined;
  }

  /** Told to end when another primary is the gateway: that one is meant. False when this one still is. */
  endReplacement(): boolean {
    this.#replacement?.terminate();
    return this.#replacement !== undefined;
  }

  /** Resolves when another primary is the gateway. */
  whenReplaced(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isReplaced) resolve();
      else this.#whenReplaced.push(resolve);
    });
  }

  /** A connection whose head has been read: true when another primary gets it. */
  pass(socket: Socket, head: RequestHead, bytes: Buffer): boolean {
    if (this.#successor === undefined) return false;
    const { assigner } = this.#deps.admission;
    this.#successor.passOn(socket, { bytes, door: 'public' }, () => assigner.accept(socket, head, bytes));
    return true;
  }

  /** The same for one that has come to the internal port. */
  passInternal(socket: Socket): boolean {
    if (this.#successor === undefined) return false;
    const { assigner } = this.#deps.admission;
    this.#successor.passOn(socket, { bytes: Buffer.alloc(0), door: 'internal' }, () =>
      assigner.acceptInternal(socket),
    );
    return true;
  }

  /** Rejects with UpgradeError or BusyError, and then everything is as it was. */
  run(
    reason: string,
    node: string,
    onProgress: (progress: UpgradeProgress) => void = ignore,
  ): Promise<UpgradeProgress> {
    const running = this.#deps.changes.run('upgrade', () => this.#run(reason, node, onProgress));
    this.#running = running.catch(() => undefined);
    return running;
  }

  command(params: unknown, onProgress: (progress: UpgradeProgress) => void): Promise<UpgradeProgress> {
    const hasNode = typeof params === 'object' && params !== null && 'node' in params;
    return this.run('command', hasNode && typeof params.node === 'string' ? params.node : '', onProgress);
  }

  bySignal(): void {
    const { logger } = this.#deps;
    this.run('SIGUSR2', '').catch((error: unknown) => {
      logger.error({ reason: messageOf(error) }, 'upgrade failed');
    });
  }

  abort(reason: string): boolean {
    return this.#upgrade.abort(reason);
  }

  /** This process is to end within that time. */
  leave(withinMs: number): void {
    this.#upgrade.leave(withinMs);
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.abort(LEAVING);
    await this.#running;
  }

  async #run(
    reason: string,
    node: string,
    onProgress: (progress: UpgradeProgress) => void,
  ): Promise<UpgradeProgress> {
    const { logger, notifier, isLeaving, isServing, reload, environment } = this.#deps;
    if (isLeaving()) throw new UpgradeError(LEAVING);
    if (!isServing()) throw new UpgradeError('the gateway is still starting');
    const obstacle = obstacleTo(environment);
    if (obstacle !== '') throw new UpgradeError(obstacle);
    logger.info({ reason, node }, 'upgrading');
    notifier.reloading('replacing the primary');
    try {
      const done = await this.#upgrade.run(node, policyOf(reload.config), onProgress);
      this.#isReplaced = true;
      for (const resolve of this.#whenReplaced) resolve();
      return done;
    } catch (error) {
      // The other one may have said already that it is the service.
      if (!isLeaving()) void notifier.adopted('serving');
      throw error;
    }
  }

  #start(node: string): Successor {
    const { supervisor, reload, doors, admission, environment, engineSocketPath } = this.#deps;
    const [, program = '', ...args] = process.argv;
    return new Successor(
      {
        program,
        args: [...args.filter((arg) => arg !== SUCCEED_FLAG), SUCCEED_FLAG],
        node: node === '' ? process.execPath : node,
        nodeArgs: process.execArgv,
        environment: Object.fromEntries(
          Object.entries(environment).filter(([name]) => !NOT_INHERITED.includes(name)),
        ),
        sockets: doors.descriptors,
      },
      {
        supervisor,
        relay: reload.relay,
        facts: { config: reload.config, engineSocketPath, servingSinceMs: this.#deps.servingSinceMs() },
        onReport: (worker, report) => reload.moves.message(worker, { type: 'moves', ...report }),
        onWorkerGone: (worker) => reload.moves.gone(worker),
        onStop: (reason) => this.abort(reason),
        onConnection: (socket, door) => admission.accept(socket, door),
      },
    );
  }

  /** The other one listens at the same sockets: who is at the door of this one goes there, and this one closes. */
  async #finish(successor: Successor): Promise<void> {
    const { doors, admission, isLeaving } = this.#deps;
    await doors.close(true);
    admission.giveAway((socket, bytes) =>
      successor.passOn(socket, { bytes, door: 'public' }, () => socket.destroy()),
    );
    await endsWithin(successor.whenEmpty(), LAST_WORDS_MS);
    // Told to end when it was too late to stop: it was the gateway that was meant.
    if (isLeaving()) successor.terminate();
    this.#replacement = successor;
    successor.release();
  }

  async #revive(): Promise<void> {
    const { supervisor, start, engine, isLeaving } = this.#deps;
    if (isLeaving()) return;
    await engine?.restart();
    supervisor.revive();
    await start.settled(REVIVE_MS);
  }
}

/** Why the primary cannot be replaced here, and what to do instead; empty when it can. */
function obstacleTo(environment: Readonly<Record<string, string | undefined>>): string {
  if (environment['pm_id'] !== undefined) {
    return (
      'pm2 watches the process that it has started, and would start a second gateway when that one ends: ' +
      'use `holdfast reload` for application and configuration; for the gateway itself `pm2 restart`, or systemd'
    );
  }
  if (process.pid === 1) {
    return 'this is the first process of a container, which ends with it: replace the container instead';
  }
  return '';
}

function ignore(): void {
  // Nobody watches.
}
