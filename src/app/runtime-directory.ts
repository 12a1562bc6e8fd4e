// The primary's directory for sockets that only its own processes use, and what killed primaries left of theirs.
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../observe/logger.ts';
import { systemClock } from '../util/clock.ts';
import { processLives } from '../util/process-lives.ts';

/** The process id in it tells whose it is; mkdtemp adds six characters. */
const NAME = /^holdfast-(\d+)-\w{6}$/;

/** A process that cannot be seen may live in another container: until then its socket, which would tell, listens. */
const MIN_AGE_MS = 10_000;

/** Mode 0700: nobody else reaches the sockets in it. */
function makeRuntimeDirectory(): string {
  return mkdtempSync(join(tmpdir(), `holdfast-${process.pid}-`));
}

/** Of the embedded engine: `inherited` from the primary that this one is to replace. Empty with another engine. */
export function enginePath({ engine }: Config, inherited: string | undefined): string {
  if (engine.type !== 'memory') return '';
  return inherited ?? join(makeRuntimeDirectory(), 'engine.sock');
}

/** Removes the directories of this user's primaries that were killed. */
export async function cleanUpRuntimeDirectories(logger: Logger): Promise<void> {
  try {
    const directories = await removeDeadDirectories(systemClock.wallMs());
    if (directories.length > 0) logger.info({ directories }, 'removed what killed primaries left');
  } catch (error) {
    logger.warn({ err: error }, 'could not remove what killed primaries left');
  }
}

/** Resolves to those that are gone. */
async function removeDeadDirectories(nowWallMs: number): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(NAME.exec(name)?.[1]);
    if (Number.isNaN(pid)) continue;
    const path = join(tmpdir(), name);
    if (!isOldAndOurs(path, nowWallMs) || processLives(pid) || (await isServed(path))) continue;
    rmSync(path, { recursive: true, force: true });
    removed.push(path);
  }
  return removed;
}

function isOldAndOurs(path: string, nowWallMs: number): boolean {
  // Not stat: a link would lead elsewhere.
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return (
    stat !== undefined &&
    stat.isDirectory() &&
    stat.uid === process.getuid?.() &&
    nowWallMs - stat.mtimeMs >= MIN_AGE_MS
  );
}

/** Somebody still listens at one of its sockets. */
async function isServed(directory: string): Promise<boolean> {
  for (const name of readdirSync(directory)) {
    const answers = await new Promise<boolean>((resolve) => {
      const probe = connect(join(directory, name));
      probe.once('connect', () => {
        probe.destroy();
        resolve(true);
      });
      probe.once('error', (error) => resolve('code' in error && error.code !== 'ECONNREFUSED'));
    });
    if (answers) return true;
  }
  return false;
}
