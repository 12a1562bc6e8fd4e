// A directory that is gone after the test.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scope } from './scope.ts';

/** A short name: the path of a UNIX socket in it may have 107 bytes. */
export async function tempDir(scope: Scope): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'hf-'));
  scope.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}
