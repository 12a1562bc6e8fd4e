// A server under test as a process of its own: started, found ready, watched, stopped.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { processTree } from '../measure/processes.ts';

const START_PATIENCE_MS = 60_000;
const STOP_PATIENCE_MS = 6000;
const OUTPUT_KEPT_BYTES = 4000;

/** What a measurement needs of it, be it one program or several hosts. */
export interface ServerUnderTest {
  readonly host: string;
  /** Of the first host. */
  readonly port: number;
  /** Of every host. */
  readonly ports: readonly number[];
  /** Its processes, but those of a Redis. */
  readonly pids: readonly number[];
  readonly redisPids: readonly number[];
  readonly output: string;
  /** Of Holdfast. */
  readonly controlSocket?: string | undefined;
  /** Throws when a process died or came anew. */
  assertUnchanged(): void;
  stop(): Promise<void>;
  kill(): void;
}

export class RunningServer implements ServerUnderTest {
  readonly host = '127.0.0.1';
  readonly redisPids: readonly number[] = [];
  controlSocket: string | undefined;
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #cleanUp: () => void;
  #port = 0;
  #output = '';
  #pids: readonly number[] = [];

  constructor(
    name: string,
    args: readonly string[],
    cleanUp: () => void = () => undefined,
    program: string = process.execPath,
  ) {
    this.#name = name;
    this.#cleanUp = cleanUp;
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    // Ends it, with this as its output.
    this.#child.once('error', (error) => {
      this.#output += `${error.message}\n`;
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_KEPT_BYTES);
      });
    }
  }

  get port(): number {
    return this.#port;
  }

  get ports(): readonly number[] {
    return [this.#port];
  }

  /** All processes of the server as they were when it was ready. */
  get pids(): readonly number[] {
    return this.#pids;
  }

  get output(): string {
    return this.#output;
  }

  /** Waits until `readyPort` knows the port and the server has all its processes. */
  async ready(processes: number, readyPort: (output: string) => Promise<number | undefined>): Promise<void> {
    const deadline = performance.now() + START_PATIENCE_MS;
    for (;;) {
      if (this.#child.exitCode !== null || this.#child.pid === undefined)
        throw this.#failure(`ended with ${this.#child.exitCode ?? 'an error'} at start`);
      const port = await readyPort(this.#output);
      this.#pids = processTree(this.#child.pid ?? 0);
      if (port !== undefined && this.#pids.length >= processes) {
        this.#port = port;
        return;
      }
      if (performance.now() > deadline) throw this.#failure('was not ready in time');
      await sleep(20);
    }
  }

  /** A worker that died and came back would make every figure wrong. */
  assertUnchanged(): void {
    const now = processTree(this.#child.pid ?? 0);
    if (now.join() !== this.#pids.join()) {
      throw this.#failure(`changed its processes during the run: ${this.#pids.join()} became ${now.join()}`);
    }
  }

  async stop(): Promise<void> {
    const tree = processTree(this.#child.pid ?? 0);
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = new Promise<void>((resolve) => {
        this.#child.once('exit', () => {
          resolve();
        });
      });
      this.#child.kill('SIGTERM');
      await Promise.race([ended, sleep(STOP_PATIENCE_MS, undefined, { ref: false })]);
    }
    this.#killAll(tree);
  }

  /** Without waiting, for the end of the benchmark itself. */
  kill(): void {
    this.#killAll(processTree(this.#child.pid ?? 0));
  }

  #killAll(pids: readonly number[]): void {
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone already, as it should be.
      }
    }
    this.#cleanUp();
  }

  #failure(what: string): Error {
    return new Error(`${this.#name} ${what}\n${this.#output}`);
  }
}
