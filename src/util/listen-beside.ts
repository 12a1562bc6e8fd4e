// Listening at a UNIX socket whose file gets its name only when it is wanted, and then at once: whoever listens there already
// is replaced without a gap. Closing the server leaves the name alone, as libuv removes the one that it was bound to, so that
// a process which has been replaced does not take the socket of its successor away.
import { randomBytes } from 'node:crypto';
import { renameSync } from 'node:fs';
import type { ListenOptions, Server } from 'node:net';
import { dirname, join } from 'node:path';

/** Resolves when the server listens, to what gives the file its name. */
export async function listenBeside(
  server: Server,
  path: string,
  options: Omit<ListenOptions, 'path'> = {},
): Promise<() => void> {
  const beside = await listenUnnamed(server, path, options);
  return () => renameSync(beside, path);
}

/** Resolves when the server listens, to the file that is to be renamed to `path`, by whoever decides that. */
export async function listenUnnamed(
  server: Server,
  path: string,
  options: Omit<ListenOptions, 'path'> = {},
): Promise<string> {
  const beside = join(dirname(path), `.${process.pid}-${randomBytes(3).toString('hex')}`);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...options, path: beside }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return beside;
}
