// The weight that the agent gives its host, before a real HAProxy: hosts that are late, short of memory or have just started get
// fewer new clients, and more again when that is over.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { generateConfig, startHaproxy } from '../helpers/haproxy.ts';
import { HaproxyRuntime } from '../helpers/haproxy-runtime.ts';
import type { Scope } from '../helpers/scope.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

const PRELOAD = fileURLToPath(new URL('../helpers/preload-machine.js', import.meta.url));
const PATIENCE_MS = 60_000;
/** A busy machine makes any host a little late. */
const ENOUGH = 60;
/** A gateway of one worker takes more than nine tenths of it. */
const LITTLE_MEMORY_BYTES = 128 * 1024 * 1024;

/** Without work, so that the processors of this machine are not what is measured. */
const STALLING_APP = `
  let timer;
  const stall = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
  export default {
    rpc: {
      stall: () => { timer ??= setInterval(stall, 50); },
      recover: () => { clearInterval(timer); timer = undefined; },
    },
  };`;

interface HostOptions {
  readonly ramp?: string;
  readonly memoryBytes?: number;
}

async function start(scope: Scope, { ramp = '0s', memoryBytes }: HostOptions = {}): Promise<Gateway> {
  const module = join(await tempDir(scope), 'app.mjs');
  await writeFile(module, STALLING_APP);
  return startGateway(scope, {
    workers: 1,
    env: {
      NODE_OPTIONS: `--import=${PRELOAD}`,
      ...(memoryBytes === undefined ? {} : { MACHINE_MEMORY_BYTES: String(memoryBytes) }),
    },
    config: {
      app: { module },
      agent_check: { enabled: true, address: '127.0.0.1', port: 0, ready_time: '1s', ramp },
      // What it gives up by itself is another test.
      admission: { max_loop_lag: '0s', max_memory: 4 * 1024 * 1024 * 1024 },
    },
  });
}

function host(name: string, gateway: Gateway): string {
  const agentPort = String(gateway.logged('listening')[0]?.['agent']).split(':').at(-1);
  return `${name}=127.0.0.1:${gateway.port}/agent=${agentPort}`;
}

t.test('new clients go where there is room', async (t) => {
  const [late, well, small] = await Promise.all([
    start(t),
    start(t),
    start(t, { memoryBytes: LITTLE_MEMORY_BYTES }),
  ]);
  const configFile = await generateConfig(t, [
    host('late', late),
    host('well', well),
    host('small', small),
    '--no-ops-bind',
  ]);
  const runtime = await HaproxyRuntime.in(t, configFile);
  const haproxy = await startHaproxy(t, { configFile });
  const weight = async (name: string): Promise<number> => (await runtime.server(name)).weight;
  const sessions = async (name: string): Promise<number> => (await runtime.server(name)).sessions;
  const connect = (): Promise<OfficialClient> =>
    new OfficialClient(t, haproxy.wssUrl, {
      socket: { ca: haproxy.certificate },
      options: { timeout: PATIENCE_MS },
    }).connect();
  await waitFor('one of little memory', async () => (await weight('small')) === 5, PATIENCE_MS);
  const isWell = async (name: string): Promise<boolean> => (await weight(name)) >= ENOUGH;
  await waitFor('the other two', async () => (await isWell('late')) && (await isWell('well')), PATIENCE_MS);

  const inside = await new OfficialClient(t, late.wsUrl, { options: { timeout: PATIENCE_MS } }).connect();
  await inside.client.rpc('stall', {});
  await waitFor('the late one to weigh little', async () => (await weight('late')) === 5, PATIENCE_MS);
  await Promise.all(Array.from({ length: 12 }, connect));
  // HAProxy gives a server without any its first one, whatever it weighs.
  t.ok((await sessions('late')) <= 1, 'a host whose event loop is late');
  t.ok((await sessions('small')) <= 1, 'a host without memory');
  t.ok((await sessions('well')) >= 10);

  await inside.client.rpc('recover', {});
  await waitFor('its weight to come back', () => isWell('late'), PATIENCE_MS);
  const before = await sessions('late');
  await Promise.all(Array.from({ length: 5 }, connect));
  t.ok((await sessions('late')) - before >= 4, 'it has the fewest');
});

t.test('a worker that stands still is late', async (t) => {
  const gateway = await start(t);
  const configFile = await generateConfig(t, [host('a', gateway), '--no-ops-bind']);
  const runtime = await HaproxyRuntime.in(t, configFile);
  await startHaproxy(t, { configFile });
  const weight = async (): Promise<number> => (await runtime.server('a')).weight;
  await waitFor('its weight', async () => (await weight()) >= ENOUGH, PATIENCE_MS);
  const [worker = 0] = await gateway.workerPids();
  process.kill(worker, 'SIGSTOP');
  await waitFor('little weight', async () => (await weight()) === 5, PATIENCE_MS);
  process.kill(worker, 'SIGCONT');
  await waitFor('its weight again', async () => (await weight()) >= ENOUGH, PATIENCE_MS);
  t.same(await gateway.workerPids(), [worker]);
});

t.test('after its start a host is given more and more', async (t) => {
  const gateway = await start(t, { ramp: '15s' });
  const configFile = await generateConfig(t, [host('a', gateway), '--no-ops-bind']);
  const runtime = await HaproxyRuntime.in(t, configFile);
  await startHaproxy(t, { configFile });
  const weights: number[] = [];
  await waitFor(
    'all of its weight',
    async () => {
      const { status, weight } = await runtime.server('a');
      // Before the agent has spoken it is what the file says.
      if (status !== 'UP' || weight === weights.at(-1)) return false;
      if (weights.length === 0 && weight === 100) return false;
      weights.push(weight);
      return weight === 100;
    },
    PATIENCE_MS,
  );
  t.ok(weights.length >= 3, weights.join(' '));
  t.same(
    weights,
    weights.toSorted((one, other) => one - other),
  );
});
