// A gateway whose primary is replaced under a test: the process that is the gateway now is another one than the first.
import { type Gateway } from './gateway.ts';
import { childPids } from './processes.ts';
import { waitFor } from './wait-for.ts';

/** Of every primary that this gateway has had, the first one included, as they became it. */
export function primaryPids(gateway: Gateway): number[] {
  return [gateway.child.pid, ...gateway.logged('this primary is the gateway').map(({ pid }) => Number(pid))];
}

export function currentPrimary(gateway: Gateway): number {
  return primaryPids(gateway).at(-1) ?? 0;
}

/** Process ids of the workers that the primary has now. */
export function currentWorkers(gateway: Gateway): Promise<number[]> {
  return childPids(currentPrimary(gateway));
}

/** Ends the gateway as a service manager would, and waits for the end of all its processes. */
export async function stopCurrent(gateway: Gateway): Promise<void> {
  process.kill(currentPrimary(gateway), 'SIGTERM');
  await waitFor('the end of the gateway', () => !gateway.child.groupIsAlive, 60_000);
}
