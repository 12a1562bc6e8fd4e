// The primary that is to replace this one, as this one sees it: a child that inherits the listening sockets, says hello, gets
// to know what it needs, and starts its workers.
import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { UnavailableError } from '../../util/errors.ts';
import { finishDisconnect } from '../../util/native-handle.ts';
import { defaultHeartbeatPolicy, type HeartbeatPolicy, isDebugged, judgeSilence } from '../load/heartbeat.ts';
import type { DoorKind, MoveReport } from '../ipc.ts';
import type { SuccessionLeave } from './predecessor.ts';
import type { MoveRelay } from './move-relay.ts';
import { PrimaryLink, type RemoteWorker, type Visitor } from './primary-link.ts';
import { SUCCESSION_VERSION, type SuccessionFacts } from './primary-messages.ts';
import type { Supervisor } from '../supervisor.ts';

export interface SuccessorProgram {
  readonly program: string;
  readonly args: readonly string[];
  readonly node: string;
  readonly nodeArgs: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Listening sockets, by the names of their places. */
  readonly sockets: readonly (readonly [place: string, fd: number])[];
}

export interface SuccessorDeps {
  readonly supervisor: Supervisor;
  readonly relay: MoveRelay;
  readonly facts: Omit<SuccessionFacts, 'version' | 'sockets'>;
  readonly onReport: (worker: RemoteWorker, report: MoveReport) => void;
  readonly onWorkerGone: (worker: RemoteWorker) => void;
  /** A connection that it gives back. */
  readonly onConnection: (socket: Socket, door: DoorKind) => void;
  /** It was told to end before it is the gateway: false when that is too late. */
  readonly onStop: (reason: string) => boolean;
}

/** From its start until its workers are ready. */
const START_MS = 120_000;
const HELLO_MS = 60_000;
const ANSWER_MS = 5000;
/** After the end of its workers. */
const KILL_AFTER_MS = 1000;
const EXIT_MS = 1000;
/** stdin, stdout, stderr and the channel. */
const FIRST_INHERITED = 4;

export class Successor {
  readonly #child: ChildProcess;
  readonly #supervisor: Supervisor;
  readonly #link: PrimaryLink;
  readonly #exited: Promise<void>;
  readonly #patience: HeartbeatPolicy;
  readonly #sockets: readonly (readonly [place: string, fd: number])[];
  #isReady = false;
  #failure: string | undefined;
  #onChange: (() => void) | undefined;
  #said = 'nothing';
  #watch: NodeJS.Timeout | undefined;
  #isHung = false;

  constructor(
    what: SuccessorProgram,
    deps: SuccessorDeps,
    patience: HeartbeatPolicy = defaultHeartbeatPolicy,
  ) {
    this.#child = fork(what.program, [...what.args], {
      execPath: what.node,
      execArgv: [...what.nodeArgs],
      env: { ...what.environment },
      serialization: 'advanced',
      // Its descriptors are the same sockets: as long as one of us has them open, nobody is refused.
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...what.sockets.map(([, fd]) => fd)],
    });
    this.#sockets = what.sockets.map(([place], index) => [place, FIRST_INHERITED + index]);
    const { supervisor, relay } = deps;
    this.#supervisor = supervisor;
    this.#patience = patience;
    this.#link = new PrimaryLink({
      end: this.#child,
      onAsked: (method, params) => this.#onAsked(method, params, deps),
      onWorker: () => this.#onChange?.(),
      onReport: deps.onReport,
      onRemoteGone: deps.onWorkerGone,
      onConnection: deps.onConnection,
      onPiece: () => undefined,
      onEnd: () => {
        clearInterval(this.#watch);
        supervisor.unobserve(this.#link);
        // Its exit says more.
        setTimeout(() => this.#fail('the new primary has ended'), EXIT_MS).unref();
      },
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#fail(`the new primary cannot be started: ${error.message}`);
        resolve();
      });
      this.#child.once('exit', (code, signal) => {
        const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
        this.#fail(`the new primary ended with ${how}: its log says why`);
        resolve();
        setTimeout(() => finishDisconnect(this.#child), ANSWER_MS).unref();
      });
    });
    this.#link.attach(relay, supervisor.serving());
    supervisor.observe(this.#link);
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  get isAlive(): boolean {
    return this.#link.isOpen && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Of one that is not alive any more. */
  get endText(): string {
    return this.#isHung ? 'the new primary did not answer, and was killed' : 'the new primary has ended';
  }

  /** Its workers that are ready now. */
  get workers(): readonly RemoteWorker[] {
    return this.#link.workers;
  }

  /** Resolves when it could serve; rejects with why it never will. */
  async ready(): Promise<void> {
    const hello = setTimeout(() => {
      if (this.#said === 'nothing') this.#fail('the new primary does not say hello');
    }, HELLO_MS);
    const timer = setTimeout(
      () => this.#fail(`the new primary is not ready after ${START_MS / 1000} s`),
      START_MS,
    );
    try {
      await new Promise<void>((resolve) => {
        this.#onChange = (): void => {
          if (this.#isReady || this.#failure !== undefined) resolve();
        };
        this.#onChange();
      });
    } finally {
      clearTimeout(hello);
      clearTimeout(timer);
      this.#onChange = undefined;
    }
    if (this.#failure !== undefined) throw new UnavailableError(this.#failure);
  }

  /** Whoever waits for it to be ready is refused. */
  stopWaiting(reason: string): void {
    if (!this.#isReady) this.#fail(reason);
  }

  ask(method: string, params: unknown, timeoutMs: number): Promise<unknown> {
    return this.#link.ask(method, params, timeoutMs);
  }

  piece(bytes: Uint8Array): void {
    this.#link.tell({ type: 'piece', bytes });
  }

  passOn(socket: Socket, visitor: Visitor, returned: () => void): void {
    this.#link.passOn(socket, visitor, returned);
  }

  whenEmpty(): Promise<void> {
    return this.#link.whenEmpty();
  }

  /** It is not wanted. Resolves when it is gone. */
  async end(how: SuccessionLeave): Promise<void> {
    if (this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), how.killAfterMs + KILL_AFTER_MS);
      this.#link.ask('leave', how, ANSWER_MS).catch(() => this.#child.kill('SIGKILL'));
      await this.#exited;
      clearTimeout(timer);
    }
    clearInterval(this.#watch);
    this.#link.close();
    // The link says so only when the channel has ended before the process.
    this.#supervisor.unobserve(this.#link);
  }

  /** It does not say what it is doing. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** It is the gateway, and is to end as such. */
  terminate(): void {
    this.#child.kill('SIGTERM');
  }

  /** It is the gateway now; this process may end. */
  release(): void {
    clearInterval(this.#watch);
    this.#link.close();
    if (this.#child.connected) this.#child.disconnect();
    this.#child.unref();
  }

  async #onAsked(method: string, params: unknown, { facts, onStop }: SuccessorDeps): Promise<unknown> {
    switch (method) {
      case 'hello':
        this.#said = 'hello';
        if (params !== SUCCESSION_VERSION) {
          throw new UnavailableError(
            `it takes over by version ${String(params)} of the procedure, this one gives by ${SUCCESSION_VERSION}: restart instead`,
          );
        }
        return Promise.resolve({ ...facts, version: SUCCESSION_VERSION, sockets: this.#sockets });
      case 'ready':
        this.#isReady = true;
        this.#watchOver();
        this.#onChange?.();
        return Promise.resolve(null);
      case 'stop':
        if (!onStop(String(params))) throw new UnavailableError('it is too late to stop the upgrade');
        return Promise.resolve(null);
      case 'failed':
        this.#fail(String(params));
        return Promise.resolve(null);
      default:
        throw new UnavailableError(`this primary knows no '${method}'`);
    }
  }

  /** What is on its way to one that hangs would be waited for for ever. Until it is ready it has another deadline. */
  #watchOver(): void {
    const patience = this.#patience;
    const { intervalMs, hungMs } = patience;
    let unanswered = 0;
    const answered = (): void => {
      unanswered = 0;
    };
    this.#watch ??= setInterval(() => {
      const { pid } = this.#child;
      if (judgeSilence(unanswered, patience) === 'hung' && pid !== undefined && !isDebugged(pid)) {
        this.#isHung = true;
        this.kill();
      }
      // A refusal is an answer, too; that there was none in time is not.
      if (unanswered === 0) this.#link.ask('ping', null, hungMs * 2).then(answered, answered);
      unanswered += 1;
    }, intervalMs);
  }

  #fail(reason: string): void {
    this.#failure ??= reason;
    this.#onChange?.();
  }
}
