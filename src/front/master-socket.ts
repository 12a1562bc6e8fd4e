// The master socket of an HAProxy that runs with -W and -S: which processes there are, and the way to each of them, those of
// before a reload included.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { UnavailableError, messageOf, hasCode } from '../util/errors.ts';
import { pause } from '../util/pause.ts';

/** A process of HAProxy answers at once, or hangs. */
const SILENCE_MS = 10_000;
const ATTEMPTS = 30;
const BETWEEN_ATTEMPTS_MS = 100;

export interface HaproxyProcesses {
  readonly master: number;
  /** How often the master has loaded its configuration anew, and how many of the latest attempts failed. */
  readonly reloads: number;
  readonly failed: number;
  readonly workers: readonly number[];
  /** Of before the latest reloads: they keep the connections that they had. Oldest last. */
  readonly old: readonly number[];
}

export class MasterSocket {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Everything that one command is answered with. Rejects with UnavailableError when nobody is there. */
  async ask(command: string): Promise<string> {
    const lines: string[] = [];
    for await (const line of this.lines(command)) lines.push(line);
    return lines.join('\n').trim();
  }

  /** The same line by line, for answers that may be large. */
  async *lines(command: string): AsyncGenerator<string> {
    const socket = await this.#connected();
    socket.setTimeout(SILENCE_MS, () => socket.destroy(new Error('it does not answer')));
    socket.end(`${command}\n`);
    try {
      for await (const line of createInterface({ input: socket, crlfDelay: Infinity })) yield line;
    } catch (error) {
      throw this.#unavailable(error);
    } finally {
      socket.destroy();
    }
  }

  /** Waits while the master becomes a new program, which breaks answers off. */
  async processes(): Promise<HaproxyProcesses> {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.ask('show proc').catch((error: unknown) => {
        if (!isReset(error)) throw error;
        return '';
      });
      const processes = parseProcesses(answer);
      if (processes !== undefined) return processes;
      if (answer !== '' || attempt === ATTEMPTS) {
        throw new UnavailableError(
          `${this.path} is not the master socket of an HAProxy: it answers \`show proc\` with ${answer.split('\n')[0] ?? ''}`,
        );
      }
      await pause(BETWEEN_ATTEMPTS_MS);
    }
  }

  /** Refused for a moment means that the master is becoming a new program, as at its start and at every reload. */
  async #connected(): Promise<Socket> {
    for (let attempt = 1; ; attempt += 1) {
      const socket = connect(this.path);
      try {
        await once(socket, 'connect');
        return socket;
      } catch (error) {
        const isRefused = hasCode(error, 'ECONNREFUSED');
        if (!isRefused || attempt === ATTEMPTS) throw this.#unavailable(error);
      }
      await pause(BETWEEN_ATTEMPTS_MS);
    }
  }

  #unavailable(error: unknown): UnavailableError {
    const reason = messageOf(error);
    return new UnavailableError(
      `no HAProxy answers at ${this.path} (${reason}): it opens that with -W -S FILE, as the unit of Debian does; --master names another`,
      { cause: error },
    );
  }

  /** A command for one process. Undefined when that process has ended. */
  async askProcess(pid: number, ...commands: readonly string[]): Promise<string | undefined> {
    // The prefix counts up to the next semicolon.
    const answer = await this.ask(commands.map((command) => `@!${pid} ${command}`).join('; '));
    return isGone(answer) ? undefined : answer;
  }
}

/** Undefined when it is something else. */
export function parseProcesses(answer: string): HaproxyProcesses | undefined {
  const master = /^(\d+)\s+master\s+(\d+)(?:\s+\[failed: (\d+)\])?/m.exec(answer);
  if (master === null) return undefined;
  const [workers = '', old = ''] = answer.split(/^# old workers$/m);
  return {
    master: Number(master[1]),
    reloads: Number(master[2]),
    failed: Number(master[3] ?? 0),
    workers: workerPids(workers),
    old: workerPids(old),
  };
}

function workerPids(text: string): number[] {
  return [...text.matchAll(/^(\d+)\s+worker\s/gm)].map(([, pid]) => Number(pid));
}

function isReset(error: unknown): boolean {
  return error instanceof UnavailableError && hasCode(error.cause, 'ECONNRESET');
}

/** What the master says of a process that it does not have any more. */
function isGone(answer: string): boolean {
  return answer.includes("Can't find the target");
}
