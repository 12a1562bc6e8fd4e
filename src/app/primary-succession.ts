// How a primary takes over from the one that has started it: its workers first, then the doors, the connections, the embedded
// engine, and the name of the service. Until it is the gateway it ends with the other one.
import type { Socket } from 'node:net';
import type { DoorKind, ToPrimary } from '../cluster/ipc.ts';
import type { Predecessor, SuccessionLeave, SuccessionOrders } from '../cluster/predecessor.ts';
import type { RequestHead } from '../cluster/request-head.ts';
import type { Supervisor, WorkerObserver } from '../cluster/supervisor.ts';
import type { WorkerEnd, WorkerProcess } from '../cluster/worker-process.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../observe/logger.ts';
import { UnavailableError, asError } from '../util/errors.ts';
import type { EmbeddedEngine } from './embedded-engine.ts';
import type { PrimaryAdmission } from './primary-admission.ts';
import type { PrimaryReload } from './primary-reload.ts';
import { differing } from './restart-options.ts';

export interface PrimarySuccessionDeps {
  readonly logger: Logger;
  readonly predecessor: Predecessor;
  readonly supervisor: Supervisor;
  readonly admission: PrimaryAdmission;
  readonly reload: PrimaryReload;
  readonly engine: EmbeddedEngine | undefined;
  readonly openDoors: () => Promise<void>;
  readonly closeDoors: () => Promise<void>;
  /** Takes the control socket and the name of the service. */
  readonly becomeGateway: () => Promise<void>;
}

/** Of the time in which this process has to end; the rest is for closing what could not be given back. */
const PATIENCE_SHARE = 0.5;

type Stage = 'starting' | 'ready' | 'serving' | 'retired' | 'gateway';

export class PrimarySuccession implements WorkerObserver, SuccessionOrders {
  readonly #deps: PrimarySuccessionDeps;
  readonly #workers: number;
  readonly #patienceMs: number;
  readonly #ready = new Set<WorkerProcess>();
  readonly #complaints = new Map<WorkerProcess, string>();
  #stage: Stage = 'starting';
  #onWorkers: ((failure: string | undefined) => void) | undefined;
  #onGateway: (() => void) | undefined;
  #onLost: ((error: Error) => void) | undefined;
  #pieces: Buffer[] = [];
  #hasEngine = false;
  #isStopped = false;
  #patience: NodeJS.Timeout | undefined;

  constructor(deps: PrimarySuccessionDeps, config: Config) {
    this.#deps = deps;
    this.#workers = config.workers;
    this.#patienceMs = config.shutdown.timeout * PATIENCE_SHARE;
    const { predecessor, supervisor, reload } = deps;
    predecessor.link.attach(reload.relay, []);
    supervisor.observe(this, predecessor.link);
  }

  /** Resolves when this is the gateway. Rejects, when it will not be, with why. */
  async takeOver(): Promise<void> {
    const { predecessor, supervisor } = this.#deps;
    const gateway = new Promise<void>((resolve, reject) => {
      this.#onGateway = resolve;
      this.#onLost = reject;
    });
    gateway.catch(() => undefined);
    predecessor.obey(this);
    const workers = new Promise<string | undefined>((resolve) => {
      this.#onWorkers = resolve;
    });
    supervisor.start();
    const failure = await Promise.race([workers, gateway.then(() => undefined)]);
    if (failure !== undefined) {
      await predecessor.fail(failure);
      throw new UnavailableError(failure);
    }
    this.#stage = 'ready';
    await predecessor.ready();
    await gateway;
  }

  /** A signal that tells this process to end. True while the other primary puts everything back; else `leave` is to be done. */
  stop(signal: string, leave: () => void): boolean {
    const { link } = this.#deps.predecessor;
    if (this.#stage === 'gateway' || this.#isStopped || !link.isOpen) return false;
    this.#isStopped = true;
    this.#patience = setTimeout(leave, this.#patienceMs);
    link.ask('stop', `the new primary got ${signal}`, this.#patienceMs).catch(leave);
    return true;
  }

  /** May be called twice. */
  close(): void {
    clearTimeout(this.#patience);
  }

  /** A connection whose head has been read: true when the other primary gets it. */
  pass(socket: Socket, _head: RequestHead, bytes: Buffer): boolean {
    if (this.#stage !== 'retired') return false;
    this.#deps.predecessor.link.passOn(socket, { bytes, door: 'public' }, () => socket.destroy());
    return true;
  }

  message(process: WorkerProcess, message: ToPrimary): void {
    if (message.type === 'failed') this.#complaints.set(process, message.reason);
    if (message.type !== 'ready') return;
    this.#ready.add(process);
    if (this.#ready.size >= this.#workers) this.#onWorkers?.(undefined);
  }

  gone(process: WorkerProcess, { code, signal }: WorkerEnd): void {
    const reason =
      this.#complaints.get(process) ?? (signal === null ? `exit code ${code}` : `signal ${signal}`);
    this.#complaints.delete(process);
    this.#ready.delete(process);
    this.#onWorkers?.(`worker ${process.slot} of the new primary does not start: ${reason}`);
  }

  async serve(): Promise<void> {
    await this.#deps.openDoors();
    this.#stage = 'serving';
  }

  async retire(): Promise<void> {
    this.#stage = 'retired';
    const { admission, predecessor, closeDoors } = this.#deps;
    await closeDoors();
    admission.giveAway((socket, bytes) =>
      predecessor.link.passOn(socket, { bytes, door: 'public' }, () => socket.destroy()),
    );
  }

  leave({ overMs, killAfterMs }: SuccessionLeave): void {
    const { supervisor } = this.#deps;
    supervisor.leave(overMs, killAfterMs);
    void supervisor.whenStopped().then(() => this.#onLost?.(new UnavailableError('the upgrade was stopped')));
  }

  piece(bytes: Uint8Array): void {
    this.#pieces.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  async engine(nodes: readonly string[]): Promise<void> {
    const pieces = this.#pieces;
    this.#pieces = [];
    await this.#deps.engine?.takeOver(pieces, nodes);
    this.#hasEngine = true;
  }

  async adopt(): Promise<void> {
    // The one that had it has died with it.
    if (!this.#hasEngine) await this.#deps.engine?.listen();
    await this.#deps.becomeGateway();
    this.#stage = 'gateway';
    this.#deps.logger.info({ pid: process.pid, replaced: process.ppid }, 'this primary is the gateway');
    this.#onGateway?.();
  }

  connection(socket: Socket, door: DoorKind): void {
    this.#deps.admission.accept(socket, door);
  }

  report(): void {
    // This end orders nothing.
  }

  workerGone(): void {
    // The relay knows.
  }

  ended(): void {
    if (this.#stage === 'gateway') return;
    const { logger } = this.#deps;
    if (this.#stage !== 'serving') {
      const error = new UnavailableError('the primary that was to be replaced is gone');
      this.#onWorkers?.(error.message);
      this.#onLost?.(error);
      return;
    }
    logger.error('the primary that is being replaced is gone: this one goes on alone');
    this.adopt().catch((error: unknown) => this.#onLost?.(asError(error)));
  }
}

/** What of the configuration may not change while the primary is replaced; empty when nothing has. */
export function forbidsSuccession(before: unknown, config: Config): string {
  const engine =
    typeof before === 'object' && before !== null && 'engine' in before ? before.engine : undefined;
  const changed = differing(engine, config.engine, 'engine');
  return changed.length === 0 ? '' : `only a restart can change ${changed.join(', ')}`;
}
