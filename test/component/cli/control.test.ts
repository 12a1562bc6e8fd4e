import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import { unitSockets } from '../../../src/cli/control.ts';
import { ControlServer, type ControlMethod } from '../../../src/cluster/control/control-server.ts';
import type { HostReport } from '../../../src/cluster/load/host-capacity.ts';
import type { WorkerStatus } from '../../../src/cluster/load/host-status.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { HoldfastError } from '../../../src/util/errors.ts';
import { cliRun } from '../../helpers/cli-run.ts';
import { draining } from '../../helpers/drain-progress.ts';
import type { Scope } from '../../helpers/scope.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

/** A control socket with these methods; resolves to the environment by which commands find it. */
async function startControl(
  scope: Scope,
  methods: Readonly<Record<string, ControlMethod>>,
): Promise<Record<string, string>> {
  const path = join(await tempDir(scope), 'control.sock');
  const server = new ControlServer({ logger: createLogger({ level: 'silent', role: 'primary' }), methods });
  await server.listen(path);
  scope.teardown(() => server.close());
  return { HOLDFAST_CONTROL_SOCKET: path };
}

const idle: WorkerStatus = {
  slot: 0,
  state: 'ready',
  role: 'main',
  pid: 101,
  connections: 12,
  rssBytes: 84_250_000,
  heapUsedBytes: 20_000_000,
  overloaded: false,
  outboxBytes: 0,
  loopLagMs: 1,
  answering: null,
  restarts: 0,
  sinceMs: 61_000,
  retryInMs: null,
  crashLooping: false,
  lastFailure: null,
};

const status: HostReport = {
  version: '1.2.3',
  node: 'v20.19.0',
  pid: 100,
  uptimeMs: 3_600_000,
  state: 'degraded',
  draining: false,
  drain: draining({
    state: 'serving',
    window: { neededMs: 40_000, windowMs: 26_000, limitMs: 26_000, chosenMs: null },
  }),
  listening: ['127.0.0.1:8000'],
  internal: [],
  connections: 12,
  connectionsAllowed: 39_600,
  queued: 0,
  held: 2,
  refused: { full: 3, draining: 0 },
  capacity: {
    utilisation: { host: 0.42, connections: 0.001, cpu: 0.42, eventLoop: 0, memory: 0.1, outboxes: 0 },
    connectionLimit: 20_000,
    acceptRate: null,
    acceptHeadroom: 19_988,
  },
  workers: [
    idle,
    {
      ...idle,
      slot: 1,
      state: 'backing-off',
      pid: null,
      connections: 0,
      rssBytes: null,
      heapUsedBytes: null,
      loopLagMs: null,
      restarts: 4,
      sinceMs: 2_000,
      retryInMs: 5_000,
      crashLooping: true,
      lastFailure: 'exit code 1',
    },
  ],
};

t.test('status as a table', async (t) => {
  const environment = await startControl(t, { status: () => status });
  const { code, out } = await cliRun(['status'], { environment });
  t.equal(code, 0);
  t.same(out.split('\n'), [
    'holdfast 1.2.3  degraded  up 1h 0m  pid 100  node v20.19.0',
    '',
    'listening    127.0.0.1:8000',
    'connections  12 of 20000 allowed',
    'capacity     42 % used (cpu), room for 19988 more',
    'drain        takes 40s at the 10/s that other hosts take, has 26s after a signal',
    'waiting      2 for a worker',
    'refused      3 full',
    '',
    'worker  pid  state          for  connections   memory     heap  loop lag  restarts',
    '     0  101  ready        1m 1s           12  84.3 MB  20.0 MB      1 ms         0',
    '     1    -  backing-off     2s            0        -        -         -         4  crash loop; next attempt in 5s; last failure: exit code 1',
    '',
  ]);
});

t.test('status as JSON is what the gateway said', async (t) => {
  const environment = await startControl(t, { status: () => status });
  const { out } = await cliRun(['status', '--json'], { environment });
  t.same(JSON.parse(out), status);
});

t.test('status of a gateway that speaks another form', async (t) => {
  const environment = await startControl(t, { status: () => ({ something: 'else' }) });
  t.match(await cliRun(['status'], { environment }), {
    code: 1,
    err: /this version does not know: use --json/,
  });
  t.match(await cliRun(['status', '--json'], { environment }), { code: 0 });
});

t.test('a refusal of the gateway ends with 1, its silence with 69', async (t) => {
  const environment = await startControl(t, {
    status: () => {
      throw new HoldfastError('HOLDFAST_BUSY', 'try again later');
    },
  });
  t.match(await cliRun(['status'], { environment }), {
    code: 1,
    err: /the gateway refuses: try again later/,
  });
  t.match(await cliRun(['drain', '--pause'], { environment }), { code: 1, err: /knows no 'drain-pause'/ });
  const absent = join(await tempDir(t), 'nobody.sock');
  const run = await cliRun(['status'], { environment: { HOLDFAST_CONTROL_SOCKET: absent } });
  t.match(run, { code: 69, err: `no gateway answers at ${absent}: start one with \`holdfast serve\`` });
  const other = join(dirname(absent), 'holdfast-8001.sock');
  await writeFile(other, '');
  const again = await cliRun(['status'], { environment: { HOLDFAST_CONTROL_SOCKET: absent } });
  t.match(again, { code: 69, err: `a socket that is there: HOLDFAST_CONTROL_SOCKET=${other}` });
});

t.test('where systemd runs a gateway its control socket is named', async (t) => {
  const root = await tempDir(t);
  t.same(unitSockets(root), []);
  for (const name of ['holdfast', 'holdfast-green', 'holdfast-sockets']) await mkdir(join(root, name));
  t.same(unitSockets(root), [join(root, 'holdfast/control.sock'), join(root, 'holdfast-green/control.sock')]);
});

t.test('a gateway that goes away in the middle ends it with 69', async (t) => {
  const path = join(await tempDir(t), 'control.sock');
  const server = new ControlServer({
    logger: createLogger({ level: 'silent', role: 'primary' }),
    methods: {
      drain: (_, progress) => {
        progress(draining({ closed: 3 }));
        void server.close();
        return new Promise(() => undefined);
      },
    },
  });
  await server.listen(path);
  t.teardown(() => server.close());
  const run = await cliRun(['drain'], { environment: { HOLDFAST_CONTROL_SOCKET: path } });
  t.match(run, {
    code: 69,
    out: '',
    err: /closing: 3 of 20 closed.*\n.*the gateway closed the control connection/,
  });
});
