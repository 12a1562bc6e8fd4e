// What the commands for a running HAProxy share: where its master is, and what is said when it is not there.
import { type Command, InvalidArgumentError } from 'commander';
import type { HaproxyProcesses } from '../front/master-socket.ts';
import { UnavailableError } from '../util/errors.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import { nonEmpty } from './config-options.ts';

/** Where the unit of Debian opens it. */
const MASTER_SOCKET = '/run/haproxy-master.sock';

export function addMasterFlag(command: Command): Command {
  return command.option('--master <socket>', 'the master socket of HAProxy', nonEmpty, MASTER_SOCKET);
}

/** The process that takes new clients. */
export function currentWorker({ workers }: HaproxyProcesses): number {
  const [pid] = workers;
  if (pid === undefined) throw new UnavailableError('HAProxy has a master and no worker: look at its log');
  return pid;
}

export function masterError(error: unknown): unknown {
  if (!(error instanceof UnavailableError)) return error;
  return new CliError(ExitCodes.unavailable, error.message, { cause: error });
}

export function positive(written: string): number {
  if (!/^[1-9]\d{0,6}$/.test(written)) throw new InvalidArgumentError('Expected a number above 0.');
  return Number(written);
}
