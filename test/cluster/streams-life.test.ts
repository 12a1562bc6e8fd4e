// What streaming clients see when the gateway, or the worker that has them, ends.
import t from 'tap';
import { startGateway } from '../helpers/gateway.ts';
import { StreamClient } from '../helpers/stream-client.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { newClient, WAYS_IN } from '../helpers/ways-in.ts';

const ON = { enabled: true };
const CONFIG = { http_stream: ON, sse: ON, uni_http_stream: ON, uni_sse: ON };

t.test('SIGTERM tells every stream why it ends', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG });
  const streams = await Promise.all(
    ['http_stream', 'sse', 'uni_http_stream', 'uni_sse'].flatMap((kind) => {
      const body = kind.startsWith('uni') ? '{}' : '{"id":1,"connect":{}}';
      return Array.from({ length: 5 }, () =>
        StreamClient.open(t, `${gateway.httpUrl}/connection/${kind}`, { body }),
      );
    }),
  );
  for (const stream of streams) await stream.member('connect');
  const ended = gateway.stop('SIGTERM');
  for (const stream of streams) {
    t.same(await stream.member('disconnect'), { code: 3001, reason: 'shutdown' });
    await stream.ended();
    t.ok(stream.isComplete);
  }
  t.same(await ended, { code: 0, signal: null });
});

t.test('commands for a worker that was killed are answered 404, and its clients come back', async (t) => {
  const gateway = await startGateway(t, {
    config: {
      ...CONFIG,
      channel: { without_namespace: { history_size: 100, history_ttl: '60s', force_recovery: true } },
    },
  });
  const emulated = WAYS_IN.filter(({ transport, protobuf }) => transport !== 'websocket' && !protobuf);
  const entrance = { origin: gateway.httpUrl };
  const clients = await Promise.all(
    emulated.flatMap((way) => Array.from({ length: 4 }, () => newClient(t, entrance, way).connect())),
  );
  const subscriptions = await Promise.all(clients.map((client) => client.subscribe('news')));
  const orphan = await StreamClient.open(t, `${gateway.httpUrl}/connection/http_stream`, {
    body: '{"id":1,"connect":{}}',
  });
  const { session, node } = await orphan.member('connect');
  for (const pid of await gateway.workerPids()) process.kill(pid, 'SIGKILL');
  await orphan.ended();
  for (let n = 1; n <= 3; n += 1) {
    // Until the new workers are there, nobody takes it.
    await waitFor('a publication', () =>
      gateway.api('publish', { channel: 'news', data: n }).catch(() => false),
    );
  }
  for (const subscription of subscriptions) {
    await waitFor('what was missed', () => subscription.publications.length === 3);
    t.same(subscription.publications, [1, 2, 3]);
  }
  for (const client of clients) t.equal(client.count('disconnected'), 0);
  const late = await fetch(`${gateway.httpUrl}/emulation`, {
    method: 'POST',
    body: JSON.stringify({ session, node, data: '{}' }),
  });
  t.equal(late.status, 404);
});
