// Which CPUs servers and generators run on. Left to the scheduler, a process is woken now on the CPU of the one that
// wakes it and now on another, which costs more: much of the difference between two servers would be the scheduler's.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Placement {
  readonly servers: readonly number[];
  readonly generators: readonly number[];
}

/** Half of the CPUs for each side; undefined when there is only one. */
export function halves(cpus: readonly number[]): Placement | undefined {
  const middle = Math.ceil(cpus.length / 2);
  return cpus.length < 2 ? undefined : { servers: cpus.slice(0, middle), generators: cpus.slice(middle) };
}

/** Those that this process may use. Source: Cpus_allowed_list of proc_pid_status(5). */
export function ownCpus(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return parseCpuList(list ?? '');
}

/** `0-2,5` is 0, 1, 2, 5. Source: cpuset(7), list format. */
export function parseCpuList(list: string): number[] {
  return list
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

/** Moves processes with all their threads; what they start later stays there too. */
export function place(pids: readonly number[], cpus: readonly number[]): void {
  for (const pid of pids) {
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cpus.join(), String(pid)], {
      stdio: 'pipe',
    });
  }
}

export function describePlacement(placement: Placement | undefined): string {
  if (placement === undefined) return 'Servers and generators shared all CPUs.';
  const { servers, generators } = placement;
  return (
    `All processes of the server ran on CPU ${servers.join(', ')}, the generators on CPU ${generators.join(', ')}, ` +
    'so that what the scheduler makes of waking one beside the other is in no figure.'
  );
}
