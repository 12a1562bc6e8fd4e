// A back end that uses somebody else's library for the server API, as it is published.
import { CentClient, CentMethods } from 'cent.js';
import t from 'tap';
import { API_KEY } from '../helpers/gateway.ts';
import { idOf, twoWorkers } from '../helpers/two-workers.ts';

t.test('cent.js: every method it has', async (t) => {
  const host = await twoWorkers(t);
  const cent = new CentClient({ url: host.gateway.apiUrl, apiKey: API_KEY });
  const [one, other] = await host.pair('42');
  const subscriptions = [await one.subscribe('chat'), await other.subscribe('chat')];

  t.match(await cent.publish({ channel: 'chat', data: { n: 1 }, tags: { a: 'b' } }), { offset: 1 });
  t.match(await cent.broadcast({ channels: ['chat', 'other'], data: { n: 2 } }), {
    responses: [{ result: { offset: 2 } }, { result: { offset: 1 } }],
  });
  for (const subscription of subscriptions) {
    t.match(await subscription.next('publication'), { data: { n: 1 }, tags: { a: 'b' } });
    t.match(await subscription.next('publication'), { data: { n: 2 } });
  }

  await cent.subscribe({ user: '42', channel: 'alerts' });
  for (const client of [one, other]) t.match(await client.next('subscribed'), { channel: 'alerts' });
  t.match((await cent.getPresence({ channel: 'alerts' })).presence, { [idOf(one)]: { user: '42' } });
  t.strictSame(await cent.getPresenceStats({ channel: 'alerts' }), { num_clients: 2, num_users: 1 });

  t.match(await cent.getHistory({ channel: 'chat', limit: 10 }), {
    offset: 2,
    publications: [{ data: { n: 1 } }, { data: { n: 2 } }],
  });
  await cent.removeHistory({ channel: 'chat' });
  t.match(await cent.getHistory({ channel: 'chat', limit: 10 }), { offset: 2, publications: [] });

  t.match(await cent.getChannels(), { channels: { chat: { num_clients: 2 }, alerts: { num_clients: 2 } } });
  t.match(await cent.getChannels({ pattern: 'a*' }), { channels: { alerts: { num_clients: 2 } } });
  t.equal((await cent.getInfo()).nodes.length, 2);

  await cent.unsubscribe({ user: '42', channel: 'alerts' });
  for (const client of [one, other]) t.match(await client.next('unsubscribed'), { channel: 'alerts' });
  await cent.refresh({ user: '42' });
  await cent.disconnect({ user: '42', client: idOf(one) });
  t.match(await one.next('disconnected'), { code: 3503 });
  t.equal(other.count('disconnected'), 0);

  await t.rejects(cent.publish({ channel: 'nowhere:a', data: {} }), 'errors are thrown by the library');
});

t.test('cent.js: several commands in one request', async (t) => {
  const host = await twoWorkers(t);
  const cent = new CentClient({ url: host.gateway.apiUrl, apiKey: API_KEY });
  const results: unknown = await cent.pipeline([
    { method: CentMethods.Publish, params: { channel: 'a', data: { n: 1 } } },
    { method: CentMethods.Publish, params: { channel: 'a', data: { n: 2 } } },
  ]);
  t.match(results, [{ offset: 1 }, { offset: 2 }]);
});
