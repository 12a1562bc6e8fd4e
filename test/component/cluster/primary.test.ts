// The compiled program as one: what it says, where it listens, how it refuses to start, what it leaves behind.
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { connectControl } from '../../../src/cluster/control/control-client.ts';
import { API_KEY, startGateway } from '../../helpers/gateway.ts';
import { portOf } from '../../helpers/port-of.ts';
import { ProtocolClient } from '../../helpers/protocol-client.ts';
import { handshake, RawSocket } from '../../helpers/raw-socket.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

t.test('says where it listens, what descriptors allow, and how it is', async (t) => {
  const unixSocket = join(await tempDir(t), 'gateway.sock');
  const gateway = await startGateway(t, {
    config: { http_server: { unix_socket: unixSocket }, client: { insecure: true, connection_limit: 1_000 } },
  });
  t.match(gateway.logged('starting')[0], { workers: 2, connectionsAllowed: Number });
  t.match(gateway.logged('listening')[0], { url: gateway.wsUrl, listening: [String, `unix:${unixSocket}`] });
  const overUnix = await ProtocolClient.connected(t, `ws+unix:${unixSocket}:/connection/websocket`);
  const overTcp = await ProtocolClient.connected(t, gateway.wsUrl);
  const control = await connectControl(gateway.controlSocket);
  t.teardown(() => control.close());
  t.match(await control.request('status'), {
    state: 'serving',
    draining: false,
    connections: 2,
    capacity: {
      utilisation: { host: Number, connections: 0.002, cpu: Number, eventLoop: Number, outboxes: 0 },
      connectionLimit: 1_000,
      acceptHeadroom: 998,
    },
    workers: [
      { slot: 1, state: 'ready', connections: 1, restarts: 0, crashLooping: false },
      { slot: 2, state: 'ready', connections: 1, restarts: 0, crashLooping: false },
    ],
  });
  t.equal(await gateway.metric('connection_limit'), 1_000);
  t.equal(await gateway.metric('accept_headroom'), 998, 'the request itself is none');
  t.ok((await gateway.metric('utilisation_ratio', 'of="memory"')) > 0);
  const progress: unknown[] = [];
  const drained = control.request('drain', { ends: true }, (step) => progress.push(step));
  t.match(await overTcp.closed, { code: 3001 });
  t.match(await overUnix.closed, { code: 3001 });
  t.match(await drained, { state: 'ended', remaining: 0, workers: 0, ends: true });
  t.ok(progress.length > 0);
  t.same(await gateway.child.exited, { code: 0, signal: null });
  t.notOk(existsSync(unixSocket));
  t.notOk(existsSync(gateway.controlSocket));
  t.notOk(gateway.child.groupIsAlive);
});

t.test('requests that are under way take no place of a client', async (t) => {
  const gateway = await startGateway(t, {
    workers: 1,
    config: {
      client: { connection_limit: 2, allowed_origins: ['https://app.example'] },
      http_stream: { enabled: true },
    },
  });
  const first = await RawSocket.upgraded(t, gateway.port);
  for (let count = 0; count < 5; count += 1) {
    const request = await RawSocket.open(t, gateway.port);
    request.write(
      `POST /api/info HTTP/1.1\r\nHost: x\r\nX-API-Key: ${API_KEY}\r\nContent-Type: application/json\r\n` +
        'Content-Length: 10\r\nExpect: 100-continue\r\n\r\n',
    );
    t.equal(await request.status(), 100);
  }
  await RawSocket.upgraded(t, gateway.port);
  const third = await RawSocket.open(t, gateway.port);
  third.write(handshake());
  t.equal(await third.status(), 503, 'there are two places');
  const headers = { origin: 'https://app.example', 'access-control-request-method': 'POST' };
  const preflight = await fetch(`${gateway.httpUrl}/connection/http_stream`, { method: 'OPTIONS', headers });
  t.equal(preflight.status, 204, 'a preflight asks for none');
  first.reset();
  await gateway.child.waitUntil('a place', async () => (await gateway.metric('accept_headroom')) === 1);
  await RawSocket.upgraded(t, gateway.port);
});

t.test('a port in use is said, and nothing stays', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const gateway = await startGateway(t, {
    config: { http_server: { address: '127.0.0.1', port: portOf(other) } },
  }).then(
    () => undefined,
    (error: unknown) => String(error),
  );
  t.match(gateway, /"code":1/);
  t.match(gateway, new RegExp(`port ${portOf(other)} is in use`));
});

t.test('a second gateway on the same control socket does not start', async (t) => {
  const gateway = await startGateway(t, { workers: 1 });
  const second = await gateway.command(t, 'serve');
  t.equal(second.exit.code, 1);
  t.match(second.output, /a gateway serves at the control socket .*control\.sock already/);
  await ProtocolClient.connected(t, gateway.wsUrl);
});
