// A process of storm clients as the benchmark sees it.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { DialectName } from './dialects.ts';
import type { HistogramState } from './histogram.ts';

const PROGRAM = fileURLToPath(new URL('../storm-generator.js', import.meta.url));

export type StormOrder =
  | {
      readonly op: 'open';
      readonly port: number;
      readonly certificate: string;
      readonly localAddress: string;
      readonly count: number;
      readonly channels: number;
    }
  | { readonly op: 'cut' };

export interface StormDone {
  readonly type: 'done';
  /** From the cut until each was back, in µs. */
  readonly back: HistogramState;
  readonly failures: readonly (readonly [why: string, count: number])[];
}

export type StormReply =
  | StormDone
  | { readonly type: 'progress'; readonly done: number }
  | { readonly type: 'failed'; readonly reason: string };

export class StormProcess {
  readonly #child: ChildProcess;
  #onReply: ((reply: StormDone | Error) => void) | undefined;

  constructor(dialect: DialectName, onProgress: (done: number) => void) {
    this.#child = fork(PROGRAM, [dialect], { serialization: 'advanced' });
    this.#child.on('message', (reply: StormReply) => {
      if (reply.type === 'progress') onProgress(reply.done);
      else this.#onReply?.(reply.type === 'done' ? reply : new Error(reply.reason));
    });
    this.#child.once('exit', (code, signal) => {
      this.#onReply?.(new Error(`storm clients ended (${signal ?? code})`));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async ask(order: StormOrder): Promise<StormDone> {
    const reply = await new Promise<StormDone | Error>((resolve) => {
      this.#onReply = resolve;
      this.#child.send(order, (error) => {
        if (error !== null) resolve(error);
      });
    });
    if (reply instanceof Error) throw reply;
    return reply;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
