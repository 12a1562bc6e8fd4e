// Every method of the server API on the whole program: what a back end asks of one worker, clients of both workers see.
import t from 'tap';
import { API_KEY } from '../../helpers/gateway.ts';
import { isJson, type Json } from '../../helpers/server-frames.ts';
import { idOf, type TwoWorkers, twoWorkers } from '../../helpers/two-workers.ts';
import { waitFor } from '../../helpers/wait-for.ts';

let host: TwoWorkers;

t.before(async () => {
  host = await twoWorkers(t);
});

t.test('publish and broadcast', async (t) => {
  const [one, other] = await host.pair('u1');
  const subscriptions = [await one.subscribe('a'), await other.subscribe('a'), await other.subscribe('b')];
  const published = await host.call('publish', { channel: 'a', data: { n: 1 }, tags: { lang: 'en' } });
  t.match(published, { offset: 1, epoch: String });
  for (const subscription of subscriptions.slice(0, 2)) {
    t.match(await subscription.next('publication'), { data: { n: 1 }, offset: 1, tags: { lang: 'en' } });
  }
  const broadcast = await host.call('broadcast', { channels: ['a', 'nowhere:b', 'b'], data: { n: 2 } });
  t.match(broadcast, {
    responses: [{ result: { offset: 2 } }, { error: { code: 102 } }, { result: { offset: 1 } }],
  });
  for (const subscription of subscriptions) {
    t.match(await subscription.next('publication'), { data: { n: 2 } });
  }
  const repeated = { channel: 'a', data: { n: 3 }, idempotency_key: 'once' };
  t.strictSame(await host.call('publish', repeated), await host.call('publish', repeated));
  await host.call('publish', { channel: 'a', data: { n: 4 } });
  await waitFor('the last', () => subscriptions[0]?.publications.length === 4);
  t.strictSame(subscriptions[0]?.publications, [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }]);
});

t.test('subscribe and unsubscribe', async (t) => {
  const clients = await host.pair('u2');
  const stranger = await host.client('u3');
  await host.call('publish', { channel: 'serverside', data: 0 });
  await host.call('subscribe', {
    user: 'u2',
    channel: 'serverside',
    data: { hello: 1 },
    override: { force_recovery: { value: true } },
  });
  for (const client of clients) {
    t.match(await client.next('subscribed'), {
      channel: 'serverside',
      recoverable: true,
      data: { hello: 1 },
      streamPosition: { offset: 1 },
    });
  }
  await host.call('publish', { channel: 'serverside', data: 1 });
  for (const client of clients) {
    t.match(await client.next('publication'), { channel: 'serverside', data: 1, offset: 2 });
  }
  const kept = await clients[0].subscribe('kept');
  await host.call('unsubscribe', { user: 'u2', channel: 'serverside' });
  for (const client of clients) {
    t.match(await client.next('unsubscribed'), { channel: 'serverside' });
  }
  await host.call('unsubscribe', { client: idOf(clients[0]), channel: 'kept' });
  t.match(await kept.next('unsubscribed'), { code: 2000 });
  t.equal(stranger.count('subscribed'), 0);

  await host.call('subscribe', {
    client: idOf(clients[1]),
    channel: 'serverside',
    recover_since: { offset: 1, epoch: '' },
  });
  t.match(await clients[1].next('subscribed'), { streamPosition: { offset: 1 } });
  t.match(await clients[1].next('publication'), { data: 1, offset: 2 }, 'what it has missed');
  t.equal(clients[0].count('subscribed'), 1);
});

t.test('unsubscribe everyone from a channel', async (t) => {
  const one = await host.pair('u4');
  const two = await host.pair('u5');
  const subscriptions = await Promise.all([...one, ...two].map((client) => client.subscribe('closing')));
  await host.call('unsubscribe', { all_users: true, channel: 'closing', per_second: 1000 });
  for (const subscription of subscriptions) {
    t.match(await subscription.next('unsubscribed'), { code: 2000, reason: 'server unsubscribe' });
  }
});

t.test('disconnect: a user, a client, a channel, with who stays and with a pace', async (t) => {
  const [one, other] = await host.pair('u6');
  await host.call('disconnect', { user: 'u6', whitelist: [idOf(other)] });
  t.match(await one.next('disconnected'), { code: 3503, reason: 'force disconnect' });
  await host.call('disconnect', {
    client: idOf(other),
    disconnect: { code: 4500, reason: 'no more' },
  });
  t.match(await other.next('disconnected'), { code: 4500, reason: 'no more' });

  const crowd = [...(await host.pair('u7')), ...(await host.pair('u8'))];
  const outside = await host.client('u7');
  for (const client of crowd) await client.subscribe('evacuated');
  await host.call('disconnect', {
    channel: 'evacuated',
    per_second: 20,
    disconnect: { code: 4501, reason: 'closed' },
  });
  for (const client of crowd) t.match(await client.next('disconnected'), { code: 4501 });
  t.equal(outside.count('disconnected'), 0);
  t.match(await outside.subscribe('still-here'), {});
});

t.test('refresh', async (t) => {
  const [one, other] = await host.pair('u9');
  const inAWhile = Math.floor(Date.now() / 1000) + 3600;
  await host.call('refresh', { user: 'u9', expire_at: inAWhile, info: { name: 'new' } });
  // The push says nothing to this client; what it changed is seen in a later subscription.
  await waitFor('the new info', async () => {
    const subscription = one.client.newSubscription(`room${Math.random()}`);
    subscription.subscribe();
    await subscription.ready(5000);
    const { clients } = await subscription.presence();
    one.client.removeSubscription(subscription);
    return JSON.stringify(clients).includes('"connInfo":{"name":"new"}');
  });
  await host.call('refresh', { client: idOf(other), expired: true });
  t.match(await other.next('connecting'), { code: 3005, reason: 'connection expired' });
  t.equal(one.count('connected'), 1);
});

t.test('presence, presence_stats, history, history_remove', async (t) => {
  const [one, other] = await host.pair('u10');
  await one.subscribe('lounge');
  await other.subscribe('lounge');
  const { presence } = await host.call('presence', { channel: 'lounge' });
  t.match(presence, {
    [idOf(one)]: { user: 'u10', client: idOf(one) },
    [idOf(other)]: { user: 'u10', client: idOf(other) },
  });
  t.strictSame(await host.call('presence_stats', { channel: 'lounge' }), { num_clients: 2, num_users: 1 });

  for (const n of [1, 2, 3]) await host.call('publish', { channel: 'lounge', data: { n } });
  const all = await host.call('history', { channel: 'lounge', limit: -1 });
  t.match(all, { offset: 3, publications: [{ data: { n: 1 }, offset: 1 }, { offset: 2 }, { offset: 3 }] });
  const since = { offset: 3, epoch: all['epoch'] };
  t.match(await host.call('history', { channel: 'lounge', limit: 1, reverse: true, since }), {
    publications: [{ offset: 2 }],
  });
  await host.call('history_remove', { channel: 'lounge' });
  t.match(await host.call('history', { channel: 'lounge', limit: -1 }), { offset: 3, publications: [] });
});

t.test('info and channels', async (t) => {
  const [one, other] = await host.pair('u11');
  for (const name of ['page-a', 'page-b', 'page-c']) await one.subscribe(name);
  await other.subscribe('page-b');
  const info = await host.call('info');
  const { nodes } = info;
  if (!Array.isArray(nodes)) throw new Error('no nodes');
  t.equal(nodes.length, 2);
  for (const node of nodes) {
    t.match(node, { uid: String, num_clients: Number, process: { cpu: Number, rss: Number } });
    t.ok(isJson(node) && Number(node['num_clients']) > 0);
    t.ok(isJson(node) && isJson(node['process']) && Number(node['process']['rss']) > 10_000_000);
  }
  t.notOk('missing' in info);
  t.strictSame(await host.call('channels', { pattern: 'page-*' }), {
    channels: {
      'page-a': { num_clients: 1 },
      'page-b': { num_clients: 2 },
      'page-c': { num_clients: 1 },
    },
  });
  const first = await host.call('channels', { pattern: 'page-*', limit: 2 });
  t.strictSame(first, {
    channels: { 'page-a': { num_clients: 1 }, 'page-b': { num_clients: 2 } },
    cursor: 'page-b',
  });
  t.strictSame(await host.call('channels', { pattern: 'page-*', limit: 2, cursor: first['cursor'] }), {
    channels: { 'page-c': { num_clients: 1 } },
  });
});

t.test('connections', async (t) => {
  const pair = await host.pair('u12');
  await pair[0].subscribe('shown');
  const { connections } = await host.call('connections', { user: 'u12' });
  if (!isJson(connections)) throw new Error('no connections');
  t.strictSame(Object.keys(connections), pair.map(idOf).toSorted());
  t.match(connections[idOf(pair[0])], {
    user: 'u12',
    transport: 'websocket',
    protocol: 'json',
    app_name: 'js',
    channels: ['shown'],
    connected_at_ms: Number,
    last_activity_ms: Number,
    outbox_bytes: 0,
    remote_address: /127\.0\.0\.1/,
    user_agent: '',
    node: String,
  });
  const pages: string[] = [];
  let cursor: unknown = '';
  do {
    const page: Json = await host.call('connections', { user: 'u12', limit: 1, cursor });
    pages.push(...Object.keys(Object(page['connections'])));
    cursor = page['cursor'];
  } while (cursor !== undefined);
  t.strictSame(pages, pair.map(idOf).toSorted());
  t.match(await host.call('connections', { channel: 'shown' }), {
    connections: { [idOf(pair[0])]: { user: 'u12' } },
  });
  t.strictSame(await host.call('connections', { client: 'nobody' }), { connections: {} });
});

t.test('rpc and batch', async (t) => {
  t.match(await host.gateway.api('rpc', { method: 'nothing' }), { error: { code: 104 } });
  const [one, other] = await host.pair('u13');
  const subscriptions = [await one.subscribe('batched'), await other.subscribe('batched')];
  const batch = await host.gateway.api('batch', {
    commands: [
      { publish: { channel: 'batched', data: 1 } },
      { publish: { channel: 'nowhere:a', data: 1 } },
      { presence_stats: { channel: 'batched' } },
      { disconnect: { client: idOf(other) } },
    ],
  });
  t.match(batch, {
    replies: [
      { publish: { offset: 1 } },
      { error: { code: 102 } },
      { presence_stats: { num_clients: 2, num_users: 1 } },
      { disconnect: {} },
    ],
  });
  t.match(await subscriptions[0]?.next('publication'), { data: 1 });
  t.match(await other.next('disconnected'), { code: 3503 });
});

t.test('the document that describes all this', async (t) => {
  const response = await fetch(`${host.gateway.apiUrl}/openapi.json`, {
    headers: { 'X-API-Key': API_KEY },
  });
  const document: unknown = await response.json();
  if (!isJson(document) || !isJson(document['paths'])) throw new Error('no document');
  t.match(document, { openapi: '3.1.0' });
  t.ok('/api/connections' in document['paths']);
});
