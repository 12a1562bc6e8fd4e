// A program that a test runs: its output is kept, its end is a promise, and nothing of it outlives the test.
import { type ChildProcess, spawn } from 'node:child_process';
import { deferred } from './deferred.ts';
import { nodeOptions } from './program.ts';
import type { Scope } from './scope.ts';
import { type Maybe, waitFor, within } from './wait-for.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export class Child {
  readonly #process: ChildProcess;
  readonly exited: Promise<Exit>;
  /** stdout and stderr as they came. */
  output = '';
  exit: Exit | undefined;

  constructor(scope: Scope, command: string, args: readonly string[], options: ChildOptions = {}) {
    // tap adds to the options of each Node that is spawned here. Not to those of this one, which becomes the program.
    const given = `NODE_OPTIONS=${nodeOptions(options.env?.['NODE_OPTIONS'])}`;
    // A process group of its own: what it forked can be found, and ended, by its number.
    this.#process = spawn('/usr/bin/env', [given, command, ...args], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
        ...options.env,
      },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const keep = (text: string): void => {
      this.output += text;
    };
    this.#process.stdout?.setEncoding('utf8').on('data', keep);
    this.#process.stderr?.setEncoding('utf8').on('data', keep);
    const { promise, resolve } = deferred<Exit>();
    this.exited = promise;
    const end = (exit: Exit): void => {
      this.exit ??= exit;
      resolve(this.exit);
    };
    this.#process.on('error', (error) => {
      keep(`${error.message}\n`);
      end({ code: null, signal: null });
    });
    // `close` and not `exit`: then the output is complete.
    this.#process.on('close', (code, signal) => {
      end({ code, signal });
    });
    scope.teardown(() => this.#destroy());
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw new Error(`it never started:\n${this.output}`);
    return this.#process.pid;
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Signals the first process only, and waits for its end. */
  async stop(name: NodeJS.Signals = 'SIGTERM', deadlineMs?: number): Promise<Exit> {
    this.signal(name);
    try {
      return await within(`the end of process ${this.pid} after ${name}`, this.exited, deadlineMs);
    } catch (error) {
      throw new Error(`${String(error)}\n${this.output}`, { cause: error });
    }
  }

  /** Whether any process of its group is left. */
  get groupIsAlive(): boolean {
    try {
      process.kill(-this.pid, 0);
      return true;
    } catch {
      return false;
    }
  }

  /** Waits for what the probe finds, and gives up at once when the program ends. */
  waitUntil<T>(what: string, probe: () => Maybe<T> | Promise<Maybe<T>>, deadlineMs?: number): Promise<T> {
    return waitFor<T>(
      what,
      () => {
        if (this.exit !== undefined) {
          throw new Error(`ended (${JSON.stringify(this.exit)}) before ${what}:\n${this.output}`);
        }
        return probe();
      },
      deadlineMs,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.output}`, { cause: error });
    });
  }

  async #destroy(): Promise<void> {
    if (this.#process.pid === undefined) return;
    try {
      process.kill(-this.#process.pid, 'SIGKILL');
    } catch {
      // All gone already, which is the ordinary case.
    }
    await this.exited;
  }
}
