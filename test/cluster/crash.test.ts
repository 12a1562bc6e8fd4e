// How the gateway goes on when its processes end against its will.
import t from 'tap';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { accepts, freePort } from '../helpers/ports.ts';
import { ProtocolClient } from '../helpers/protocol-client.ts';
import { waitFor } from '../helpers/wait-for.ts';

t.test('a killed worker is replaced, and its clients come back with what they missed', async (t) => {
  const gateway = await startGateway(t, {
    config: {
      channel: { without_namespace: { history_size: 100, history_ttl: '60s', force_recovery: true } },
    },
  });
  const clients = await Promise.all(
    Array.from({ length: 8 }, () =>
      new OfficialClient(t, gateway.wsUrl, {
        options: { minReconnectDelay: 50, maxReconnectDelay: 500 },
      }).connect(),
    ),
  );
  const subscriptions = await Promise.all(clients.map((client) => client.subscribe('news')));
  const [victim = 0, survivor = 0] = await gateway.workerPids();
  await gateway.api('publish', { channel: 'news', data: 1 });
  process.kill(victim, 'SIGKILL');
  for (let number = 2; number <= 20; number += 1) await publishStubbornly(gateway, number);
  const expected = Array.from({ length: 20 }, (_, index) => index + 1);
  for (const subscription of subscriptions) {
    await waitFor('the last publication', () => subscription.publications.length >= expected.length);
    t.same(subscription.publications, expected);
  }
  const dropped = clients.filter((client) => client.count('connected') > 1).length;
  t.ok(dropped > 0 && dropped < clients.length, `${dropped} of ${clients.length} were on the killed worker`);
  const replaced = await waitFor('the replacement', async () => {
    const pids = await gateway.workerPids();
    return pids.length === 2 && !pids.includes(victim) ? pids : undefined;
  });
  t.ok(replaced.includes(survivor), 'the other worker lives on');
  t.same(await gateway.stop(), { code: 0, signal: null });
});

t.test('a crash loop is braked and said', async (t) => {
  const gateway = await startGateway(t);
  const [survivor] = await gateway.workerPids();
  const victims = new Set<number>();
  await waitFor(
    'the brake',
    async () => {
      // All but the first worker die as soon as they are seen.
      for (const pid of await gateway.workerPids()) if (pid !== survivor && killed(pid)) victims.add(pid);
      return gateway.logs.some(
        ({ level, msg }) => level === 'fatal' && /crashes in a loop/.test(String(msg)),
      );
    },
    60_000,
  );
  t.ok(victims.size <= 10, `braked after ${victims.size}`);
  const client = await ProtocolClient.connected(t, gateway.wsUrl);
  t.hasStrict(
    await client.command('publish', { channel: 'a', data: 1 }),
    { publish: {} },
    'the other one serves',
  );
  t.same(await gateway.stop(), { code: 0, signal: null });
});

t.test(
  'when the primary is killed, its workers go on for a while, and a new one takes over at once',
  async (t) => {
    const port = await freePort();
    const config = {
      http_server: { address: '127.0.0.1', port },
      handoff: { orphan_timeout: '4s' },
    };
    const gateway = await startGateway(t, { config });
    const clients = await Promise.all(
      Array.from({ length: 12 }, () =>
        new OfficialClient(t, gateway.wsUrl, {
          options: { minReconnectDelay: 20, maxReconnectDelay: 200 },
        }).connect(),
      ),
    );
    const orphans = await gateway.workerPids();
    gateway.child.signal('SIGKILL');
    const next = await startGateway(t, { config });
    const fresh = await ProtocolClient.connected(t, next.wsUrl);
    t.hasStrict(await fresh.command('publish', { channel: 'a', data: 1 }), { publish: {} });
    // They were sent here one after the other, none of them cut off.
    await waitFor('all clients at the new one', () =>
      clients.every((client) => client.count('connected') === 2),
    );
    for (const client of clients) t.equal(client.count('disconnected'), 0);
    await waitFor('the end of the orphans', () => !orphans.some(isAlive));
    t.same(await next.stop(), { code: 0, signal: null });
  },
);

t.test('without connections, workers of a killed primary do not stay', async (t) => {
  const gateway = await startGateway(t);
  gateway.child.signal('SIGKILL');
  await gateway.child.exited;
  await waitFor('the end of the workers', () => !gateway.child.groupIsAlive);
  t.notOk(await accepts(gateway.port));
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** False when it was gone already. */
function killed(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

/** A request may meet the killed worker: its caller has to try again, under a key that makes that harmless. */
async function publishStubbornly(gateway: Gateway, number: number): Promise<void> {
  await waitFor(`publication ${number}`, () =>
    gateway.api('publish', { channel: 'news', data: number, idempotency_key: `n${number}` }).then(
      (answer) => answer !== undefined,
      () => false,
    ),
  );
}
