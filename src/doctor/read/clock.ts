// Whether the clock of this machine follows others.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { FactValues } from '../facts.ts';

const run = promisify(execFile);
const PATIENCE_MS = 3_000;

/** Asks systemd, which knows it from the kernel, whichever program keeps the time. */
export async function clock(environment: NodeJS.ProcessEnv): Promise<FactValues['clock']> {
  let answer: string;
  try {
    const { stdout } = await run('timedatectl', ['show', '--property=NTPSynchronized', '--value'], {
      env: { ...environment },
      timeout: PATIENCE_MS,
    });
    answer = stdout.trim();
  } catch {
    throw new Error('timedatectl does not say whether the clock is synchronised');
  }
  return { synchronised: answer === 'yes' };
}
