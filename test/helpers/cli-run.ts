// Runs a command of the program in this process, with what it printed and how it ended.
import { runCli } from '../../src/cli/program.ts';
import type { CliDeps } from '../../src/cli/cli-deps.ts';
import { systemClock } from '../../src/util/clock.ts';
import { MAIN } from './program.ts';

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface CliRunOptions extends Partial<CliDeps> {
  readonly isTTY?: boolean;
}

export async function cliRun(args: readonly string[], options: CliRunOptions = {}): Promise<CliRun> {
  let out = '';
  let err = '';
  const { isTTY = false, ...deps } = options;
  const code = await runCli(args, {
    environment: {},
    stdout: { isTTY, write: (text) => (out += text) },
    stderr: { isTTY, write: (text) => (err += text) },
    clock: systemClock,
    version: '1.2.3',
    program: MAIN,
    readText: () => Promise.resolve(''),
    ask: undefined,
    serve: () => Promise.resolve(),
    ...deps,
  });
  return { code, out, err };
}
