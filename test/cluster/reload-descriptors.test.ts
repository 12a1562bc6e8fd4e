// A process runs out of descriptors while connections are moved: they go on where they were, and nobody is disconnected.
import t, { type Test } from 'tap';
import { Anchors } from '../helpers/anchors.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { starve } from '../helpers/processes.ts';
import { ReloadRun } from '../helpers/reload-run.ts';
import type { Scope } from '../helpers/scope.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 10;
/** Half of them on each worker. */
const ANCHORS = 12;

interface Scene {
  readonly gateway: Gateway;
  readonly crowd: Crowd;
  readonly anchors: Anchors;
  readonly before: readonly number[];
  readonly reload: ReloadRun;
}

/** A reload that has moved everybody of the first worker but the anchors. */
async function halfWay(scope: Scope): Promise<Scene> {
  const anchors = await Anchors.forge(scope);
  const gateway = await startGateway(scope, {
    config: {
      channel: CROWD_CHANNELS,
      app: anchors.app,
      handoff: { reply_timeout: '100ms', patience: '60s' },
    },
  });
  // Requests need descriptors of their own.
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS, withoutApi: true });
  await crowd.gather(scope);
  await anchors.drop(scope, gateway, ANCHORS);
  crowd.talk();
  const before = await gateway.workerPids();
  const reload = await ReloadRun.begin(scope, gateway);
  await waitFor(
    'only anchors to be left',
    () => reload.steps.some(({ state, moved }) => state === 'moving' && moved >= CLIENTS / 2),
    60_000,
  );
  return { gateway, crowd, anchors, before, reload };
}

async function nobodyHasNoticed(t: Test, { gateway, crowd, anchors }: Scene): Promise<void> {
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  t.same(
    await anchors.replies(),
    anchors.clients.map(() => 'let go'),
  );
  t.ok(
    anchors.clients.every((client) => client.count('connecting') === 1 && client.count('disconnected') === 0),
  );
  await waitFor(
    'everybody to be counted once',
    async () => (await gateway.metric('connections')) === CLIENTS + ANCHORS,
  );
}

t.test('the new worker: what has arrived is moved back, and the reload says why it stopped', async (t) => {
  const scene = await halfWay(t);
  const { gateway, anchors, before, reload } = scene;
  const [target = 0] = (await gateway.workerPids()).filter((pid) => !before.includes(pid));
  await starve(target);
  await anchors.letGo();
  t.match(await reload.failure, {
    code: 'HOLDFAST_RELOAD',
    message: /worker 1 is not replaced: connections do not arrive: the worker has no room/,
  });
  t.ok(reload.has('putting-back', 1));
  t.same(await gateway.workerPids(), before, 'the old workers serve');
  await nobodyHasNoticed(t, scene);
  t.equal((await gateway.command(t, 'reload')).exit.code, 0, 'the next one goes through');
  await waitFor('all of them', async () => (await gateway.metric('connections')) === CLIENTS + ANCHORS);
});

t.test('the primary: as soon as it has some again, the reload goes on', async (t) => {
  const scene = await halfWay(t);
  const { gateway, anchors, reload } = scene;
  const feed = await starve(gateway.child.pid);
  await anchors.letGo();
  await waitFor(
    'one that comes back',
    () => gateway.logged('connection could not be moved').length > 0,
    60_000,
  );
  await feed();
  t.equal(await reload.failure, undefined);
  t.match(gateway.logged('connection could not be moved')[0], { reason: /did not reach the primary/ });
  await nobodyHasNoticed(t, scene);
});

t.test('the old worker: it needs none to give its connections away', async (t) => {
  const scene = await halfWay(t);
  const { anchors, before, reload } = scene;
  const feeds = await Promise.all(before.map((pid) => starve(pid)));
  await anchors.letGo();
  // The second worker has no room for the connection that tries the way.
  t.match(await reload.failure, { message: /worker 2 does not serve: .*the old worker has no room/ });
  t.equal(reload.steps.findLast(({ worker, state }) => worker === 1 && state === 'closing')?.closed, 0);
  for (const feed of feeds) await feed().catch(() => undefined);
  await nobodyHasNoticed(t, scene);
});
