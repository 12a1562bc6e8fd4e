// Where the control socket is when the configuration does not say: the gateway and its commands must agree.
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Config } from './schema.ts';

export function controlSocketPath(
  config: Pick<Config, 'control' | 'http_server'>,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  if (config.control.socket !== '') return config.control.socket;
  const runtimeDirectory = environment['XDG_RUNTIME_DIR'];
  // The directory belongs to one user (mode 0700), because anybody may create files in the temporary directory.
  const directory =
    runtimeDirectory === undefined || runtimeDirectory === ''
      ? join(tmpdir(), `holdfast-${userInfo().uid}`)
      : join(runtimeDirectory, 'holdfast');
  return join(directory, `holdfast-${config.http_server.port}.sock`);
}
