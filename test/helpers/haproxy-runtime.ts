// What a real HAProxy knows of its servers: a runtime socket in a configuration that has none, and what is asked there.
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Scope } from './scope.ts';
import { tempDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

/** FDRAIN in HAProxy's administrative state. */
const DRAINED = 8;

export interface RuntimeServer {
  readonly status: string;
  readonly changedS: number;
  readonly weight: number;
  readonly sessions: number;
}

export class HaproxyRuntime {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /** Writes the socket into the file, which HAProxy has not read yet. */
  static async in(scope: Scope, configFile: string): Promise<HaproxyRuntime> {
    const socket = join(await tempDir(scope), 'admin.sock');
    const written = await readFile(configFile, 'utf8');
    await writeFile(
      configFile,
      written.replace('global\n', `global\n    stats socket ${socket} level admin\n`),
    );
    return new HaproxyRuntime(socket);
  }

  /** HAProxy has opened this last when it starts. */
  async command(line: string): Promise<string> {
    await waitFor('the runtime socket', () => existsSync(this.#socket));
    const connection = connect(this.#socket);
    connection.end(`${line}\n`);
    return text(connection);
  }

  async server(name: string): Promise<RuntimeServer> {
    const [names = '', ...rows] = (await this.command('show stat')).split('\n');
    const row = rows.find((each) => each.startsWith(`holdfast,${name},`))?.split(',') ?? [];
    const field = (field: string): string => row[names.replace('# ', '').split(',').indexOf(field)] ?? '';
    return {
      status: field('status'),
      changedS: Number(field('lastchg')),
      weight: Number(field('weight')),
      sessions: Number(field('scur')),
    };
  }

  async isDrained(name: string): Promise<boolean> {
    const row = (await this.command('show servers state holdfast'))
      .split('\n')
      .find((each) => each.includes(` ${name} `));
    return (Number(row?.split(' ')[6]) & DRAINED) !== 0;
  }
}
