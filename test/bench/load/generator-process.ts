// A generator process as its owner sees it.
import { type ChildProcess, fork } from 'node:child_process';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Order, Reply, Results } from './orders.ts';

const PROGRAM = fileURLToPath(new URL('../generator.js', import.meta.url));
/** Where permitted, so that light processes are woken when they should be although all cores are busy. */
const LIGHT_NICE = -5;

interface Waiter {
  resolve(result: Results[Order['op']]): void;
  reject(error: Error): void;
}

export interface GeneratorDeps {
  readonly name: string;
  readonly firstPublisher: number;
  /** A process that needs little CPU and must be punctual. */
  readonly light: boolean;
  readonly onProgress: (text: string) => void;
}

export class GeneratorProcess {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #waiters = new Map<number, Waiter>();
  #nextId = 1;

  constructor(deps: GeneratorDeps) {
    this.#name = deps.name;
    this.#child = fork(PROGRAM, [String(deps.firstPublisher)], { serialization: 'advanced' });
    this.#child.on('message', (reply: Reply) => {
      if ('progress' in reply) deps.onProgress(`${deps.name}: ${reply.progress}`);
      else this.#onReply(reply);
    });
    this.#child.once('exit', (code, signal) => {
      this.#failAll(new Error(`generator ${deps.name} ended (${signal ?? code})`));
    });
    if (deps.light) {
      try {
        os.setPriority(this.pid, LIGHT_NICE);
      } catch {
        // Not permitted: latencies then hold the waits of the generator too.
      }
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async ask<O extends Order>(order: O): Promise<Results[O['op']]> {
    const id = this.#nextId++;
    const result = await new Promise<Results[Order['op']]>((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject });
      this.#child.send({ id, order }, (error) => {
        if (error !== null) this.#failAll(error);
      });
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the answer to an order is of its kind; the generator's types say so
    return result as Results[O['op']];
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #onReply(reply: Exclude<Reply, { progress: string }>): void {
    const waiter = this.#waiters.get(reply.id);
    this.#waiters.delete(reply.id);
    if ('error' in reply) waiter?.reject(new Error(`${this.#name}: ${reply.error}`));
    else waiter?.resolve(reply.result);
  }

  #failAll(error: Error): void {
    for (const waiter of this.#waiters.values()) waiter.reject(error);
    this.#waiters.clear();
  }
}
