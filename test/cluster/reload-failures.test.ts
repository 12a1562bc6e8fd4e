// What goes wrong in a reload stops it where it is safe, and what a living process owns lives on.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { connectControl } from '../../src/cluster/control-client.ts';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { deferred } from '../helpers/deferred.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { freePort } from '../helpers/ports.ts';
import type { Scope } from '../helpers/scope.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 20;

async function crowdAt(scope: Scope, gateway: Gateway, losesRequests = false): Promise<Crowd> {
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS, losesRequests });
  await crowd.gather(scope);
  crowd.talk();
  return crowd;
}

/** Changes the configuration that the gateway was started with. */
async function rewrite(gateway: Gateway, change: (config: Record<string, unknown>) => void): Promise<void> {
  const config: unknown = JSON.parse(await readFile(gateway.configFile, 'utf8'));
  if (typeof config !== 'object' || config === null) throw new Error('no configuration');
  const copy: Record<string, unknown> = { ...config };
  change(copy);
  await writeFile(gateway.configFile, JSON.stringify(copy));
}

function progressOf(value: unknown): { readonly state: string; readonly worker: number } {
  if (typeof value !== 'object' || value === null || !('state' in value) || !('worker' in value))
    throw new Error('no progress');
  return { state: String(value.state), worker: Number(value.worker) };
}

t.test('a configuration that is wrong changes nothing, and says why', async (t) => {
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS } });
  const crowd = await crowdAt(t, gateway);
  const before = await gateway.workerPids();
  await rewrite(gateway, (config) => {
    config['clients'] = {};
  });
  gateway.child.signal('SIGHUP');
  const [line] = await waitFor('the refusal', () => {
    const lines = gateway.logged('reload failed');
    return lines.length > 0 && lines;
  });
  t.match(line, { reason: /clients/ });
  await rewrite(gateway, (config) => {
    delete config['clients'];
    config['workers'] = 3;
  });
  const { exit, output } = await gateway.command(t, 'reload');
  t.equal(exit.code, 1);
  t.match(output, /only a restart can change workers/);
  t.same(await gateway.workerPids(), before);
  await crowd.hush();
  t.same(crowd.faults(), []);
});

t.test(
  'an application that does not start stops the reload; mended, it goes through by SIGHUP',
  async (t) => {
    const directory = await tempDir(t);
    const module = join(directory, 'app.mjs');
    const working = `export default { disconnect() {} };`;
    await writeFile(module, working);
    const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS, app: { module } } });
    const crowd = await crowdAt(t, gateway);
    const before = await gateway.workerPids();
    await writeFile(module, `throw new Error('broken application');`);
    const { exit, output } = await gateway.command(t, 'reload');
    t.equal(exit.code, 1);
    t.match(output, /worker 1 does not start.*broken application/s);
    t.same(await gateway.workerPids(), before, 'the old workers serve');
    await writeFile(module, working);
    gateway.child.signal('SIGHUP');
    await waitFor('the reload', () => gateway.logged('reloaded').length === 1);
    t.notOk((await gateway.workerPids()).some((pid) => before.includes(pid)));
    await crowd.hush();
    t.same(crowd.faults(), []);
  },
);

t.test('a worker killed in the middle of it takes only its own connections along', async (t) => {
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS }, workers: 2 });
  const crowd = await crowdAt(t, gateway, true);
  const before = await gateway.workerPids();
  const reload = gateway.command(t, 'reload');
  await waitFor('a new worker', () => gateway.logged('worker ready').length >= 3, 60_000);
  const successor = (await gateway.workerPids()).find((pid) => !before.includes(pid));
  if (successor !== undefined) process.kill(successor, 'SIGKILL');
  await reload;
  await waitFor('two workers', async () => (await gateway.workerPids()).length === 2);
  await crowd.hush();
  // Whoever was on the killed worker came back; nobody hangs, and nobody else noticed.
  t.equal(crowd.connected, CLIENTS);
  t.ok(crowd.undisturbed >= 1, `${crowd.undisturbed} of ${CLIENTS} noticed nothing`);
  t.same(await gateway.stop(), { code: 0, signal: null });
});

for (const victim of ['the old worker', 'the new worker', 'the primary'] as const) {
  t.test(
    `kill -9 of ${victim} in mid-move: what a living process owns lives on, nothing hangs`,
    async (t) => {
      const port = await freePort();
      const config = {
        channel: CROWD_CHANNELS,
        http_server: { address: '127.0.0.1', port },
        handoff: { orphan_timeout: '3s' },
      };
      const gateway = await startGateway(t, { config });
      const crowd = await crowdAt(t, gateway, true);
      const before = await gateway.workerPids();
      const control = await connectControl(gateway.controlSocket);
      t.teardown(() => control.close());
      const moving = deferred<void>();
      control
        .request('reload', null, (value) => {
          if (progressOf(value).state === 'moving') moving.resolve();
        })
        .catch(() => undefined);
      await moving.promise;
      // Its connections are on their way at this moment.
      process.kill(await victimOf(gateway, victim, before), 'SIGKILL');
      const next = victim === 'the primary' ? await startGateway(t, { config }) : gateway;
      await waitFor('everybody to be there', () => crowd.connected === CLIENTS);
      if (victim !== 'the primary') {
        await waitFor('two workers', async () => (await gateway.workerPids()).length === 2);
        await waitFor('the end of the reload', () =>
          gateway.logs.some(({ msg }) => msg === 'reloaded' || msg === 'reload stopped'),
        );
      }
      await waitFor('nobody to be counted twice', async () => (await next.metric('connections')) === CLIENTS);
      await crowd.hush(false);
      // It is not stuck: the next one goes through.
      t.equal((await next.command(t, 'reload')).exit.code, 0);
      t.equal(await next.metric('connections'), CLIENTS);
      t.same(await next.stop(), { code: 0, signal: null });
    },
  );
}

async function victimOf(gateway: Gateway, victim: string, before: readonly number[]): Promise<number> {
  if (victim === 'the primary') return gateway.child.pid;
  const pids = await gateway.workerPids();
  const found = pids.find((pid) => (victim === 'the old worker') === before.includes(pid));
  if (found === undefined) throw new Error(`${victim} is not there`);
  return found;
}

for (const victim of ['the old worker', 'the new worker'] as const) {
  t.test(`${victim} stands still in mid-move: everybody waits, nothing is lost`, async (t) => {
    const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS } });
    // Requests of the server API would wait with the worker, longer than they may.
    const crowd = await crowdAt(t, gateway);
    const before = await gateway.workerPids();
    const control = await connectControl(gateway.controlSocket);
    t.teardown(() => control.close());
    const moving = deferred<void>();
    const reload = control.request('reload', null, (value) => {
      if (progressOf(value).state === 'moving') moving.resolve();
    });
    await moving.promise;
    const pid = await victimOf(gateway, victim, before);
    process.kill(pid, 'SIGSTOP');
    await delay(2500);
    process.kill(pid, 'SIGCONT');
    await reload;
    await crowd.hush();
    t.same(crowd.faults().slice(0, 10), []);
    t.same(await gateway.stop(), { code: 0, signal: null });
  });
}

t.test(
  'switched off: connections are closed over time, and their clients come back with what they missed',
  async (t) => {
    const gateway = await startGateway(t, {
      config: { channel: CROWD_CHANNELS, handoff: { enabled: false, close_timeout: '1s' } },
    });
    const clients = await Promise.all(
      Array.from({ length: 8 }, () =>
        new OfficialClient(t, gateway.wsUrl, {
          options: { minReconnectDelay: 20, maxReconnectDelay: 200 },
        }).connect(),
      ),
    );
    const subscriptions = await Promise.all(clients.map((client) => client.subscribe('kept:all')));
    let sent = 0;
    const over = new AbortController();
    const publishing = (async () => {
      while (!over.signal.aborted) {
        sent += 1;
        await gateway.api('publish', { channel: 'kept:all', data: sent });
        await delay(10);
      }
    })();
    const { exit, output } = await gateway.command(t, 'reload');
    t.equal(exit.code, 0, output);
    t.match(output, /0 connections moved, \d+ closed to come back/);
    over.abort();
    await publishing;
    for (const subscription of subscriptions) {
      await waitFor('everything', () => subscription.publications.length >= sent);
      t.same(
        subscription.publications,
        Array.from({ length: sent }, (_, index) => index + 1),
      );
    }
    t.ok(clients.every((client) => client.count('disconnected') === 0));
  },
);
