// The way from a command to the running gateway of this host: its control socket.
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ControlClient, connectControl } from '../cluster/control/control-client.ts';
import { controlSocketPath } from '../config/control-socket.ts';
import { hasCode, HoldfastError, UnavailableError } from '../util/errors.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import type { CliDeps } from './cli-deps.ts';
import { configFrom, type ConfigFlags } from './config-options.ts';

/** For the help of commands that speak with the gateway. */
export const CONTROL_EXIT_CODES =
  '\n\nExit codes: 0 done, 1 refused, failed or stopped, 69 no gateway answers, 78 wrong configuration.';

/** Where the shipped units have their control sockets. */
const UNIT_DIRECTORIES = ['holdfast', 'holdfast-blue', 'holdfast-green'];

/** Runs with a connection to the gateway, and closes it. */
export async function withControl(
  flags: ConfigFlags,
  deps: CliDeps,
  run: (control: ControlClient) => Promise<void>,
): Promise<void> {
  const path = controlSocketPath(await configFrom(flags, deps), deps.environment);
  let control: ControlClient;
  try {
    control = await connectControl(path);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    throw new CliError(ExitCodes.unavailable, absenceText(path, error.cause), { cause: error });
  }
  try {
    await run(control);
  } catch (error) {
    if (error instanceof UnavailableError)
      throw new CliError(ExitCodes.unavailable, error.message, { cause: error });
    if (error instanceof HoldfastError && !(error instanceof CliError)) {
      throw new CliError(ExitCodes.failure, `the gateway refuses: ${error.message}`, { cause: error });
    }
    throw error;
  } finally {
    control.close();
  }
}

function absenceText(path: string, cause: unknown): string {
  if (hasCode(cause, 'EACCES') || hasCode(cause, 'EPERM'))
    return `the control socket ${path} belongs to another user: run this as the user of the gateway, or as root`;
  const others = [...neighbours(path), ...unitSockets().filter((socket) => socket !== path)];
  const elsewhere =
    others.length === 0 ? '' : `, or a socket that is there: HOLDFAST_CONTROL_SOCKET=${others.join(' or ')}`;
  return (
    `no gateway answers at ${path}: start one with \`holdfast serve\`; ` +
    `if it runs, give this command the same --config and user${elsewhere}`
  );
}

/** Of gateways with another port, where this one would be by default. */
function neighbours(path: string): readonly string[] {
  const directory = dirname(path);
  try {
    const names = readdirSync(directory).filter((name) => /^holdfast-\d+\.sock$/.test(name));
    return names.map((name) => join(directory, name)).filter((socket) => socket !== path);
  } catch {
    return [];
  }
}

/** Of units that run here: systemd makes the directory, which this user may not be allowed to look into. */
export function unitSockets(root = '/run'): readonly string[] {
  return UNIT_DIRECTORIES.map((name) => join(root, name))
    .filter((directory) => existsSync(directory))
    .map((directory) => join(directory, 'control.sock'));
}
