// `holdfast haproxy reload`: HAProxy takes up its configuration anew, and the websockets of its old process are ended at a pace that
// the hosts bear, instead of all at once at hard-stop-after.
import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { globalSetting, haproxyTimeMs, parseHaproxyConfig } from '../doctor/read/haproxy-config.ts';
import { type HaproxyProcesses, MasterSocket } from '../front/master-socket.ts';
import { countSessions, type EndingProgress, endSessions } from '../front/old-sessions.ts';
import { ensureStateFile, forgetServerStates, saveServerStates } from '../front/server-states.ts';
import { messageOf, UnavailableError } from '../util/errors.ts';
import { isFields } from '../util/fields.ts';
import { pause } from '../util/pause.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import { type CliDeps, note } from './cli-deps.ts';
import { addMasterFlag, currentWorker, masterError, positive } from './haproxy-master.ts';
import { interruptible } from './interrupt.ts';
import { ProgressDisplay } from './progress.ts';
import { ageText } from './table.ts';

interface ReloadFlags {
  readonly master: string;
  readonly pace: number;
  readonly reload: boolean;
  readonly json?: true;
}

const run = promisify(execFile);
const RELOAD_DEADLINE_MS = 60_000;
const POLL_MS = 100;
const OTHERS_RELOAD_MS = 3_000;
const DEFAULT_PACE = 200;

export function addHaproxyReload(parent: Command, deps: CliDeps): void {
  addMasterFlag(
    parent
      .command('reload')
      .description('reload the HAProxy of this machine without a storm of clients that come back'),
  )
    .option('--pace <n>', 'connections of the old process to end each second', positive, DEFAULT_PACE)
    .option('--no-reload', 'only end what processes of before still have, after a reload by other means')
    .option('--json', 'print progress and result as JSON, one object a line')
    .addHelpText(
      'after',
      `
The configuration is checked first (haproxy -dW -c), as the running HAProxy was given it. Where it names a server-state-file,
drain, maintenance and weights of servers survive. Interrupted, the rest stays in the old process until its hard-stop-after;
the same command with --no-reload goes on.

Examples:
  $ holdfast haproxy reload
  $ holdfast haproxy reload --pace 50
  $ systemctl reload haproxy && holdfast haproxy reload --no-reload

Exit codes: 0 done, 1 HAProxy refused and goes on as before, 69 no HAProxy answers, 75 interrupted, 78 the configuration is wrong.`,
    )
    .action(async (flags: ReloadFlags) => {
      const master = new MasterSocket(flags.master);
      const display = new ProgressDisplay<EndingProgress>(
        deps,
        { isReport, text: progressText, step },
        flags,
      );
      await interruptible(async (signal) => {
        try {
          await reload(master, flags, deps, display, signal);
        } catch (error) {
          throw masterError(error);
        } finally {
          display.clear();
        }
      });
    });
}

async function reload(
  master: MasterSocket,
  { pace, reload: isAsked, json }: ReloadFlags,
  deps: CliDeps,
  display: ProgressDisplay<EndingProgress>,
  signal: AbortSignal,
): Promise<void> {
  const tell = (state: string, text: string, facts: object = {}): void => {
    if (json === true) deps.stdout.write(`${JSON.stringify({ state, ...facts })}\n`);
    else note(deps, text);
  };
  const before = await master.processes();
  const config = await runningConfig(before.master);
  if (isAsked) {
    await ensureState(config);
    await check(config);
    const { workers } = await reloadMaster(master, before, config);
    tell('reloaded', `reloaded: process ${workers.join(', ')} takes new clients`, { process: workers[0] });
  }

  const old = isAsked ? (await master.processes()).old : await oldProcesses(master);
  let total = 0;
  for (const pid of old) total += await countSessions(master, pid);
  const needsMs = (total / pace) * 1000;
  if (config.hardStopMs !== undefined && needsMs > config.hardStopMs) {
    note(
      deps,
      `${total} connections at ${pace} a second need ${ageText(needsMs)}: hard-stop-after of HAProxy ends all that are left ` +
        `after ${ageText(config.hardStopMs)}, at once. Take --pace ${Math.ceil((total / config.hardStopMs) * 1250)} or more`,
    );
  }
  let ended = 0;
  // Those of the first reload are cut first.
  for (const pid of old.toReversed()) {
    const ending = { clock: deps.clock, master, onProgress: (value: EndingProgress) => display.show(value) };
    ended += await endSessions(ending, pid, pace, signal);
  }
  if (signal.aborted) {
    display.clear();
    throw new CliError(
      ExitCodes.interrupted,
      `interrupted: ${ended} of ${total} connections were ended, the old process keeps the others until hard-stop-after; ` +
        '`holdfast haproxy reload --no-reload` goes on',
    );
  }
  display.finish(
    old.length === 0
      ? 'no process of before has connections'
      : `${ended} connections of before were ended, ${pace} a second at most`,
    { state: 'done', ended },
  );
}

/** A reload by other means, of just before, may not have begun: `systemctl reload` does not wait for it. */
async function oldProcesses(master: MasterSocket): Promise<readonly number[]> {
  for (let waitedMs = 0; waitedMs < OTHERS_RELOAD_MS; waitedMs += POLL_MS) {
    const { old } = await master.processes();
    if (old.length > 0) return old;
    await pause(POLL_MS);
  }
  return [];
}

/** How the running HAProxy was started, as far as a check needs it. */
interface RunningConfig {
  readonly program: string;
  readonly files: readonly string[];
  /** Of the master: configurations may refer to its variables. */
  readonly environment: Readonly<Record<string, string>>;
  readonly stateFile: string | undefined;
  readonly hardStopMs: number | undefined;
}

async function runningConfig(master: number): Promise<RunningConfig> {
  let words: readonly string[];
  let environment: Record<string, string>;
  try {
    words = (await readFile(`/proc/${master}/cmdline`, 'utf8')).split('\0');
    const variables = (await readFile(`/proc/${master}/environ`, 'utf8')).split('\0');
    // Its own would have the check believe that it is the master.
    const given = variables.filter((variable) => /^(?!HAPROXY_MWORKER)\w+=/.test(variable));
    environment = Object.fromEntries(
      given.map((variable) => [variable.split('=', 1)[0] ?? '', variable.slice(variable.indexOf('=') + 1)]),
    );
  } catch (error) {
    throw new UnavailableError(
      `process ${master}, the master of HAProxy, is not on this machine or not visible: run this where HAProxy runs, as root`,
      { cause: error },
    );
  }
  const [named = 'haproxy'] = words;
  const program = isAbsolute(named) ? named : await readlink(`/proc/${master}/exe`).catch(() => named);
  const directory = await readlink(`/proc/${master}/cwd`).catch(() => '/');
  const files = words.flatMap((word, at) => (words[at - 1] === '-f' ? [resolve(directory, word)] : []));
  let stateFile: string | undefined;
  let hardStopMs: number | undefined;
  for (const file of files) {
    // A directory of files is left to HAProxy.
    const text = await readFile(file, 'utf8').catch(() => '');
    const parsed = parseHaproxyConfig(text, file, environment);
    stateFile = globalSetting(parsed, 'server-state-file')?.words[1] ?? stateFile;
    const hardStop = globalSetting(parsed, 'hard-stop-after')?.words[1];
    if (hardStop !== undefined) hardStopMs = haproxyTimeMs(hardStop);
  }
  return { program, files, environment, stateFile, hardStopMs };
}

async function ensureState({ stateFile }: RunningConfig): Promise<void> {
  if (stateFile !== undefined) await ensureStateFile(stateFile);
}

async function check({ program, files, environment }: RunningConfig): Promise<void> {
  try {
    await run(program, ['-dW', '-c', ...files.flatMap((file) => ['-f', file])], {
      env: environment,
      timeout: RELOAD_DEADLINE_MS,
    });
  } catch (error) {
    const printed = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    // Nothing when it could not be started, or took too long.
    const said = printed === '' ? messageOf(error) : printed;
    throw new CliError(
      ExitCodes.config,
      `nothing was changed: HAProxy finds fault with ${files.join(', ')}\n${said}`,
      {
        cause: error,
      },
    );
  }
}

/** Resolves when new workers have taken over. */
async function reloadMaster(
  master: MasterSocket,
  before: HaproxyProcesses,
  { stateFile }: RunningConfig,
): Promise<HaproxyProcesses> {
  if (stateFile !== undefined) await saveServerStates(master, currentWorker(before), stateFile);
  try {
    // The answer breaks off: the master becomes a new program.
    await master.ask('reload').catch(() => '');
    for (let waitedMs = 0; waitedMs < RELOAD_DEADLINE_MS; waitedMs += POLL_MS) {
      await pause(POLL_MS);
      const now = await master.processes().catch(() => undefined);
      if (now === undefined || now.reloads <= before.reloads) continue;
      if (now.failed > 0) {
        throw new CliError(
          ExitCodes.failure,
          'HAProxy could not start with its new configuration, and goes on with the old one: its log says why (journalctl -u haproxy)',
        );
      }
      if (now.workers.some((pid) => !before.workers.includes(pid))) return now;
    }
    throw new UnavailableError(
      `HAProxy does not answer at ${master.path} a minute after the reload: look at its log`,
    );
  } finally {
    if (stateFile !== undefined) await forgetServerStates(stateFile);
  }
}

function progressText({ process: pid, ended, left, leftMs }: EndingProgress): string {
  return `process ${pid}: ${ended} connections ended, ${left} to go, ${ageText(leftMs)} left`;
}

/** Where no line can be rewritten: a line for every tenth. */
function step({ process: pid, ended, left }: EndingProgress): string {
  return `${pid} ${Math.floor((ended / (ended + left)) * 10)}`;
}

function isReport(value: unknown): value is EndingProgress {
  return isFields(value) && 'ended' in value && 'leftMs' in value;
}
