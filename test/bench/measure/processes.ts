// What the kernel says about processes: their children, CPU time and resident memory.
import { readFileSync, readdirSync } from 'node:fs';

const TICK_MS = 10;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Fields of /proc/<pid>/stat from the third on: the second may hold blanks and brackets. */
function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** The process and all its descendants, ascending. */
export function processTree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = read(`/proc/${pid}/stat`);
    if (stat !== undefined) parents.set(pid, Number(statFields(stat)[1]));
  }
  const tree = parents.has(root) ? [root] : [];
  for (const pid of tree) {
    for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  }
  return tree.toSorted((a, b) => a - b);
}

/**
 * CPU time, user and system, of all threads. From schedstat (nanoseconds) where the kernel keeps it, else from stat
 * (ticks of 10 ms): both are the scheduler's own account.
 */
export function cpuMs(pids: readonly number[]): number {
  let total = 0;
  for (const pid of pids) total += threadsCpuMs(pid) ?? statCpuMs(pid);
  return total;
}

function threadsCpuMs(pid: number): number | undefined {
  let total = 0;
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return undefined;
  }
  for (const thread of threads) {
    const schedstat = read(`/proc/${pid}/task/${thread}/schedstat`);
    const runNs = Number(schedstat?.split(' ')[0]);
    if (!(runNs > 0)) return undefined;
    total += runNs / 1e6;
  }
  return total;
}

function statCpuMs(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return 0;
  const fields = statFields(stat);
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** CPU time that the whole machine spent working, in ms over all cores, and the time stolen by its host. */
export function machineCpuMs(): { busyMs: number; stolenMs: number } {
  const firstLine = (read('/proc/stat') ?? '').split('\n', 1)[0] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = firstLine
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return { busyMs: (user + nice + system + irq + softirq) * TICK_MS, stolenMs: steal * TICK_MS };
}

export interface Memory {
  readonly rssKb: number;
  /** Shared pages divided by those who share them; 0 where the kernel does not tell. */
  readonly pssKb: number;
}

export function memory(pids: readonly number[]): Memory {
  let rssKb = 0;
  let pssKb = 0;
  for (const pid of pids) {
    rssKb += kilobytes(read(`/proc/${pid}/status`), 'VmRSS');
    pssKb += kilobytes(read(`/proc/${pid}/smaps_rollup`), 'Pss');
  }
  return { rssKb, pssKb };
}

function kilobytes(text: string | undefined, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text ?? '')?.[1] ?? 0);
}
