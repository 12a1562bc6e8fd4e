// Clients that left an HTTP stream over HTTP/1.1 stayed connected behind HAProxy until they owed a pong.
import { get } from 'node:https';
import t from 'tap';
import { startGateway } from '../helpers/gateway.ts';
import { startHaproxy } from '../helpers/haproxy.ts';
import { waitFor } from '../helpers/wait-for.ts';

t.test('who leaves a stream is known to have left', async (t) => {
  const config = {
    client: { insecure: true, ping_interval: '3s', pong_timeout: '2s' },
    sse: { enabled: true },
  };
  const gateway = await startGateway(t, { workers: 1, config });
  const haproxy = await startHaproxy(t, { to: `127.0.0.1:${gateway.port}` });
  const connect = encodeURIComponent('{"id":1,"connect":{}}');
  const request = get({
    host: '127.0.0.1',
    port: haproxy.port,
    path: `/connection/sse?cf_connect=${connect}`,
    ca: haproxy.certificate,
  });
  t.teardown(() => request.destroy());
  request.on('error', () => undefined);
  let text = '';
  request.on('response', (response) => {
    response.on('error', () => undefined);
    response.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  });
  await waitFor('the connect reply', () => text.includes('"connect"'));

  request.destroy();
  await waitFor('its end', async () => (await gateway.metric('connections')) === 0);
  t.equal(await gateway.metric('connections_closed_total', 'cause="no_pong"'), 0);
});
