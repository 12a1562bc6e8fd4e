// How the primary replaces its workers: by command and by SIGHUP, with the configuration as it is written now.
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Canary } from '../cluster/canary.ts';
import type { ConnectionAssigner } from '../cluster/assignment/connection-assigner.ts';
import { type MovePeer, MoveRelay } from '../cluster/moves/move-relay.ts';
import type { OneAtATime } from '../cluster/control/one-at-a-time.ts';
import { OrderedMoves } from '../cluster/moves/ordered-moves.ts';
import { Reload, ReloadError, type ReloadPolicy, type ReloadProgress } from '../cluster/moves/reload.ts';
import type { ServiceNotifier } from '../cluster/service-notifier.ts';
import type { Supervisor } from '../cluster/supervisor.ts';
import { WorkerProcess } from '../cluster/worker-process.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../observe/logger.ts';
import { systemClock } from '../util/clock.ts';
import { messageOf } from '../util/errors.ts';
import { restartOptions } from './restart-options.ts';

export interface PrimaryReloadDeps {
  readonly logger: Logger;
  readonly supervisor: Supervisor;
  readonly assigner: ConnectionAssigner;
  readonly notifier: ServiceNotifier;
  readonly changes: OneAtATime;
  readonly engineSocketPath: string;
  /** The configuration as files and environment give it now; rejects with ConfigError. */
  readonly reread: () => Promise<Config>;
  readonly isLeaving: () => boolean;
  /** This primary is the gateway. */
  readonly isServing: () => boolean;
  /** It serves with this from now on. */
  readonly onConfig: (config: Config) => void;
}

export class PrimaryReload {
  readonly relay: MoveRelay;
  readonly moves = new OrderedMoves();
  readonly reload: Reload;
  readonly #canary: Canary;
  readonly #deps: PrimaryReloadDeps;
  #config: Config;

  constructor(deps: PrimaryReloadDeps, config: Config) {
    this.#deps = deps;
    this.#config = config;
    const { logger, supervisor, assigner } = deps;
    this.relay = new MoveRelay({
      logger,
      onArrived: (at) => {
        if (at instanceof WorkerProcess) assigner.arrivedAt(at);
      },
      otherWorker: (than) => supervisor.serving().find((worker) => !than.includes(worker)),
    });
    this.#canary = new Canary({
      socketPath: join(tmpdir(), `holdfast-canary-${randomBytes(6).toString('hex')}.sock`),
      target: config.websocket.handler_prefix,
      moves: this.moves,
      onAssigned: (process) => assigner.arrivedAt(process),
    });
    this.reload = new Reload(
      {
        clock: systemClock,
        logger,
        supervisor,
        moves: this.moves,
        connections: (process) => assigner.clientsOf(process),
        canary: (from, to) => this.flyCanary(from, to),
        isLeaving: deps.isLeaving,
      },
      policyOf(config),
    );
    supervisor.observe(this.relay, this.moves);
  }

  /** What the primary serves with, and its workers, but for a reload under way. */
  get config(): Config {
    return this.#config;
  }

  /** Rejects with ConfigError, ReloadError or BusyError, and then everything is as it was. */
  run(reason: string, onProgress: (progress: ReloadProgress) => void = ignore): Promise<ReloadProgress> {
    return this.#deps.changes.run('reload', () => this.#run(reason, onProgress));
  }

  bySignal(): void {
    this.run('SIGHUP').catch((error: unknown) => {
      this.#deps.logger.error({ reason: messageOf(error) }, 'reload failed');
    });
  }

  /** Moves a connection of our own from one worker to another; rejects when it does not live on. */
  async flyCanary(from: WorkerProcess, to: MovePeer): Promise<void> {
    if (!this.#config.websocket.disabled) await this.#canary.fly(from, to);
  }

  abort(reason: string): boolean {
    return this.reload.abort(reason);
  }

  close(): void {
    this.relay.close();
  }

  async #run(reason: string, onProgress: (progress: ReloadProgress) => void): Promise<ReloadProgress> {
    const { logger, reread, isLeaving, isServing, engineSocketPath, notifier } = this.#deps;
    if (isLeaving()) throw new ReloadError('this host is leaving');
    if (!isServing()) throw new ReloadError('the gateway is still starting');
    const next = await reread();
    const fixed = restartOptions(this.#config, next);
    if (fixed.length > 0) {
      throw new ReloadError(`only a restart can change ${fixed.join(', ')}: nothing was changed`);
    }
    logger.info({ reason }, 'reloading');
    notifier.reloading('replacing workers');
    try {
      const before = { config: this.#config, engineSocketPath };
      const done = await this.reload.run(
        { config: next, engineSocketPath },
        before,
        policyOf(next),
        onProgress,
      );
      this.#config = next;
      this.#deps.onConfig(next);
      return done;
    } finally {
      if (!isLeaving()) notifier.ready('serving');
    }
  }
}

export function policyOf({ handoff }: Config): ReloadPolicy {
  return { moves: handoff.enabled, restMs: handoff.rest_timeout, closeMs: handoff.close_timeout };
}

function ignore(): void {
  // Nobody watches.
}
