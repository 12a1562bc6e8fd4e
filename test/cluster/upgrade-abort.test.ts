// An upgrade that ends while the new version is still being checked: the old one goes on, and of the new one nothing is left.
import { readdirSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { connectControl } from '../../src/cluster/control/control-client.ts';
import { Child } from '../helpers/child.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { childPids } from '../helpers/processes.ts';
import { MAIN } from '../helpers/program.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { currentPrimary, stopCurrent, upgradeUntil } from '../helpers/upgrading.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 10;
const LIMIT_MS = 60_000;

/** An application whose worker stands still when it is given a connection: the one that tries the way, before all others. */
function standsStill(ms: string): string {
  return `process.on('message', ({ type }) => {
    if (type === 'move-in') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${ms});
  });
  export default { disconnect() {} };`;
}

const HARMLESS = 'export default { disconnect() {} };';
/** Long enough to be told to stop meanwhile. */
const SLOW = standsStill('2000');
const HANGS = standsStill('Infinity');

async function abort(gateway: Gateway): Promise<void> {
  const control = await connectControl(gateway.controlSocket);
  await control.request('upgrade-abort');
  control.close();
}

t.test('the old gateway is as it was', async (t) => {
  const temporary = await tempDir(t);
  const module = join(await tempDir(t), 'app.mjs');
  await writeFile(module, HARMLESS);
  const gateway = await startGateway(t, {
    config: { channel: CROWD_CHANNELS, app: { module } },
    env: { TMPDIR: temporary },
  });
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS, withoutApi: true });
  await crowd.gather(t);
  const workers = await gateway.workerPids();
  const files = await readdir(temporary);
  const descriptors = (): number => readdirSync(`/proc/${gateway.child.pid}/fd`).length;
  const open = descriptors();

  async function nothingIsLeft(t: Test): Promise<void> {
    t.equal(currentPrimary(gateway), gateway.child.pid);
    t.same(await childPids(gateway.child.pid), workers, 'no other process');
    t.same(await readdir(temporary), files, 'no other file');
    t.same(await readdir(gateway.directory), ['config.json', 'control.sock']);
    t.equal(crowd.undisturbed, CLIENTS);
    t.equal(await gateway.metric('connections'), CLIENTS);
  }

  await t.test('stopped by another command', async (t) => {
    await writeFile(module, SLOW);
    const ended = await upgradeUntil(t, gateway, 'checking', () => abort(gateway));
    t.match(ended, { code: 'HOLDFAST_UPGRADE', message: 'stopped: by command' });
    await nothingIsLeft(t);
  });

  await t.test('Ctrl-C in the command', async (t) => {
    const command = new Child(t, process.execPath, [
      MAIN,
      'upgrade',
      '--json',
      '--config',
      gateway.configFile,
    ]);
    await command.waitUntil('the check', () => command.output.includes('"checking"'), LIMIT_MS);
    command.signal('SIGINT');
    t.same(await command.exited, { code: 1, signal: null });
    t.match(command.output, /stopped: by command/);
    await nothingIsLeft(t);
  });

  await t.test('a new worker that hangs is not waited for', async (t) => {
    await writeFile(module, HANGS);
    const ended = await upgradeUntil(t, gateway, 'checking', () => undefined);
    t.match(ended, { message: /worker [12] of the new primary does not serve: .*it takes too long/ });
    await nothingIsLeft(t);
  });

  await waitFor('no descriptor to stay open in the primary', () => descriptors() <= open);
  await writeFile(module, HARMLESS);
  crowd.talk();
  t.equal((await gateway.command(t, 'upgrade')).exit.code, 0, 'the next one goes through');
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  await stopCurrent(gateway);
});
