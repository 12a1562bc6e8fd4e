// An upgrade that ends while the new version is still being checked: the old one goes on, and of the new one nothing is left.
import { readdir } from 'node:fs/promises';
import { readdirSync, readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { connectControl } from '../../src/cluster/control-client.ts';
import { Child } from '../helpers/child.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { type Gateway, MAIN, startGateway } from '../helpers/gateway.ts';
import { childPids } from '../helpers/processes.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { currentPrimary, stopCurrent, upgradeUntil } from '../helpers/upgrading.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 10;
const LIMIT_MS = 60_000;

/** At once: what these processes are about to do, they do later. */
function stopAll(pids: readonly number[], signal: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of pids) process.kill(pid, signal);
}

function childPidsNow(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

async function abort(gateway: Gateway): Promise<void> {
  const control = await connectControl(gateway.controlSocket);
  await control.request('upgrade-abort');
  control.close();
}

t.test('the old gateway is as it was', async (t) => {
  const temporary = await tempDir(t);
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS }, env: { TMPDIR: temporary } });
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
    const ended = await upgradeUntil(t, gateway, 'checking', async () => {
      // The connection that tries the way waits for it.
      stopAll(workers, 'SIGSTOP');
      await abort(gateway);
      stopAll(workers, 'SIGCONT');
    });
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
    stopAll(workers, 'SIGSTOP');
    command.signal('SIGINT');
    const exit = await command.exited;
    stopAll(workers, 'SIGCONT');
    t.same(exit, { code: 1, signal: null });
    t.match(command.output, /stopped: by command/);
    await nothingIsLeft(t);
  });

  await t.test('a new worker that hangs is not waited for', async (t) => {
    const ended = await upgradeUntil(t, gateway, 'checking', (successor) => {
      stopAll(childPidsNow(successor), 'SIGSTOP');
    });
    t.match(ended, { message: /worker 1 of the new primary does not serve: .*it takes too long/ });
    await nothingIsLeft(t);
  });

  await waitFor('no descriptor to stay open in the primary', () => descriptors() <= open);
  crowd.talk();
  t.equal((await gateway.command(t, 'upgrade')).exit.code, 0, 'the next one goes through');
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  await stopCurrent(gateway);
});
