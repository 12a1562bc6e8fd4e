// Rules about the systemd unit of the gateway.
import { formatDuration } from '../../config/duration.ts';
import { fault, fine, type Rule, rule } from '../finding.ts';
import { isYes, unitSetting, unitTimeMs } from '../read/unit-file.ts';

/** systemd's DefaultTimeoutStopSec. */
const DEFAULT_STOP_MS = 90_000;
/** Between the end of the drain and the end of the process: goodbyes, webhooks that wait, snapshot of the history. */
const STOP_RESERVE_MS = 15_000;
const LEAST_WATCHDOG_MS = 10_000;
/** Node's own threads in each process, generously. */
const TASKS_PER_PROCESS = 16;

const stopTimeout = rule('stop-timeout', ['unit', 'config'], ({ unit, config }) => {
  const drainMs = config.shutdown.timeout;
  const written = unitSetting(unit, 'TimeoutStopSec') ?? unitSetting(unit, 'TimeoutSec');
  const stopMs = written === undefined ? DEFAULT_STOP_MS : unitTimeMs(written);
  if (stopMs === undefined) return fine(`TimeoutStopSec=${written ?? ''} is not understood`);
  const shown = stopMs === Infinity ? 'infinity' : formatDuration(stopMs);
  const what = `TimeoutStopSec ${shown}${written === undefined ? ' (by default)' : ''}, shutdown.timeout ${formatDuration(drainMs)}`;
  if (stopMs >= drainMs + STOP_RESERVE_MS) return fine(what);
  return fault(stopMs <= drainMs ? 'critical' : 'warning', what, {
    why: 'systemd kills the gateway in the middle of its drain: those who are left are cut, history is lost, the unit fails',
    change: `TimeoutStopSec=${Math.ceil((drainMs + STOP_RESERVE_MS) / 1000)} under [Service] of ${unit.file}`,
  });
});

const killMode = rule('kill-mode', ['unit'], ({ unit }) => {
  const mode = unitSetting(unit, 'KillMode') ?? 'control-group';
  if (mode === 'mixed') return fine('KillMode=mixed');
  return fault(mode === 'control-group' ? 'warning' : 'critical', `KillMode=${mode}`, {
    why:
      mode === 'control-group'
        ? 'workers get the stop signal at the same moment as the primary, which is to pace them'
        : 'processes outlive the service and hold its port',
    change: `KillMode=mixed under [Service] of ${unit.file}`,
  });
});

const notify = rule('notify', ['unit'], ({ unit }) => {
  const type = unitSetting(unit, 'Type') ?? 'simple';
  const access = unitSetting(unit, 'NotifyAccess') ?? (type.startsWith('notify') ? 'main' : 'none');
  const user = unitSetting(unit, 'User') ?? (isYes(unitSetting(unit, 'DynamicUser')) ? 'dynamic' : 'root');
  if (!type.startsWith('notify')) {
    return fault('warning', `Type=${type}`, {
      why: 'systemd calls the service started before it serves, and cannot watch it',
      change: `Type=notify and NotifyAccess=all under [Service] of ${unit.file}`,
    });
  }
  if (access === 'all' || user === 'root') return fine(`Type=${type}, NotifyAccess=${access}`);
  return fault('critical', `Type=${type}, NotifyAccess=${access}`, {
    why: 'the message that it is ready comes from a helper process and is thrown away: the start times out',
    change: `NotifyAccess=all under [Service] of ${unit.file}`,
  });
});

const watchdog = rule('watchdog', ['unit'], ({ unit }) => {
  const written = unitSetting(unit, 'WatchdogSec');
  const watchdogMs = unitTimeMs(written ?? '0');
  if (watchdogMs === undefined || watchdogMs === 0) {
    return fault('warning', 'no WatchdogSec', {
      why: 'a primary that hangs stays there: no new connection, no restart',
      change: `WatchdogSec=20 under [Service] of ${unit.file}`,
    });
  }
  if (watchdogMs >= LEAST_WATCHDOG_MS) return fine(`WatchdogSec=${written ?? ''}`);
  return fault('warning', `WatchdogSec=${written ?? ''}`, {
    why: 'a short stall of the machine kills the gateway with all its connections',
    change: `WatchdogSec=20 under [Service] of ${unit.file}`,
  });
});

const restart = rule('restart', ['unit'], ({ unit }) => {
  const policy = unitSetting(unit, 'Restart') ?? 'no';
  if (policy !== 'no') return fine(`Restart=${policy}`);
  return fault('critical', 'Restart=no', {
    why: 'a primary that dies stays dead',
    change: `Restart=on-failure and RestartSec=1 under [Service] of ${unit.file}`,
  });
});

const reloadLine = rule('exec-reload', ['unit'], ({ unit }) => {
  const line = unitSetting(unit, 'ExecReload');
  if (line !== undefined) return fine('`systemctl reload` replaces the workers');
  return fault('warning', 'no ExecReload', {
    why: 'a new configuration or version needs a restart, in which every connection is closed',
    change: `ExecReload=/bin/kill -HUP $MAINPID under [Service] of ${unit.file}`,
  });
});

const writeExecute = rule('memory-deny-write-execute', ['unit'], ({ unit }) => {
  if (!isYes(unitSetting(unit, 'MemoryDenyWriteExecute'))) return fine('V8 may compile');
  return fault('critical', 'MemoryDenyWriteExecute=yes', {
    why: 'V8 writes machine code: Node dies of SIGTRAP at its start',
    change: `without MemoryDenyWriteExecute in ${unit.file}`,
  });
});

const outOfMemory = rule('oom-policy', ['unit'], ({ unit }) => {
  const policy = unitSetting(unit, 'OOMPolicy') ?? 'stop';
  if (policy === 'continue') return fine('OOMPolicy=continue');
  return fault('warning', `OOMPolicy=${policy}`, {
    why: 'when the kernel kills one worker for its memory, systemd ends the whole service; the primary would replace that worker',
    change: `OOMPolicy=continue under [Service] of ${unit.file}`,
  });
});

const tasks = rule('tasks', ['unit', 'config'], ({ unit, config }) => {
  const written = unitSetting(unit, 'TasksMax');
  // At a reload old and new workers live side by side.
  const needed = (config.workers * 2 + 1) * TASKS_PER_PROCESS;
  if (written === undefined || !/^\d+$/.test(written))
    return fine(`TasksMax=${written ?? 'as systemd has it'}`);
  if (Number(written) >= needed) return fine(`TasksMax=${written}, ${needed} are enough`);
  return fault('critical', `TasksMax=${written}`, {
    why: `${config.workers} workers, twice as many during a reload, have up to ${needed} threads: the next process cannot start`,
    change: `TasksMax=${needed} under [Service] of ${unit.file}`,
  });
});

export const serviceRules: readonly Rule[] = [
  stopTimeout,
  killMode,
  notify,
  watchdog,
  restart,
  reloadLine,
  writeExecute,
  outOfMemory,
  tasks,
];
