// The way from a command to the running gateway of this host: its control socket.
import { type ControlClient, connectControl } from '../cluster/control-client.ts';
import { controlSocketPath } from '../config/control-socket.ts';
import { HoldfastError, UnavailableError } from '../util/errors.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import type { CliDeps } from './cli-deps.ts';
import { configFrom, type ConfigFlags } from './config-options.ts';

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
    throw new CliError(
      ExitCodes.unavailable,
      `no gateway answers at ${path}: start one with \`holdfast serve\`; ` +
        'if it runs, give this command the same --config and user',
      { cause: error },
    );
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
