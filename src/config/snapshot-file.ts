// Where the embedded engine keeps its history over a planned restart, when the configuration does not say.
import { join } from 'node:path';
import type { Config } from './schema.ts';

/** Undefined: nowhere. */
export function snapshotFile(
  config: Pick<Config, 'engine' | 'http_server'>,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const { snapshot_file: configured } = config.engine.memory;
  if (configured !== '') return configured;
  // Of systemd's StateDirectory=; several are separated by colons.
  const [directory = ''] = (environment['STATE_DIRECTORY'] ?? '').split(':');
  return directory === '' ? undefined : join(directory, `history-${config.http_server.port}.snapshot`);
}
