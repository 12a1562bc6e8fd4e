// Somebody tells one of the two primaries to end in the middle of an upgrade: it does, in time, and nothing is left behind.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { childPids } from '../helpers/processes.ts';
import { RawSocket } from '../helpers/raw-socket.ts';
import type { Scope } from '../helpers/scope.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { currentPrimary, upgradeUntil } from '../helpers/upgrading.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 10;
const LIMIT_MS = 60_000;
const TOLD_MS = 5000;

async function crowdAt(scope: Scope, gateway: Gateway): Promise<Crowd> {
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS, withoutApi: true });
  await crowd.gather(scope);
  crowd.talk();
  return crowd;
}

/** A request that is never finished: its worker takes its time to end, and so the signal comes before it has. */
async function loiter(scope: Scope, gateway: Gateway): Promise<void> {
  const visitor = await RawSocket.open(scope, gateway.port);
  visitor.write('GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await visitor.head();
  visitor.write('GET /');
}

for (const state of ['starting', 'moving', 'closing', 'engine']) {
  t.test(`told to end, while ${state}: both primaries do, and nothing is left`, async (t) => {
    const temporary = await tempDir(t);
    const gateway = await startGateway(t, {
      config: { channel: CROWD_CHANNELS, http_server: { unix_socket: join(temporary, 'public.sock') } },
      env: { TMPDIR: temporary },
    });
    const crowd = await crowdAt(t, gateway);
    if (state === 'closing') await loiter(t, gateway);
    await upgradeUntil(t, gateway, state, () => gateway.child.signal('SIGTERM'));
    await waitFor('the end of the old primary', () => !isAlive(gateway.child.pid), LIMIT_MS);
    // While the engine moves it has milliseconds to live: a signal that comes when it exits already is for nobody.
    if (state === 'engine') {
      const isTold = (): boolean => gateway.logged('asked to leave').length > 0;
      const tell = (): unknown => process.kill(currentPrimary(gateway), 'SIGTERM');
      await waitFor('somebody to be told', isTold, TOLD_MS).catch(tell);
    }
    await waitFor('the end of all processes', () => !gateway.child.groupIsAlive, LIMIT_MS);
    t.notOk(gateway.logged('worker killed').length, 'all end by themselves');
    crowd.leave();
    await crowd.hush(false);
    t.same(await readdir(temporary), []);
    t.notOk((await readdir(gateway.directory)).includes('control.sock'));
  });
}

t.test('the new primary told to end: everybody is put back, and it goes', async (t) => {
  const temporary = await tempDir(t);
  const gateway = await startGateway(t, {
    config: { channel: CROWD_CHANNELS },
    env: { TMPDIR: temporary },
  });
  const crowd = await crowdAt(t, gateway);
  let successor = 0;
  const ended = await upgradeUntil(t, gateway, 'moving', (pid) => {
    successor = pid;
    process.kill(pid, 'SIGTERM');
  });
  t.match(ended, { code: 'HOLDFAST_UPGRADE', message: /the new primary got SIGTERM/ });
  t.equal(currentPrimary(gateway), gateway.child.pid);
  t.notOk((await childPids(gateway.child.pid)).includes(successor));
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  t.same(await gateway.stop(), { code: 0, signal: null });
  t.same(await readdir(temporary), []);
});

t.test(
  'the new primary told to end when it is too late to stop: it leaves once, and nobody hangs',
  async (t) => {
    const temporary = await tempDir(t);
    const gateway = await startGateway(t, {
      config: { channel: CROWD_CHANNELS },
      env: { TMPDIR: temporary },
    });
    const crowd = await crowdAt(t, gateway);
    let successor = 0;
    const ended = await upgradeUntil(t, gateway, 'closing', (pid) => {
      successor = pid;
      process.kill(pid, 'SIGTERM');
    });
    t.comment(ended instanceof Error ? ended.message : 'upgraded');
    await waitFor('its end', () => !isAlive(successor), LIMIT_MS);
    // A second time would mean to hurry.
    t.equal(gateway.logged('asked to leave').length, 1);
    t.notOk(gateway.logged('worker killed').length, 'all end by themselves');
    // It was the gateway by then, or the old one has gone on.
    if (gateway.child.exit === undefined && currentPrimary(gateway) === gateway.child.pid) {
      await waitFor('everybody to be there', () => crowd.connected === CLIENTS, LIMIT_MS);
      gateway.child.signal('SIGTERM');
    }
    await waitFor('the end of all processes', () => !gateway.child.groupIsAlive, LIMIT_MS);
    crowd.leave();
    await crowd.hush(false);
    t.same(await readdir(temporary), []);
  },
);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
