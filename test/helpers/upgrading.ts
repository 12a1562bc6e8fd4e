// A gateway whose primary is replaced under a test: the process that is the gateway now is another one than the first.
import { connectControl } from '../../src/cluster/control/control-client.ts';
import { type Gateway } from './gateway.ts';
import { childPids } from './processes.ts';
import type { Scope } from './scope.ts';
import { isJson } from './server-frames.ts';
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

export interface UpgradeStep {
  readonly state: string;
  readonly successor: number;
  readonly moved: number;
}

/** Resolves to what the upgrade ended with. */
export async function upgrade(
  scope: Scope,
  gateway: Gateway,
  onProgress: (step: UpgradeStep) => void,
): Promise<unknown> {
  const control = await connectControl(gateway.controlSocket);
  scope.teardown(() => control.close());
  const ended = await control
    .request('upgrade', null, (value) => {
      if (!isJson(value)) return;
      const { state, pid, moved } = value;
      onProgress({ state: String(state), successor: Number(pid), moved: Number(moved) });
    })
    .catch((error: unknown) => error);
  // Its log may be read after the other one's word that all is done.
  if (isJson(ended) && ended['state'] === 'done') {
    await waitFor('the new primary to say so', () => currentPrimary(gateway) === Number(ended['pid']));
  }
  return ended;
}

/** The same; `act` is called once, when it comes to that state. */
export async function upgradeUntil(
  scope: Scope,
  gateway: Gateway,
  when: string,
  act: (successor: number) => unknown,
): Promise<unknown> {
  let action: unknown;
  let isDone = false;
  const ended = await upgrade(scope, gateway, ({ state, successor }) => {
    if (isDone || state !== when) return;
    isDone = true;
    action = act(successor);
  });
  await action;
  return ended;
}
