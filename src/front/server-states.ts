// What HAProxy remembers of its servers over a reload: drain, maintenance, weights and health, by way of the file that
// `server-state-file` names. It holds them only while a reload is under way: a later start would take up what is long past.
import { rename, stat, writeFile } from 'node:fs/promises';
import { UnavailableError } from '../util/errors.ts';
import type { MasterSocket } from './master-socket.ts';

/** Its version and no servers: valid without a warning. */
const EMPTY = '1\n';

/** There must be a file: HAProxy warns of a missing one. */
export async function ensureStateFile(path: string): Promise<void> {
  if ((await stat(path).catch(() => undefined)) === undefined) await replace(path, EMPTY);
}

export async function saveServerStates(master: MasterSocket, pid: number, path: string): Promise<void> {
  const states = await master.askProcess(pid, 'show servers state');
  if (states === undefined || !/^\d+\n# be_id /.test(states)) {
    throw new UnavailableError(
      `HAProxy does not tell the states of its servers: ${states ?? 'it has ended'}`,
    );
  }
  await replace(path, `${states}\n`);
}

export async function forgetServerStates(path: string): Promise<void> {
  await replace(path, EMPTY);
}

async function replace(path: string, text: string): Promise<void> {
  const beside = `${path}.${process.pid}.new`;
  await writeFile(beside, text, { mode: 0o644 });
  await rename(beside, path);
}
