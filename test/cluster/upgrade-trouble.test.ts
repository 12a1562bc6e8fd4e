// What happens to an upgrade from outside: workers die, somebody tells one of the primaries to end or to reload. Nothing
// hangs, nothing is left behind, and whoever is not concerned notices nothing.
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { connectControl } from '../../src/cluster/control-client.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { childPids } from '../helpers/processes.ts';
import type { Scope } from '../helpers/scope.ts';
import { isJson } from '../helpers/server-frames.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { currentPrimary, stopCurrent } from '../helpers/upgrading.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 20;
const LIMIT_MS = 60_000;

async function crowdAt(scope: Scope, gateway: Gateway): Promise<Crowd> {
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS, withoutApi: true });
  await crowd.gather(scope);
  crowd.talk();
  return crowd;
}

interface Progress {
  readonly state: string;
  readonly successor: number;
  readonly moved: number;
}

/** Resolves to what the upgrade ended with. */
async function upgrade(
  scope: Scope,
  gateway: Gateway,
  onProgress: (progress: Progress) => void,
): Promise<unknown> {
  const control = await connectControl(gateway.controlSocket);
  scope.teardown(() => control.close());
  return control
    .request('upgrade', null, (value) => {
      if (!isJson(value)) return;
      const { state, pid, moved } = value;
      onProgress({ state: String(state), successor: Number(pid), moved: Number(moved) });
    })
    .catch((error: unknown) => error);
}

/** The same; `act` is called once, when it comes to that state. */
async function upgradeUntil(
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

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Killed before.
  }
}

t.test('kill -9 of a worker: its clients come back, the others notice nothing', async (t) => {
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS } });
  for (const victim of ['an old one', 'a new one']) {
    const crowd = await crowdAt(t, gateway);
    const before = currentPrimary(gateway);
    const [, second = 0] = await childPids(before);
    let first = Promise.resolve(0);
    const ended = await upgrade(t, gateway, ({ state, successor, moved }) => {
      if (state === 'checking') first = childPids(successor).then(([pid = 0]) => pid);
      if (state !== 'moving') return;
      // One has its clients still, the other one has them already.
      if (victim === 'an old one' && moved === 0) kill(second);
      else if (victim === 'a new one' && moved > 0) void first.then(kill);
    });
    t.comment(`${victim}: ${ended instanceof Error ? ended.message : 'done'}`);
    await waitFor(
      'what it says to be true',
      () => (currentPrimary(gateway) === before) === ended instanceof Error,
    );
    await waitFor('some to notice', () => crowd.undisturbed < CLIENTS);
    await waitFor('everybody to be there', () => crowd.connected === CLIENTS, LIMIT_MS);
    t.ok(crowd.undisturbed >= CLIENTS / 2, `${crowd.undisturbed} undisturbed`);
    await crowd.hush(false);
    t.same(crowd.faultsOfUndisturbed().slice(0, 10), []);
    crowd.leave();
    const isEmpty = async (): Promise<boolean> => (await gateway.metric('connections')) === 0;
    await waitFor('nobody to be counted', isEmpty, LIMIT_MS);
  }
  await stopCurrent(gateway);
});

for (const state of ['starting', 'moving', 'closing', 'engine']) {
  t.test(`told to end, while ${state}: both primaries do, and nothing is left`, async (t) => {
    const temporary = await tempDir(t);
    const gateway = await startGateway(t, {
      config: { channel: CROWD_CHANNELS, http_server: { unix_socket: join(temporary, 'public.sock') } },
      env: { TMPDIR: temporary },
    });
    const crowd = await crowdAt(t, gateway);
    await upgradeUntil(t, gateway, state, () => gateway.child.signal('SIGTERM'));
    await waitFor('the end of all processes', () => !gateway.child.groupIsAlive, LIMIT_MS);
    t.notOk(gateway.logged('worker killed').length, 'all end by themselves');
    crowd.leave();
    await crowd.hush(false);
    t.same(await readdir(temporary), []);
    t.notOk((await readdir(gateway.directory)).includes('control.sock'));
  });
}

t.test('the new primary told to end: everybody is put back, and it goes', async (t) => {
  const temporary = join(await tempDir(t), 'tmp');
  await mkdir(temporary);
  const gateway = await startGateway(t, {
    config: { channel: CROWD_CHANNELS },
    env: { TMPDIR: temporary },
  });
  const crowd = await crowdAt(t, gateway);
  let successor = 0;
  const ended = await upgradeUntil(t, gateway, 'moving', (pid) => {
    successor = pid;
    process.kill(pid, 'SIGTERM');
  });
  t.match(ended, { code: 'HOLDFAST_UPGRADE', message: /the new primary got SIGTERM/ });
  t.equal(currentPrimary(gateway), gateway.child.pid);
  t.notOk((await childPids(gateway.child.pid)).includes(successor));
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  t.same(await gateway.stop(), { code: 0, signal: null });
  t.same(await readdir(temporary), []);
});

t.test('told to reload meanwhile, it says what is under way; right after, it does', async (t) => {
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS } });
  const crowd = await crowdAt(t, gateway);
  const ended = await upgradeUntil(t, gateway, 'moving', async (successor) => {
    process.kill(gateway.child.pid, 'SIGHUP');
    process.kill(successor, 'SIGHUP');
    const { exit, output } = await gateway.command(t, 'reload');
    t.comment(output);
    // It may have come when the upgrade was over.
    t.match(exit.code === 0 ? 'upgrade is under way' : output, /upgrade is under way/);
  });
  t.match(ended, { state: 'done' });
  const reasons = gateway.logged('reload failed').map(({ reason }) => reason);
  t.match(reasons.toSorted(), [/upgrade is under way/, /still starting/]);
  const reloads = gateway.logged('reloaded').length;
  process.kill(currentPrimary(gateway), 'SIGHUP');
  await waitFor('the reload', () => gateway.logged('reloaded').length > reloads, LIMIT_MS);
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  await stopCurrent(gateway);
});
