// How a primary takes over from the one that has started it: its workers first, then the doors, the connections, the embedded
// engine, and the name of the service. Until it is the gateway it ends with the other one.
import type { Socket } from 'node:net';
import type { DoorKind, ToPrimary } from '../cluster/ipc.ts';
import type { Predecessor, SuccessionLeave, SuccessionOrders } from '../cluster/moves/predecessor.ts';
import type { RequestHead } from '../cluster/admission/request-head.ts';
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
  /** Gets ready to have the control socket, and the name of the service. Resolves to what makes this the gateway, at once. */
  readonly prepareGateway: () => Promise<() => void>;
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
  #engineTaken: Promise<unknown> = Promise.resolve();
  #adopted: Promise<void> | undefined;
  #isKept = false;
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
    if (this.#stage === 'gateway' || this.#isStopped || !link.isOpen) {
      this.close();
      return false;
    }
    this.#isStopped = true;
    // Said twice it would mean to hurry.
    const leaveOnce = (): void => {
      if (this.#patience === undefined) return;
      this.close();
      leave();
    };
    this.#patience = setTimeout(leaveOnce, this.#patienceMs);
    link.ask('stop', `the new primary got ${signal}`, this.#patienceMs).catch(leaveOnce);
    return true;
  }

  /** May be called twice. */
  close(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
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

  async engine(nodes: readonly string[]): Promise<string> {
    const { engine } = this.#deps;
    if (engine === undefined) throw new UnavailableError('the new primary has no embedded engine');
    const pieces = this.#pieces;
    this.#pieces = [];
    const taken = engine.takeOver(pieces, nodes);
    this.#engineTaken = taken.catch(() => undefined);
    return taken;
  }

  /** Also done when the other one dies meanwhile. */
  adopt(): Promise<void> {
    this.#adopted ??= this.#adopt();
    return this.#adopted;
  }

  /** Once it is the gateway it remains so; else it never will be. */
  keep(): boolean {
    this.#isKept = this.#stage !== 'gateway';
    return this.#isKept;
  }

  async #adopt(): Promise<void> {
    await this.#engineTaken;
    await this.#deps.engine?.settle();
    const become = await this.#deps.prepareGateway();
    if (this.#isKept || this.#stage !== 'serving')
      throw new UnavailableError('the other primary remains the gateway');
    become();
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
