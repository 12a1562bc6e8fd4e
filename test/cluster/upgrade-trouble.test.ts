// What happens to an upgrade from outside: workers die, somebody wants a reload. Nothing hangs, and whoever is not concerned
// notices nothing.
import t from 'tap';
import { connectControl } from '../../src/cluster/control/control-client.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { childPids } from '../helpers/processes.ts';
import type { Scope } from '../helpers/scope.ts';
import { isJson } from '../helpers/server-frames.ts';
import { currentPrimary, stopCurrent, upgrade, upgradeUntil } from '../helpers/upgrading.ts';
import { internalPort, pageOf } from '../helpers/visitors.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 20;
const LIMIT_MS = 60_000;

async function crowdAt(scope: Scope, gateway: Gateway): Promise<Crowd> {
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS, withoutApi: true });
  await crowd.gather(scope);
  crowd.talk();
  return crowd;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Killed before.
  }
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids) kill(pid);
}

async function connectionsPerWorker(gateway: Gateway): Promise<readonly number[]> {
  const control = await connectControl(gateway.controlSocket);
  const status = await control.request('status');
  control.close();
  const workers = isJson(status) && Array.isArray(status['workers']) ? status['workers'] : [];
  return workers.map((worker: unknown) => (isJson(worker) ? Number(worker['connections']) : 0));
}

t.test('kill -9 of a worker: its clients come back, the others notice nothing', async (t) => {
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS } });
  for (const victim of ['an old one', 'a new one', 'all new ones']) {
    const crowd = await crowdAt(t, gateway);
    const before = currentPrimary(gateway);
    const [, second = 0] = await childPids(before);
    // Of the same number as the one that they move to.
    const perWorker = await connectionsPerWorker(gateway);
    const concerned = victim === 'all new ones' ? CLIENTS : (perWorker[victim === 'an old one' ? 1 : 0] ?? 0);
    let newOnes = Promise.resolve<number[]>([]);
    const ended = await upgrade(t, gateway, ({ state, successor, moved }) => {
      if (state === 'checking') newOnes = childPids(successor);
      if (state !== 'moving') return;
      // One has its clients still, the other one has them already.
      if (victim === 'an old one' && moved === 0) kill(second);
      else if (victim === 'a new one' && moved > 0) void newOnes.then((pids) => killAll(pids.slice(0, 1)));
      // Before the first has arrived: more are on their way to them.
      else if (victim === 'all new ones' && moved === 0) void newOnes.then(killAll);
    });
    t.comment(`${victim}: ${ended instanceof Error ? ended.message : 'done'}`);
    await waitFor(
      'what it says to be true',
      () => (currentPrimary(gateway) === before) === ended instanceof Error,
    );
    if (victim !== 'all new ones') await waitFor('some to notice', () => crowd.undisturbed < CLIENTS);
    await waitFor('everybody to be there', () => crowd.connected === CLIENTS, LIMIT_MS);
    const disturbed = CLIENTS - crowd.undisturbed;
    t.ok(disturbed <= concerned, `${disturbed} disturbed of ${concerned} on that worker`);
    await crowd.hush(false);
    t.same(crowd.faultsOfUndisturbed().slice(0, 10), []);
    crowd.leave();
    const isEmpty = async (): Promise<boolean> => (await gateway.metric('connections')) === 0;
    await waitFor('nobody to be counted', isEmpty, LIMIT_MS);
  }
  await stopCurrent(gateway);
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
  const reasons = gateway.logged('reload failed').map(({ reason }) => String(reason));
  const inOrder = reasons.toSorted((one, other) => (one < other ? -1 : 1));
  t.match(inOrder, [/upgrade is under way/, /still starting/]);
  const reloads = gateway.logged('reloaded').length;
  process.kill(currentPrimary(gateway), 'SIGHUP');
  await waitFor('the reload', () => gateway.logged('reloaded').length > reloads, LIMIT_MS);
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  await stopCurrent(gateway);
});

t.test('kill -9 of the new primary, after the old workers were told to end: there are others', async (t) => {
  const gateway = await startGateway(t, {
    config: {
      channel: CROWD_CHANNELS,
      http_server: { internal_port: 0 },
      handoff: { orphan_timeout: '2s' },
    },
  });
  const crowd = await crowdAt(t, gateway);
  const port = internalPort(gateway);
  // A connection that stays open, for which its worker waits a moment.
  await (await fetch(`http://127.0.0.1:${port}/readyz`)).text();
  const ended = await upgradeUntil(t, gateway, 'closing', kill);
  t.match(ended, { code: 'HOLDFAST_UPGRADE', message: 'the new primary has ended' });
  await waitFor('everybody to be there', () => crowd.connected === CLIENTS, LIMIT_MS);
  await crowd.hush(false);
  const visit = pageOf({ port }, '/readyz');
  const isServed = (): Promise<boolean> =>
    visit().then(
      () => true,
      () => false,
    );
  await waitFor('the internal port', isServed, LIMIT_MS);
  t.same(await gateway.stop(), { code: 0, signal: null });
});
