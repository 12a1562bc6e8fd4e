// What goes wrong in an upgrade leaves the old gateway serving, and what a living process owns lives on.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { connectControl } from '../../src/cluster/control/control-client.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { deferred } from '../helpers/deferred.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { childPids } from '../helpers/processes.ts';
import type { Scope } from '../helpers/scope.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { currentPrimary, stopCurrent } from '../helpers/upgrading.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 10;

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

function progressOf(value: unknown): { readonly state: string; readonly pid: number } {
  if (typeof value !== 'object' || value === null || !('state' in value) || !('pid' in value))
    throw new Error('no progress');
  return { state: String(value.state), pid: Number(value.pid) };
}

t.test('what does not come up changes nothing, and says why', async (t) => {
  const directory = await tempDir(t);
  const module = join(directory, 'app.mjs');
  await writeFile(module, 'export default { disconnect() {} };');
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS, app: { module } } });
  const crowd = await crowdAt(t, gateway);
  const before = await gateway.workerPids();

  await rewrite(gateway, (config) => {
    config['clients'] = {};
  });
  const wrong = await gateway.command(t, 'upgrade');
  // The command reads the same file, and says it first.
  t.equal(wrong.exit.code, 78, wrong.output);
  const control = await connectControl(gateway.controlSocket);
  t.teardown(() => control.close());
  await t.rejects(
    control.request('upgrade', null, () => undefined),
    { code: 'HOLDFAST_UPGRADE', message: /clients/ },
  );
  await rewrite(gateway, (config) => {
    delete config['clients'];
    config['engine'] = { type: 'redis' };
  });
  await t.rejects(
    control.request('upgrade', null, () => undefined),
    { message: /only a restart can change engine.type/ },
  );
  await rewrite(gateway, (config) => {
    delete config['engine'];
  });

  await writeFile(module, `throw new Error('broken application');`);
  const broken = await gateway.command(t, 'upgrade');
  t.equal(broken.exit.code, 1);
  t.match(broken.output, /does not start.*broken application/s);
  const noNode = await gateway.command(t, 'upgrade', '--node', join(directory, 'node'));
  t.equal(noNode.exit.code, 1);
  t.match(noNode.output, /cannot be started: .*ENOENT/);

  t.equal(currentPrimary(gateway), gateway.child.pid);
  await waitFor('the end of all others', async () => {
    const now = await childPids(gateway.child.pid);
    return now.length === before.length && now.every((pid) => before.includes(pid));
  });
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  t.same(await gateway.stop(), { code: 0, signal: null });
});

t.test('stopped in the middle, everybody is put back; then it goes through', async (t) => {
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS } });
  const crowd = await crowdAt(t, gateway);
  const before = await gateway.workerPids();
  const control = await connectControl(gateway.controlSocket);
  t.teardown(() => control.close());
  const upgrade = control.request('upgrade', null, (value) => {
    if (progressOf(value).state === 'moving') void control.request('upgrade-abort').catch(() => undefined);
  });
  await t.rejects(upgrade, { code: 'HOLDFAST_UPGRADE', message: /stopped: by command/ });
  t.same(await gateway.workerPids(), before);
  t.equal((await gateway.command(t, 'upgrade')).exit.code, 0);
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  await stopCurrent(gateway);
});

for (const victim of ['the new primary', 'the old primary'] as const) {
  t.test(`kill -9 of ${victim} in mid-move: clients are there, nothing hangs`, async (t) => {
    const gateway = await startGateway(t, {
      config: { channel: CROWD_CHANNELS, handoff: { orphan_timeout: '3s' } },
    });
    const crowd = await crowdAt(t, gateway, true);
    const control = await connectControl(gateway.controlSocket);
    t.teardown(() => control.close());
    const moving = deferred<number>();
    const upgrade = control
      .request('upgrade', null, (value) => {
        const { state, pid } = progressOf(value);
        if (state === 'moving') moving.resolve(pid);
      })
      .catch((error: unknown) => error);
    const successor = await moving.promise;
    process.kill(victim === 'the new primary' ? successor : gateway.child.pid, 'SIGKILL');
    t.ok((await upgrade) instanceof Error);
    if (victim === 'the old primary') {
      await waitFor('the new one to go on alone', () => currentPrimary(gateway) === successor, 60_000);
    }
    await waitFor('everybody to be there', () => crowd.connected === CLIENTS, 60_000);
    await waitFor(
      'nobody to be counted twice',
      async () => (await gateway.metric('connections')) === CLIENTS,
      60_000,
    );
    await crowd.hush(false);
    // It is not stuck: the next one goes through.
    const next = await gateway.command(t, 'upgrade');
    t.equal(next.exit.code, 0, next.output);
    t.equal(await gateway.metric('connections'), CLIENTS);
    await stopCurrent(gateway);
  });
}

t.test('systemd is told which process is the service, before the old one ends', async (t) => {
  // In the place of systemd-notify: every word of it in a file, one line a call.
  const directory = await tempDir(t);
  const words = join(directory, 'words');
  const program = join(directory, 'systemd-notify');
  await writeFile(program, `#!/bin/sh\necho "$@" >> ${words}\n`, { mode: 0o755 });
  const gateway = await startGateway(t, {
    workers: 1,
    env: { NOTIFY_SOCKET: join(directory, 'notify.sock'), PATH: `${directory}:${process.env['PATH'] ?? ''}` },
  });
  const { exit, output } = await gateway.command(t, 'upgrade');
  t.equal(exit.code, 0, output);
  const lines = (await readFile(words, 'utf8')).split('\n');
  const reloading = lines.findIndex((line) => line.startsWith('RELOADING=1'));
  const adopted = lines.findIndex((line) => line.startsWith(`MAINPID=${currentPrimary(gateway)} READY=1`));
  t.ok(reloading > 0 && adopted > reloading, lines.join('\n'));
  await stopCurrent(gateway);
});

t.test('under pm2 it is refused, with advice', async (t) => {
  const gateway = await startGateway(t, { workers: 1, env: { pm_id: '0' } });
  const { exit, output } = await gateway.command(t, 'upgrade');
  t.equal(exit.code, 1);
  t.match(output, /pm2 watches the process.*holdfast reload/s);
  t.same(await gateway.stop(), { code: 0, signal: null });
});
