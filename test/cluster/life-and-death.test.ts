// How the gateway ends, and how it replaces what ended against its will.
import { readdirSync } from 'node:fs';
import t from 'tap';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { accepts } from '../helpers/ports.ts';
import { CONFIG_FILE, type Gateway, startGateway } from '../helpers/gateway.ts';
import { ProtocolClient } from '../helpers/protocol-client.ts';
import { RawSocket } from '../helpers/raw-socket.ts';
import type { Scope } from '../helpers/scope.ts';
import { waitFor } from '../helpers/wait-for.ts';

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} tells everybody, ends with 0 and leaves nothing`, async (t) => {
    const gateway = await startGateway(t, { config: { shutdown: { timeout: '4s' } } });
    const clients = await connectMany(t, gateway, 40);
    const silent = await Promise.all(Array.from({ length: 10 }, () => RawSocket.upgraded(t, gateway.port)));
    const ended = gateway.stop(signal);
    for (const client of clients) {
      t.same(await client.closeFrame(), { code: 3001, reason: 'shutdown' });
    }
    for (const raw of silent) t.equal(await raw.closeCode(), 1001);
    t.same(await ended, { code: 0, signal: null });
    await nothingLeft(gateway);
    t.pass('nothing left');
  });
}

t.test('a worker that drains takes no new clients', async (t) => {
  const gateway = await startGateway(t, { config: { shutdown: { timeout: '30s' } } });
  await connectMany(t, gateway, 200);
  gateway.child.signal('SIGTERM');
  await waitFor('the refusal of new clients', async () => {
    const opening = ProtocolClient.open(t, gateway.wsUrl).then(
      () => false,
      () => true,
    );
    return opening;
  });
  t.equal(gateway.child.exit, undefined, 'still draining');
  // A second one hurries: the rest of the thirty seconds is not used.
  t.same(await gateway.child.stop('SIGTERM', 10_000), { code: 0, signal: null });
  await nothingLeft(gateway);
});

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

t.test('when the primary is killed, its workers do not stay', async (t) => {
  const gateway = await startGateway(t);
  await connectMany(t, gateway, 4);
  gateway.child.signal('SIGKILL');
  await gateway.child.exited;
  await waitFor('the end of the workers', () => !gateway.child.groupIsAlive);
  t.notOk(await accepts(gateway.port));
});

/** False when it was gone already. */
function killed(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

function connectMany(scope: Scope, gateway: Gateway, count: number): Promise<ProtocolClient[]> {
  return Promise.all(Array.from({ length: count }, () => ProtocolClient.connected(scope, gateway.wsUrl)));
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

async function nothingLeft(gateway: Gateway): Promise<void> {
  await waitFor('the end of its processes', () => !gateway.child.groupIsAlive);
  const files = readdirSync(gateway.directory).filter((name) => name !== CONFIG_FILE);
  if (files.length > 0) throw new Error(`left behind: ${files.join(', ')}`);
  if (await accepts(gateway.port)) throw new Error('the port is still open');
}
