// kill -9 of the primary at every step of a reload: its workers go on for a while, a new primary takes clients at once.
import t from 'tap';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { startGateway } from '../helpers/gateway.ts';
import { freePort } from '../helpers/ports.ts';
import { ReloadRun } from '../helpers/reload-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 20;

t.test('the primary, again and again', async (t) => {
  const port = await freePort();
  const config = {
    channel: CROWD_CHANNELS,
    http_server: { address: '127.0.0.1', port },
    handoff: { orphan_timeout: '2s' },
  };
  let gateway = await startGateway(t, { config });
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS, losesRequests: true });
  await crowd.gather(t);
  crowd.talk();
  for (const step of ['starting', 'checking', 'moving', 'closing']) {
    const reload = await ReloadRun.begin(t, gateway);
    await reload.reaches(step);
    const { child } = gateway;
    child.signal('SIGKILL');
    t.match(await reload.failure, Error, `${step}: whoever waits for the reload hears that it will not end`);
    const next = await startGateway(t, { config });
    await waitFor('the workers of the one before to end', () => !child.groupIsAlive, 60_000);
    await waitFor('everybody to be there', () => crowd.connected === CLIENTS);
    await waitFor('nobody to be counted twice', async () => (await next.metric('connections')) === CLIENTS);
    gateway = next;
  }
  await crowd.hush(false);
  t.equal((await gateway.command(t, 'reload')).exit.code, 0, 'it is not stuck: the next one goes through');
  t.equal(await gateway.metric('connections'), CLIENTS);
  t.same(await gateway.stop(), { code: 0, signal: null });
});
