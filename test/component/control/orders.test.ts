// Orders of the server API, as a worker carries them out on its connections.
import t from 'tap';
import { Control } from '../../../src/commands/control.ts';
import type { NodeBus } from '../../../src/engine/node-bus.ts';
import {
  ControlKinds,
  type DisconnectControl,
  type RefreshControl,
  type SubscribeControl,
  type UnsubscribeControl,
} from '../../../src/hub/control-messages.ts';
import { Orders } from '../../../src/hub/control-orders.ts';
import { Core, type CoreClient, type CoreOptions } from '../../helpers/core-harness.ts';
import { deferred } from '../../helpers/deferred.ts';
import type { Scope } from '../../helpers/scope.ts';
import { isJson, type Json } from '../../helpers/server-frames.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const OPEN_CLIENT = { insecure: true, ping_interval: '24h' };
const HISTORY = {
  without_namespace: { history_size: 10, history_ttl: '60s', presence: true, join_leave: true },
};

async function setUp(scope: Scope, options: CoreOptions = {}) {
  const core = await Core.start(scope, { client: OPEN_CLIENT, channel: HISTORY, ...options });
  const troubles: unknown[] = [];
  const orders = new Orders({
    nowMs: () => core.clock.monotonicMs(),
    onTrouble: (error) => troubles.push(error),
  });
  scope.teardown(() => orders.close());
  const bus: NodeBus = core.engineClient.nodes;
  new Control({ commands: core.commands, bus, orders }).register();
  const tell = (kind: string, order: object): Promise<void> => bus.broadcast(kind, order);
  return {
    core,
    orders,
    troubles,
    subscribe: (target: object, over: Partial<SubscribeControl> = {}) =>
      tell(ControlKinds.subscribe, {
        target,
        channel: 'news',
        expireAt: 0,
        override: {},
        perSecond: 0,
        ...over,
      } satisfies SubscribeControl),
    unsubscribe: (target: object, channel = 'news') =>
      tell(ControlKinds.unsubscribe, { target, channel, perSecond: 0 } satisfies UnsubscribeControl),
    disconnect: (target: object, over: Partial<DisconnectControl> = {}) =>
      tell(ControlKinds.disconnect, {
        target,
        whitelist: [],
        code: 3503,
        reason: '',
        perSecond: 0,
        ...over,
      } satisfies DisconnectControl),
    refresh: (target: object, over: Partial<RefreshControl> = {}) =>
      tell(ControlKinds.refresh, {
        target,
        expired: false,
        expireAt: 0,
        perSecond: 0,
        ...over,
      } satisfies RefreshControl),
  };
}

async function subscribed(client: CoreClient, channel = 'news'): Promise<Json> {
  const push = await client.push(`the subscribe push of ${channel}`, (each) => isJson(each['subscribe']));
  const { subscribe } = push;
  if (push['channel'] !== channel || !isJson(subscribe)) throw new Error(JSON.stringify(push));
  return subscribe;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

t.test('a server-side subscription on a live connection', async (t) => {
  const { core, subscribe } = await setUp(t);
  const client = await core.user('u');
  const other = await core.user('v');
  await subscribe({ user: 'u' }, { data: base64('{"d":1}'), info: base64('{"i":1}') });
  t.strictSame(await subscribed(client), { data: { d: 1 } });
  await core.publish('news', 'one', { historySize: 0 });
  t.strictSame(await client.receives('news', 1), ['one']);
  t.strictSame(other.transport.pushes, [], 'nobody else');
  t.match(await core.presence.get('news'), [{ user: 'u', chanInfo: Buffer.from('{"i":1}') }]);
  t.match(await client.command('subscribe', { channel: 'news' }), { error: { code: 105 } });

  await subscribe({ user: 'u' });
  await core.publish('news', 'two', { historySize: 0 });
  await client.receives('news', 2);
  t.equal(client.transport.pushes.filter((push) => isJson(push['subscribe'])).length, 1, 'once is enough');
});

t.test('publications that arrive meanwhile follow the subscribe push, none is lost', async (t) => {
  const reached = deferred<void>();
  const gate = deferred<void>();
  const { core, subscribe } = await setUp(t, {
    wrapBroker: (broker) => ({
      subscribe: (channel) => broker.subscribe(channel),
      unsubscribe: (channel) => broker.unsubscribe(channel),
      publish: (...args) => broker.publish(...args),
      publishJoin: (...args) => broker.publishJoin(...args),
      publishLeave: (...args) => broker.publishLeave(...args),
      removeHistory: (channel) => broker.removeHistory(channel),
      history: async (...args) => {
        const result = await broker.history(...args);
        reached.resolve();
        await gate.promise;
        return result;
      },
    }),
  });
  await core.publish('news', 1);
  await core.publish('news', 2);
  const client = await core.user('u');
  await subscribe({ user: 'u' }, { override: { forceRecovery: true } });
  await reached.promise;
  await core.publish('news', 3);
  gate.resolve();
  t.match(await subscribed(client), { recoverable: true, positioned: true, offset: 2 });
  t.strictSame(await client.receives('news', 1), [3]);
  t.match(client.publications('news'), [{ offset: 3 }]);
  const kinds = client.transport.pushes.map((push) => Object.keys(push).join());
  t.ok(kinds.indexOf('channel,subscribe') < kinds.indexOf('channel,pub'), kinds.join(' '));
});

t.test('recovery from a position the application names', async (t) => {
  const { core, subscribe } = await setUp(t);
  for (const n of [1, 2, 3]) await core.publish('news', n);
  const { top } = await core.broker.history('news', { limit: 0, reverse: false, historyMetaTtlMs: 60_000 });
  const client = await core.user('u');
  await subscribe({ user: 'u' }, { recoverSince: { offset: 1, epoch: top.epoch } });
  t.match(await subscribed(client), { recoverable: true, offset: 1, epoch: top.epoch });
  await core.publish('news', 4);
  t.strictSame(await client.receives('news', 3), [2, 3, 4]);
  t.match(client.publications('news'), [{ offset: 2 }, { offset: 3 }, { offset: 4 }]);

  const late = await core.user('w');
  await subscribe({ user: 'w' }, { recoverSince: { offset: 1, epoch: 'another' } });
  t.match(await subscribed(late), { offset: 4, epoch: top.epoch }, 'lost: it begins at the top');
  await core.publish('news', 5);
  t.strictSame(await late.receives('news', 1), [5]);
});

t.test('what the order overrides', async (t) => {
  const { core, subscribe } = await setUp(t);
  const client = await core.user('u');
  const watcher = await core.user('w');
  await subscribe({ user: 'w' }, { override: { forcePushJoinLeave: true } });
  await subscribed(watcher);
  await subscribe({ user: 'u' }, { override: { presence: false, forcePositioning: true } });
  t.match(await subscribed(client), { positioned: true, recoverable: undefined });
  await watcher.push('a join', (push) => isJson(push['join']) && JSON.stringify(push).includes('"u"'));
  t.match(await core.presence.get('news'), [{ user: 'w' }]);
});

t.test('an expiry that passes closes the connection, one that has passed is no subscription', async (t) => {
  const { core, subscribe } = await setUp(t);
  const client = await core.user('u');
  const nowS = Math.floor(core.clock.wallMs() / 1000);
  await subscribe({ user: 'u' }, { channel: 'past', expireAt: nowS - 1 });
  await subscribe({ user: 'u' }, { expireAt: nowS + 60 });
  await subscribed(client);
  t.strictSame([...client.connection.subscriptions.keys()], ['news']);
  core.pass(62_000);
  t.equal(await client.closed(), 'subscription_expired');
});

t.test('over the channel limit the connection is closed', async (t) => {
  const { core, subscribe } = await setUp(t, { client: { insecure: true, channel_limit: 1 } });
  const client = await core.user('u');
  await client.subscribe('other');
  await subscribe({ user: 'u' });
  t.equal(await client.closed(), 'channel_limit');
});

t.test('a channel that is unknown here, and an engine that is away', async (t) => {
  const { core, subscribe, troubles } = await setUp(t);
  const client = await core.user('u');
  await subscribe({ user: 'u' }, { channel: 'nowhere:a' });
  await waitFor('the warning', () => core.logs.some((line) => line.includes('unknown here')));
  t.equal(client.connection.subscriptions.size, 0);

  const failing = await setUp(t, {
    wrapPresence: (presence) => ({
      add: () => Promise.reject(new Error('away')),
      remove: (...args) => presence.remove(...args),
      handOver: (...args) => presence.handOver(...args),
      get: (channel) => presence.get(channel),
      stats: (channel) => presence.stats(channel),
    }),
  });
  const unlucky = await failing.core.user('u');
  await failing.subscribe({ user: 'u' });
  await waitFor('the failure', () => failing.troubles.length === 1);
  t.equal(unlucky.connection.subscriptions.size, 0);
  t.equal(failing.core.hub.channelCount, 0);
  t.notOk(unlucky.connection.isClosed);
  t.strictSame(troubles, []);
});

t.test('targets: user, client, session, channel, everyone', async (t) => {
  const { core, disconnect } = await setUp(t);
  const make = async () => {
    const clients = {
      a1: await core.user('a'),
      a2: await core.user('a'),
      b: await core.connected({ token: '' }, { session: { client: 'client-b', secret: 'secret-of-b' } }),
    };
    await clients.a1.subscribe('room');
    return clients;
  };
  type Clients = Awaited<ReturnType<typeof make>>;
  const cases: [object, (keyof Clients)[]][] = [
    [{ user: 'a' }, ['a1', 'a2']],
    [{ user: '' }, ['b']],
    [{ user: 'nobody' }, []],
    [{ client: 'client-b' }, ['b']],
    [{ client: 'client-b', user: 'a' }, []],
    [{ session: 'secret-of-b' }, ['b']],
    [{ session: 'secret-of-b', client: 'other' }, []],
    [{ session: 'secret-of-c' }, []],
    [{ session: '' }, []],
    [{ channel: 'room' }, ['a1']],
    [{ channel: 'room', user: 'a' }, ['a1']],
    [{ channel: 'room', user: '' }, []],
    [{ channel: 'empty' }, []],
    [{}, ['a1', 'a2', 'b']],
  ];
  for (const [target, expected] of cases) {
    const clients = await make();
    await disconnect(target);
    // Orders come in order: when this one has been carried out, so has the one before.
    const marker = await core.user('marker');
    await disconnect({ user: 'marker' });
    await marker.closed();
    const closed = Object.entries(clients).filter(([, client]) => client.connection.isClosed);
    t.strictSame(
      closed.map(([name]) => name),
      expected,
      JSON.stringify(target),
    );
    for (const client of Object.values(clients)) client.vanish();
  }
  t.match(core.registered, { open: 0, connections: 0, subscriptions: 0 });
  t.notMatch(core.logs.join(''), 'secret-of', 'a session is a secret');
});

t.test('disconnect: codes, reasons and who stays', async (t) => {
  const { core, disconnect } = await setUp(t);
  const cases: [over: Partial<DisconnectControl>, name: string, code: number, reason: string][] = [
    [{}, 'force_disconnect', 3503, 'force disconnect'],
    [{ code: 3503, reason: 'bye' }, 'force_disconnect', 3503, 'bye'],
    [{ code: 3011 }, 'force_reconnect', 3011, 'force reconnect'],
    [{ code: 3005, reason: 'connection expired' }, 'expired', 3005, 'connection expired'],
    [{ code: 4001, reason: 'moved' }, 'application', 4001, 'moved'],
    [{ code: 4999, reason: '{"a":1}' }, 'application', 4999, 'reason: {"a":1}'],
  ];
  for (const [over, name, code, reason] of cases) {
    const leaving = await core.user('u');
    const staying = await core.user('u');
    await disconnect({ user: 'u' }, { ...over, whitelist: [staying.connection.session.client] });
    t.equal(await leaving.closed(), name);
    t.match(leaving.transport.closedWith, { name, code, reason });
    t.notOk(staying.connection.isClosed);
    staying.vanish();
  }
});

t.test('disconnect with a pace spares who has left the channel meanwhile', async (t) => {
  const { core, orders, disconnect } = await setUp(t);
  const clients = [await core.user('a'), await core.user('b'), await core.user('c')];
  for (const client of clients) await client.subscribe('room');
  await disconnect({ channel: 'room' }, { perSecond: 1 });
  const [first, second, third] = clients;
  t.equal(await first?.closed(), 'force_disconnect');
  t.equal(orders.size, 1);
  await second?.command('unsubscribe', { channel: 'room' });
  core.clock.advance(1000);
  orders.advance();
  core.clock.advance(1000);
  orders.advance();
  t.equal(await third?.closed(), 'force_disconnect');
  t.notOk(second?.connection.isClosed);
  t.equal(orders.size, 0);
});

t.test('unsubscribe: one channel or all, client-side and server-side', async (t) => {
  const { core, subscribe, unsubscribe } = await setUp(t);
  const client = await core.user('u');
  await client.subscribe('a');
  await client.subscribe('b');
  await subscribe({ user: 'u' });
  await subscribed(client);
  await unsubscribe({ user: 'u' }, 'a');
  t.strictSame(await client.unsubscribed('a'), { code: 2000, reason: 'server unsubscribe' });
  t.strictSame([...client.connection.subscriptions.keys()], ['b', 'news']);
  await unsubscribe({}, '');
  t.match(await client.unsubscribed('b'), { code: 2000 });
  t.match(await client.unsubscribed('news'), { code: 2000 });
  t.equal(core.hub.subscriptionCount, 0);
  await waitFor('presence to end', async () => (await core.presence.get('news')).length === 0);
});

t.test('unsubscribe of a subscription that is being made ends it', async (t) => {
  const gate = deferred<void>();
  const entered = deferred<void>();
  const { core, unsubscribe } = await setUp(t, {
    wrapPresence: (presence) => ({
      add: async (...args) => {
        entered.resolve();
        await gate.promise;
        await presence.add(...args);
      },
      remove: (...args) => presence.remove(...args),
      handOver: (...args) => presence.handOver(...args),
      get: (channel) => presence.get(channel),
      stats: (channel) => presence.stats(channel),
    }),
  });
  const client = await core.user('u');
  const reply = client.command('subscribe', { channel: 'news' });
  await entered.promise;
  await unsubscribe({ user: 'u' });
  await waitFor('the order', () => client.connection.subscriptions.size === 0);
  gate.resolve();
  t.match(await reply, { error: { code: 103 } });
  t.equal(core.hub.channelCount, 0);
  await waitFor('presence to end', async () => (await core.presence.get('news')).length === 0);
  t.match(await client.subscribe('news'), {});
});

const isRefresh = (push: Json): boolean => isJson(push['refresh']);

t.test('refresh: expired, prolonged, with new info', async (t) => {
  const { core, refresh } = await setUp(t);
  const nowS = Math.floor(core.clock.wallMs() / 1000);
  const gone = await core.user('gone');
  await refresh({ user: 'gone' }, { expired: true });
  t.equal(await gone.closed(), 'expired');
  const past = await core.user('past');
  await refresh({ user: 'past' }, { expireAt: nowS - 1 });
  t.equal(await past.closed(), 'expired');

  const client = await core.user('u');
  await refresh({ user: 'u' }, { expireAt: nowS + 100, info: base64('{"new":1}') });
  t.match(await client.push('a refresh', isRefresh), { refresh: { expires: true, ttl: 100 } });
  t.equal(client.connection.session.connInfo?.toString(), '{"new":1}');
  core.pass(50_000);
  await refresh({ user: 'u' }, { expireAt: nowS + 200 });
  t.match(await client.push('a refresh', isRefresh), { refresh: { ttl: 150 } });
  core.pass(100_000);
  t.notOk(client.connection.isClosed, 'the later expiry counts');
  core.pass(60_000);
  t.equal(await client.closed(), 'expired');

  const forever = await core.user('f');
  await refresh({ user: 'f' }, { expireAt: Math.floor(core.clock.wallMs() / 1000) + 10 });
  await forever.push('a refresh', isRefresh);
  await refresh({ user: 'f' });
  t.strictSame(await forever.push('a refresh', isRefresh), { refresh: {} });
  core.pass(20_000);
  t.notOk(forever.connection.isClosed);
});

t.test('an order that nobody can read is refused, and the worker goes on', async (t) => {
  const { core, disconnect } = await setUp(t);
  const client = await core.user('u');
  for (const kind of Object.values(ControlKinds)) {
    await core.engineClient.nodes.broadcast(kind, { target: 7 });
  }
  await disconnect({ user: 'u' });
  t.equal(await client.closed(), 'force_disconnect');
});
