// Where a deployment stands, in a file that survives an interruption; and the lock that keeps a second one away.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { ConfigError, UnavailableError, hasCode } from '../util/errors.ts';
import { processLives } from '../util/process-lives.ts';
import { BACK_STEPS, COLOURS, type DeployRecord, FORWARD_STEPS } from './plan.ts';

const recordSchema = z.object({
  version: z.literal(1),
  from: z.enum(COLOURS).nullable(),
  to: z.enum(COLOURS),
  step: z.enum([...FORWARD_STEPS, ...BACK_STEPS, 'deployed', 'undone']),
  failure: z.string().nullable(),
  startedAtMs: z.number(),
});

export class Journal {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  read(): DeployRecord | undefined {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw new ConfigError(`cannot read ${this.#path}: ${String(error)}`, { cause: error });
    }
    const parsed = recordSchema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new ConfigError(`${this.#path} is not the state of a deployment: remove it, and say --to`);
  }

  write(record: DeployRecord): void {
    this.#attempt(() => {
      mkdirSync(dirname(this.#path), { recursive: true });
      // Whole or not at all: the next run relies on it.
      writeFileSync(`${this.#path}.new`, `${JSON.stringify(record)}\n`);
      renameSync(`${this.#path}.new`, this.#path);
    });
  }

  /** Fails while another deployment runs; one that was killed holds nothing. Returns how to let go. */
  lock(): () => void {
    const path = `${this.#path}.lock`;
    this.#attempt(() => mkdirSync(dirname(path), { recursive: true }));
    for (const isLast of [false, true]) {
      try {
        writeFileSync(path, `${process.pid}\n`, { flag: 'wx' });
        return () => rmSync(path, { force: true });
      } catch (error) {
        if (!hasCode(error, 'EEXIST'))
          throw new ConfigError(`cannot write ${path}: ${String(error)}`, { cause: error });
        const owner = ownerOf(path);
        if (isLast || (owner !== undefined && processLives(owner))) {
          throw new UnavailableError(`another deployment runs (process ${owner ?? 'unknown'}, ${path})`, {
            cause: error,
          });
        }
        rmSync(path, { force: true });
      }
    }
    throw new UnavailableError(`${path} is taken`);
  }

  #attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      throw new ConfigError(`cannot write ${this.#path}: ${String(error)} (another place: --state FILE)`, {
        cause: error,
      });
    }
  }
}

function ownerOf(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
