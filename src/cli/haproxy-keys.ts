// `holdfast haproxy rotate-keys`: a new TLS ticket key in the file and in the running HAProxy, so that sessions resume over reloads and
// at every load balancer, and yet no key is used for long.
import type { Command } from 'commander';
import { MasterSocket } from '../front/master-socket.ts';
import { readTicketKeys, rotated, teachTicketKeys, writeTicketKeys } from '../front/ticket-keys.ts';
import { ConfigError, HoldfastError, UnavailableError, messageOf } from '../util/errors.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import { type CliDeps, printJson } from './cli-deps.ts';
import { addMasterFlag, currentWorker } from './haproxy-master.ts';

interface KeyFlags {
  readonly master: string;
  readonly keys: string;
  readonly from?: string;
  readonly live: boolean;
  readonly json?: true;
}

const KEY_FILE = '/etc/haproxy/ticket.keys';

export function addHaproxyKeys(parent: Command, deps: CliDeps): void {
  addMasterFlag(
    parent
      .command('rotate-keys')
      .description('put a new TLS ticket key into the file and the running HAProxy'),
  )
    .option('--keys <file>', 'the file that `tls-ticket-keys` names; made when it is not there', KEY_FILE)
    .option('--from <file>', 'take the keys of this file, of another load balancer, instead of a new one')
    .option('--no-live', 'only the file: HAProxy does not run, or will be reloaded')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
The file holds three keys: the last one is new, the one before it encrypts, all of them decrypt. A key is therefore known everywhere
before it is used, if the file goes to all load balancers before it is rotated again. Once a day is usual.

Examples:
  $ holdfast haproxy rotate-keys
  $ scp -p /etc/haproxy/ticket.keys lb2:/run/ticket.keys
  lb2 $ holdfast haproxy rotate-keys --from /run/ticket.keys

Exit codes: 0 done, 69 the file is new and HAProxy was not told, 78 a file is wrong.`,
    )
    .action(async (flags: KeyFlags) => {
      const keys = await nextKeys(flags);
      await writeTicketKeys(flags.keys, keys).catch((error: unknown) => {
        throw new ConfigError(`cannot write ${flags.keys}: ${messageOf(error)}`, { cause: error });
      });
      const taught = flags.live ? await teach(flags, keys) : null;
      if (flags.json === true) printJson(deps, { file: flags.keys, keys: keys.length, taught });
      else deps.stdout.write(`${flags.keys}: ${resultText(taught)}\n`);
    });
}

async function nextKeys({ keys: file, from }: KeyFlags): Promise<readonly string[]> {
  try {
    if (from === undefined) return rotated((await readTicketKeys(file)) ?? []);
    const taken = await readTicketKeys(from);
    if (taken === undefined) throw new ConfigError(`${from} is not there`);
    return taken;
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw new ConfigError(`cannot read ${from ?? file}: ${messageOf(error)}`, { cause: error });
  }
}

async function teach({ master: path, keys: file }: KeyFlags, keys: readonly string[]): Promise<number> {
  const master = new MasterSocket(path);
  try {
    return await teachTicketKeys(master, currentWorker(await master.processes()), file, keys);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    throw new CliError(
      ExitCodes.unavailable,
      `${file} has its new key, but HAProxy does not know it: ${error.message}. --no-live for the file alone`,
      { cause: error },
    );
  }
}

function resultText(taught: number | null): string {
  if (taught === null) return 'a new key in the file; HAProxy reads it at its next start or reload';
  return taught === 0 ? 'HAProxy knows all its keys' : 'a new key, in the file and in the running HAProxy';
}
