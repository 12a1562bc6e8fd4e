// kill -9 of a worker at every step of a reload: what a living process owns lives on, nothing hangs, the next one goes through.
import t from 'tap';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { killIfAlive } from '../helpers/processes.ts';
import { ReloadRun } from '../helpers/reload-run.ts';
import { isJson } from '../helpers/server-frames.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 20;

/** The node that each client lives at. */
async function nodesOf(gateway: Gateway, crowd: Crowd): Promise<readonly unknown[]> {
  return Promise.all(
    crowd.clientIds.map(async (client) => {
      const answer = await gateway.api('connections', { client });
      const result = isJson(answer) ? answer['result'] : undefined;
      const connections = isJson(result) ? result['connections'] : undefined;
      const details = isJson(connections) ? connections[client] : undefined;
      return isJson(details) ? details['node'] : undefined;
    }),
  );
}

const STEPS = ['starting', 'checking', 'moving', 'closing'] as const;

t.test('a worker, old or new', async (t) => {
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS } });
  for (const victim of ['old', 'new'] as const) {
    for (const step of STEPS) {
      // Before it has started nobody knows which process it is.
      if (victim === 'new' && step === 'starting') continue;
      await t.test(`the ${victim} one, ${step}`, async (t) => {
        // New ones are spread evenly, whatever the last case has left.
        const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS, losesRequests: true });
        await crowd.gather(t);
        crowd.talk();
        const before = await gateway.workerPids();
        const nodes = await nodesOf(gateway, crowd);
        const connects = crowd.connects;
        const reload = await ReloadRun.begin(t, gateway);
        await reload.reaches(step);
        const pids = await gateway.workerPids();
        // The first worker is replaced first.
        const found = victim === 'old' ? before[0] : pids.find((pid) => !before.includes(pid));
        // What the old one does at the end may be done by now.
        if (found !== undefined && pids.includes(found)) killIfAlive(found);
        await reload.failure;
        await waitFor('two workers', async () => (await gateway.workerPids()).length === 2);
        await waitFor('everybody to be there', () => crowd.connected === CLIENTS);
        await waitFor(
          'nobody to be counted twice',
          async () => (await gateway.metric('connections')) === CLIENTS,
        );
        const cameBack = new Set(nodes.filter((_node, index) => crowd.connects[index] !== connects[index]));
        t.ok(cameBack.size <= 1, `clients of ${cameBack.size} workers had to come back`);
        if (victim === 'old' && step === 'starting') t.equal(cameBack.size, 1, 'its own clients did');
        await crowd.hush(false);
      });
    }
  }
  t.equal((await gateway.command(t, 'reload')).exit.code, 0, 'the next one goes through');
  t.same(await gateway.stop(), { code: 0, signal: null });
});
