// `holdfast rebalance` against a control socket: what it sends, shows and ends with.
import { join } from 'node:path';
import t from 'tap';
import { type ControlMethod, ControlServer } from '../../../src/cluster/control/control-server.ts';
import { RebalanceError, type RebalanceProgress } from '../../../src/cluster/moves/rebalance.ts';
import { planRebalance } from '../../../src/cluster/moves/rebalance-plan.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { cliRun } from '../../helpers/cli-run.ts';
import type { Scope } from '../../helpers/scope.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

async function startControl(scope: Scope, rebalance: ControlMethod): Promise<Record<string, string>> {
  const path = join(await tempDir(scope), 'control.sock');
  const methods = { rebalance, 'rebalance-abort': () => ({ aborted: true }) };
  const server = new ControlServer({ logger: createLogger({ level: 'silent', role: 'primary' }), methods });
  await server.listen(path);
  scope.teardown(() => server.close());
  return { HOLDFAST_CONTROL_SOCKET: path };
}

const uneven = planRebalance(
  [
    { slot: 1, connections: 200, bytesPerSecond: 1234, loopShare: 0.03 },
    { slot: 2, connections: 0, bytesPerSecond: 0, loopShare: 0.001 },
  ],
  { imbalance: 0.1, minConnections: 10 },
);
const even = { ...uneven, imbalance: 0.04, moves: [] };
const moving: RebalanceProgress = {
  state: 'moving',
  plan: uneven,
  from: 1,
  to: 2,
  moved: 40,
  left: 60,
  perSecond: 20,
  leftMs: 3000,
};
const done: RebalanceProgress = { ...moving, state: 'done', from: 0, to: 0, moved: 100, left: 0, leftMs: 0 };

t.test('it shows how far it is, and says what it has done', async (t) => {
  const asked: unknown[] = [];
  const environment = await startControl(t, (params, progress) => {
    asked.push(params);
    progress({ ...moving, state: 'measuring', plan: null, moved: 0 });
    progress(moving);
    progress({ ...moving, moved: 50, left: 50 });
    progress(done);
    return done;
  });
  const run = await cliRun(['rebalance', '--threshold', '5', '--pace', '50'], { environment });
  t.same(asked, [{ dryRun: false, threshold: 5, perSecond: 50 }]);
  t.same(run, {
    code: 0,
    out: 'rebalanced: 100 connections moved, worker 1 to worker 2\n',
    err:
      'measuring the load of the workers\n' +
      'worker 1 to worker 2: 40 connections moved, 60 to go, 20/s, 3s left\n' +
      'done: 100 connections moved, 0 to go, 20/s\n',
  });
  const { out, err } = await cliRun(['rebalance', '--json'], { environment });
  t.equal(err, '');
  const lines = out.trimEnd().split('\n');
  t.same(JSON.parse(lines.at(-1) ?? ''), done);
  t.equal(lines.length, 4);
});

t.test('a dry run shows the workers and the plan', async (t) => {
  const environment = await startControl(t, () => uneven);
  const { code, out } = await cliRun(['rebalance', '--dry-run'], { environment });
  t.equal(code, 0);
  t.same(out.split('\n'), [
    'worker  connections   traffic  event loop   load',
    '     1          200  1.2 kB/s         3 %  199 %',
    '     2            0     0 B/s         0 %    1 %',
    '',
    'would move 50 % of the load of worker 1 to worker 2: about 99 connections, idle ones first',
    '',
  ]);
  const asJson = await cliRun(['rebalance', '--dry-run', '--json'], { environment });
  t.same(JSON.parse(asJson.out), uneven);
});

t.test('nothing to do, refusals, and what cannot be understood', async (t) => {
  const nothing = await startControl(t, () => ({ ...done, plan: even, moved: 0 }));
  t.match(await cliRun(['rebalance'], { environment: nothing }), {
    code: 0,
    out: 'nothing to move: no worker is more than 4 % above the mean\n',
  });
  t.match(await cliRun(['rebalance', '--abort'], { environment: nothing }), {
    code: 0,
    out: 'the rebalancing stops\n',
  });
  const refusing = await startControl(t, () => {
    throw new RebalanceError('fewer than two workers serve');
  });
  t.match(await cliRun(['rebalance'], { environment: refusing }), {
    code: 1,
    err: /the gateway refuses: fewer than two workers serve/,
  });
  const strange = await startControl(t, () => 'fine');
  t.match(await cliRun(['rebalance'], { environment: strange }), { code: 1, err: /does not know/ });
  for (const pace of ['0', '-1', 'fast']) t.match(await cliRun(['rebalance', '--pace', pace]), { code: 2 });
});
