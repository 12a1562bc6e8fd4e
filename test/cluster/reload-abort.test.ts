// A reload that is stopped puts back what it has changed, however often it is told to stop; nobody notices.
import t from 'tap';
import { Anchors } from '../helpers/anchors.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { startGateway } from '../helpers/gateway.ts';
import { ReloadRun } from '../helpers/reload-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 20;
/** Over both workers: each has some that cannot be moved. */
const ANCHORS = 4;

t.test('stopped in the middle, again and again: everybody is moved back', async (t) => {
  // A handler that owes its reply keeps its connection where it is, and the move under way.
  const anchors = await Anchors.forge(t);
  const gateway = await startGateway(t, {
    config: {
      channel: CROWD_CHANNELS,
      app: anchors.app,
      handoff: { reply_timeout: '100ms', patience: '1s', rest_timeout: '100ms' },
    },
  });
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS });
  await crowd.gather(t);
  await anchors.drop(t, gateway, ANCHORS);
  crowd.talk();
  const before = await gateway.workerPids();
  const reload = await ReloadRun.begin(t, gateway);
  const movedBefore = (): number =>
    reload.steps.findLast(({ worker, state }) => worker === 1 && state === 'closing')?.moved ?? 0;
  let aborts = 0;
  reload.onStep(({ worker, state, moved }) => {
    const isInTheMiddle = worker === 2 && state === 'moving' && moved > movedBefore();
    if (aborts === 0 && !isInTheMiddle) return;
    // And at every step from then on, those of the way back included.
    aborts += 1;
    void reload.abort().catch(() => undefined);
    if (state === 'putting-back') void anchors.letGo();
  });
  t.match(await reload.failure, { code: 'HOLDFAST_RELOAD', message: /stopped: by command/ });
  t.ok(aborts > 1, `stopped ${aborts} times`);
  t.ok(reload.has('putting-back', 2));
  t.ok(reload.has('putting-back', 1));
  const after = await gateway.workerPids();
  t.equal(after.length, 2);
  t.equal(after.filter((pid) => before.includes(pid)).length, 1, 'the second worker is the old one');
  t.same((await gateway.command(t, 'reload', '--abort')).output, 'no reload is under way\n');
  await crowd.hush();
  t.same(crowd.faults().slice(0, 20), []);
  await waitFor(
    'nobody to be counted twice',
    async () => (await gateway.metric('connections')) <= CLIENTS + ANCHORS,
  );
});

t.test('stopped before the first connection is moved', async (t) => {
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS } });
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS });
  await crowd.gather(t);
  crowd.talk();
  const before = await gateway.workerPids();
  const reload = await ReloadRun.begin(t, gateway);
  reload.onStep(({ worker, state }) => {
    if (worker === 1 && state === 'moving') void reload.abort().catch(() => undefined);
  });
  t.match(await reload.failure, { code: 'HOLDFAST_RELOAD', message: /stopped: by command/ });
  t.same(await gateway.workerPids(), before, 'the old workers serve');
  await crowd.hush();
  t.same(crowd.faults().slice(0, 20), []);
});
