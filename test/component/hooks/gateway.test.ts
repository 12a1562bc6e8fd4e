// The whole program with webhooks: what a back end decides is what clients see.
import t from 'tap';
import { Backend, type BackendCall, raw } from '../../helpers/backend.ts';
import { OfficialClient } from '../../helpers/centrifuge.ts';
import { startGateway } from '../../helpers/gateway.ts';
import { ProtocolClient } from '../../helpers/protocol-client.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const ANSWERS: Record<string, (body: Record<string, unknown>, call: BackendCall) => object> = {
  '/connect': ({ data }, { headers }) => {
    if (data === 'stranger') return {};
    if (data === 'banned') return { error: { code: 1001, message: 'banned' } };
    if (data === 'gone') return { disconnect: { code: 4500, reason: 'gone' } };
    const user = String(headers['x-user'] ?? 'nobody');
    return { result: { user, data: { welcome: user }, meta: { secret: 1 }, channels: ['news'] } };
  },
  '/subscribe': ({ channel, user, meta }) =>
    channel === 'chat:closed'
      ? { error: { code: 1002, message: 'closed' } }
      : { result: { data: { channel, user, meta } } },
  '/publish': ({ data }) => {
    if (data === 'drop') return { result: { drop: true } };
    return data === 'shout' ? { result: { data: 'SHOUT' } } : { result: {} };
  },
  '/rpc': ({ method, data }) => ({ result: { data: { method, data } } }),
};

t.test('a back end decides about everything', async (t) => {
  const backend = await Backend.start(t);
  backend.answer = (call, response) => {
    const body: Record<string, unknown> = JSON.parse(call.text);
    const answer = ANSWERS[call.path]?.(body, call);
    if (answer === undefined) response.writeHead(500).end('<html>');
    else response.end(JSON.stringify(answer));
  };
  const endpoint = (path: string) => ({ endpoint: `${backend.url}${path}`, timeout: '10s' });
  const gateway = await startGateway(t, {
    config: {
      client: {
        insecure: false,
        proxy: { connect: { enabled: true, ...endpoint('/connect'), emulated_headers: ['X-User'] } },
      },
      channel: {
        without_namespace: { presence: true },
        namespaces: [
          {
            name: 'chat',
            subscribe_proxy_enabled: true,
            subscribe_proxy_name: 'chat',
            publish_proxy_enabled: true,
          },
        ],
        proxy: { publish: endpoint('/publish') },
      },
      proxies: [
        { name: 'chat', ...endpoint('/subscribe'), include_connection_meta: true },
        { name: 'broken', ...endpoint('/no-such-page') },
      ],
      rpc: {
        proxy: endpoint('/rpc'),
        without_namespace: { proxy_enabled: true },
        namespaces: [{ name: 'broken', proxy_enabled: true, proxy_name: 'broken' }],
      },
    },
  });
  const client = new OfficialClient(t, gateway.wsUrl, { options: { headers: { 'X-User': 'ann' } } });
  client.client.connect();
  t.match(await client.next('connected'), { data: { welcome: 'ann' } });
  t.match(await client.next('subscribed'), { channel: 'news' });
  const room = await client.subscribe('chat:room');
  t.match(room.history.at(-1)?.context, {
    data: { channel: 'chat:room', user: 'ann', meta: { secret: 1 } },
  });
  for (const data of ['drop', 'shout', 'plain']) await room.subscription.publish(data);
  await room.next('publication');
  await room.next('publication');
  t.same(room.publications, ['SHOUT', 'plain']);
  t.match(await client.client.rpc('hello', { a: 1 }), { data: { method: 'hello', data: { a: 1 } } });
  await t.rejects(client.client.rpc('broken:hello', {}), { code: 100 });
  await t.rejects(client.client.rpc('nobody:hello', {}), { code: 108 });

  const raw = await ProtocolClient.connected(t, gateway.wsUrl);
  t.match(await raw.command('subscribe', { channel: 'chat:closed' }), {
    error: { code: 1002, message: 'closed' },
  });
  const banned = await ProtocolClient.open(t, gateway.wsUrl);
  t.match(await banned.command('connect', { data: 'banned' }), { error: { code: 1001 } });
  const gone = await ProtocolClient.open(t, gateway.wsUrl);
  gone.send({ id: 1, connect: { data: 'gone' } });
  t.same(await gone.closeFrame(), { code: 4500, reason: 'gone' });
  const stranger = await ProtocolClient.open(t, gateway.wsUrl);
  stranger.send({ id: 1, connect: { data: 'stranger' } });
  t.match(await stranger.closeFrame(), { code: 3501 });
  t.equal(await gateway.metric('hook_calls_total', 'result="disconnect"'), 2);
});

t.test('a back end is told of those who leave, the last ones at shutdown included', async (t) => {
  const backend = await Backend.start(t);
  backend.answer = raw('', 204);
  const gateway = await startGateway(t, {
    config: {
      channel: { namespaces: [{ name: 'chat' }] },
      webhooks: { endpoint: backend.url, secret: 'sign-secret', events: ['disconnect', 'unsubscribe'] },
    },
  });
  const told = () =>
    backend.calls.flatMap(({ text }) => {
      const { events }: { events: Record<string, unknown>[] } = JSON.parse(text);
      return events;
    });
  const leaver = await new OfficialClient(t, gateway.wsUrl).connect();
  const room = await leaver.subscribe('chat:room');
  const stayer = await new OfficialClient(t, gateway.wsUrl).connect();
  await stayer.subscribe('chat:room');
  room.subscription.unsubscribe();
  await waitFor('the unsubscribe', () => told().length === 1);
  leaver.client.disconnect();
  await waitFor('the disconnect', () => told().length === 2);
  t.match(told(), [
    { type: 'unsubscribe', channel: 'chat:room', user: '', protocol: 'json' },
    { type: 'disconnect', code: 3000, client: /./ },
  ]);
  t.match(await gateway.stop(), { code: 0 });
  t.match(told().slice(2), [
    { type: 'unsubscribe', channel: 'chat:room' },
    { type: 'disconnect', code: 3001 },
  ]);
  t.equal(new Set(told().map(({ id }) => id)).size, 4);
});
