// The server API of one host acts on the clients of another, and says so when a worker does not answer.
import t, { type Test } from 'tap';
import { Backend } from '../helpers/backend.ts';
import type { Gateway } from '../helpers/gateway.ts';
import { ProtocolClient } from '../helpers/protocol-client.ts';
import type { Scope } from '../helpers/scope.ts';
import { isJson, type Json } from '../helpers/server-frames.ts';
import { apiResult, clientsIn, knownNodes, twoHosts } from '../helpers/two-hosts.ts';
import { waitFor } from '../helpers/wait-for.ts';

const USER_HEADER = 'x-test-user';
const PRESENCE_BOUND_MS = 15_000;

t.test('two hosts', async (t) => {
  const backend = await Backend.start(t);
  const { a, b } = await twoHosts(t, {
    client: { insecure: true, user_id_http_header: USER_HEADER, user_connection_limit: 2 },
    channel: { without_namespace: { presence: true, allow_subscribe_for_client: true } },
    webhooks: {
      endpoint: backend.url,
      events: ['channel_occupied', 'channel_vacated'],
      batch_max_delay: '20ms',
    },
  });
  await t.test('connections are seen from every host', (t) => areSeen(t, a, b));
  await t.test('subscribe, unsubscribe, refresh and disconnect reach the other host', (t) =>
    areReached(t, a, b),
  );
  await t.test('a user has so many connections over both hosts', (t) => areLimited(t, a, b));
  await t.test('channels are occupied and vacated over both hosts', (t) => areTold(t, backend, a, b));
  await t.test('a worker that does not answer is named, and nobody hangs', (t) => isNamed(t, a, b));
  await t.test('what a killed worker owned is gone within the bound, on its own host too', (t) =>
    isGone(t, a, b),
  );
  await t.test('the last subscriber of a killed host vacates', (t) => isVacated(t, backend, a, b));
});

async function connectAs(scope: Scope, gateway: Gateway, user: string): Promise<ProtocolClient> {
  const client = await openAs(scope, gateway, user);
  const reply = await client.command('connect');
  if (reply['connect'] === undefined) throw new Error(`not connected: ${JSON.stringify(reply)}`);
  return client;
}

function openAs(scope: Scope, { wsUrl }: Gateway, user: string): Promise<ProtocolClient> {
  return ProtocolClient.open(scope, wsUrl, { headers: { [USER_HEADER]: user } });
}

async function connectionsOf(gateway: Gateway, user: string): Promise<readonly unknown[]> {
  const { connections } = await apiResult(gateway, 'connections', { user });
  return isJson(connections) ? Object.values(connections) : [];
}

async function areSeen(t: Test, a: Gateway, b: Gateway): Promise<void> {
  const [one, other] = [await connectAs(t, a, 'seen'), await connectAs(t, b, 'seen')];
  await one.command('subscribe', { channel: 'lobby' });
  for (const host of [a, b]) {
    const connections = await connectionsOf(host, 'seen');
    t.equal(connections.length, 2);
    t.equal(new Set(connections.map((each) => isJson(each) && each['node'])).size, 2, 'of two nodes');
    const inLobby = await apiResult(host, 'connections', { channel: 'lobby' });
    t.equal(isJson(inLobby['connections']) && Object.keys(inLobby['connections']).length, 1);
    t.match(await apiResult(host, 'channels', { pattern: 'lob*' }), {
      channels: { lobby: { num_clients: 1 } },
    });
    t.equal((await knownNodes(host)).length, 4);
  }
  await Promise.all([one.close(), other.close()]);
}

function isAbout(kind: string): (push: Json) => boolean {
  return (push) => isJson(push[kind]);
}

async function areReached(t: Test, a: Gateway, b: Gateway): Promise<void> {
  const client = await connectAs(t, a, 'reached');
  await apiResult(b, 'subscribe', { user: 'reached', channel: 'ordered' });
  t.match(await client.push('a subscribe push', isAbout('subscribe')), { channel: 'ordered' });
  t.equal(await clientsIn(b, 'ordered'), 1);
  await apiResult(b, 'unsubscribe', { user: 'reached', channel: 'ordered' });
  t.match(await client.push('an unsubscribe push', isAbout('unsubscribe')), {
    channel: 'ordered',
    unsubscribe: { code: 2000 },
  });
  await waitFor('presence to follow', async () => (await clientsIn(b, 'ordered')) === 0);
  await apiResult(b, 'refresh', { user: 'reached', expired: true });
  t.equal((await client.closeFrame()).code, 3005);
  const again = await connectAs(t, a, 'reached');
  await apiResult(b, 'disconnect', { user: 'reached', disconnect: { code: 4321, reason: 'out' } });
  t.same(await again.closeFrame(), { code: 4321, reason: 'out' });
}

async function areLimited(t: Test, a: Gateway, b: Gateway): Promise<void> {
  const [one, other] = [await connectAs(t, a, 'limited'), await connectAs(t, b, 'limited')];
  const third = await openAs(t, b, 'limited');
  third.send({ id: 1, connect: {} });
  t.equal((await third.closeFrame()).code, 3504);
  await one.close();
  const fourth = await waitFor('the place that is free again', async () => {
    const client = await openAs(t, b, 'limited');
    const reply: Json = await client.command('connect').catch(() => ({}));
    return 'connect' in reply && client;
  });
  await Promise.all([other.close(), fourth.close()]);
}

/** Events of this channel so far, in the order of their time. */
function eventsOf(backend: Backend, channel: string): readonly unknown[] {
  return backend.calls
    .flatMap(({ text }) => {
      const body: unknown = JSON.parse(text);
      return isJson(body) && Array.isArray(body['events']) ? body['events'].filter(isJson) : [];
    })
    .filter((event) => event['channel'] === channel)
    .toSorted((one, other) => Number(one['time_ms']) - Number(other['time_ms']))
    .map((event) => event['type']);
}

async function areTold(t: Test, backend: Backend, a: Gateway, b: Gateway): Promise<void> {
  const [one, other] = [await connectAs(t, a, 'one'), await connectAs(t, b, 'other')];
  await one.command('subscribe', { channel: 'occupied' });
  await other.command('subscribe', { channel: 'occupied' });
  await waitFor('the event', () => eventsOf(backend, 'occupied').length > 0);
  await one.close();
  await other.command('unsubscribe', { channel: 'occupied' });
  await waitFor('the other event', () => eventsOf(backend, 'occupied').includes('channel_vacated'));
  t.same(eventsOf(backend, 'occupied'), ['channel_occupied', 'channel_vacated']);
  await other.close();
}

async function isNamed(t: Test, a: Gateway, b: Gateway): Promise<void> {
  const before = await knownNodes(b);
  const [pid = 0] = await a.workerPids();
  process.kill(pid, 'SIGSTOP');
  try {
    const info = await apiResult(b, 'info');
    const { missing } = info;
    t.equal(Array.isArray(missing) && missing.length, 1);
    t.ok(Array.isArray(missing) && before.includes(String(missing[0])), 'by its id');
    t.equal(Array.isArray(info['nodes']) && info['nodes'].length, 3);
    t.match(await apiResult(b, 'channels'), { missing });
    t.match(await apiResult(b, 'connections'), { missing });
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await waitFor('all to answer again', async () => {
    const info = await apiResult(b, 'info');
    return info['missing'] === undefined && Array.isArray(info['nodes']) && info['nodes'].length === 4;
  });
}

async function isGone(t: Test, a: Gateway, b: Gateway): Promise<void> {
  const clients = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => {
      const client = await connectAs(t, a, `lodger${index}`);
      await client.command('subscribe', { channel: 'house' });
      return client;
    }),
  );
  let left = clients.length;
  for (const client of clients) void client.closed.then(() => (left -= 1));
  const [pid = 0] = await a.workerPids();
  process.kill(pid, 'SIGKILL');
  await waitFor('its connections to end', () => left < clients.length);
  const startMs = performance.now();
  await waitFor(
    'their presence to go',
    async () => (await clientsIn(a, 'house')) === left && (await clientsIn(b, 'house')) === left,
    PRESENCE_BOUND_MS,
  );
  t.ok(left > 0, 'the other worker of the host goes on');
  t.comment(`gone after ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  const swept =
    (await a.metric('engine_swept_workers_total')) + (await b.metric('engine_swept_workers_total'));
  t.ok(swept >= 1);
}

async function isVacated(t: Test, backend: Backend, a: Gateway, b: Gateway): Promise<void> {
  const client = await connectAs(t, a, 'last');
  await client.command('subscribe', { channel: 'deserted' });
  await waitFor('the event', () => eventsOf(backend, 'deserted').length > 0);
  process.kill(-a.child.pid, 'SIGKILL');
  await waitFor(
    'the channel to be vacated',
    () => eventsOf(backend, 'deserted').includes('channel_vacated'),
    PRESENCE_BOUND_MS,
  );
  t.same(eventsOf(backend, 'deserted'), ['channel_occupied', 'channel_vacated']);
  await waitFor('its workers to go', async () => (await knownNodes(b)).length === 2);
}
