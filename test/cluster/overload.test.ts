// A worker with little memory is flooded: with publications to clients that do not read, and with connections. It gives up those
// who keep the memory, not itself and not those who read.
import t from 'tap';
import { startGateway } from '../helpers/gateway.ts';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { clientFrame, RawSocket } from '../helpers/raw-socket.ts';
import { waitFor } from '../helpers/wait-for.ts';

const SLOW = 30;
const MESSAGE_BYTES = 131_072;
const PATIENCE_MS = 60_000;
/** A worker without connections needs about half of it. */
const LIMIT_BYTES = 100 * 1024 * 1024;

t.test('slow subscribers in a small heap', async (t) => {
  const gateway = await startGateway(t, {
    workers: 1,
    env: { NODE_OPTIONS: '--max-old-space-size=96' },
    config: {
      // Neither their own limit nor a ping that they do not answer ends them first.
      client: { queue_max_size: 1024 * 1024 * 1024, ping_interval: '10m' },
      admission: { max_memory: LIMIT_BYTES },
    },
  });
  const [worker] = await gateway.workerPids();
  const reader = await new OfficialClient(t, gateway.wsUrl).connect();
  const heard = await reader.subscribe('news');
  const slow = await Promise.all(
    Array.from({ length: SLOW }, async () => {
      const socket = await RawSocket.upgraded(t, gateway.port);
      socket.write(clientFrame('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"news"}}'));
      await waitFor('its subscription', () => socket.text.includes('"id":2'));
      socket.socket.pause();
      return socket;
    }),
  );
  t.equal(slow.length, SLOW);

  // A frame is shared by all outboxes that it waits in: what fills the memory is the number of publications.
  const data = 'x'.repeat(MESSAGE_BYTES);
  let refused = 0;
  let sent = 0;
  while (gateway.logged('connections that do not read are closed').length === 0 && sent < 4_000) {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => gateway.api('publish', { channel: 'news', data })),
    );
    sent += answers.length;
    refused += answers.filter((answer) => JSON.stringify(answer).includes('"error"')).length;
  }
  t.ok(gateway.logged('connections that do not read are closed').length > 0, `after ${sent} publications`);
  t.ok((await gateway.metric('shed_connections_total')) > 0);
  t.ok(gateway.logged('overloaded').length > 0);

  await waitFor('calm', () => gateway.logged('overload is over').length > 0, PATIENCE_MS);
  await waitFor(
    'readiness',
    async () => (await fetch(`${gateway.httpUrl}/readyz`)).status === 200,
    PATIENCE_MS,
  );
  await gateway.api('publish', { channel: 'news', data: 'last' });
  await waitFor('the last word', () => heard.publications.at(-1) === 'last', PATIENCE_MS);
  t.equal(heard.publications.length, sent - refused + 1, 'who reads has everything');
  t.equal(reader.count('connecting'), 1, 'on one connection');
  t.same(await gateway.workerPids(), [worker], 'the worker is the same');
  const late = await new OfficialClient(t, gateway.wsUrl).connect();
  t.ok(late.id, 'and takes new clients again');
});

t.test('a flood of connections is refused where it would be too much', async (t) => {
  const gateway = await startGateway(t, {
    workers: 1,
    config: { client: { stale_close_delay: '2m' }, admission: { max_memory: 45 * 1024 * 1024 } },
  });
  const [worker] = await gateway.workerPids();
  const counts = { open: 0, refused: 0 };
  const reader = await new OfficialClient(t, gateway.wsUrl).connect();
  const heard = await reader.subscribe('news');
  const sockets: RawSocket[] = [];
  while (counts.refused === 0 && sockets.length < 6_000) {
    const wave = await Promise.all(Array.from({ length: 200 }, () => RawSocket.open(t, gateway.port)));
    sockets.push(...wave);
    for (const socket of wave) {
      socket.write(
        'GET /connection/websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
    }
    for (const socket of wave) {
      if ((await socket.status(PATIENCE_MS)) === 101) counts.open += 1;
      else counts.refused += 1;
    }
  }
  t.ok(counts.refused > 0, JSON.stringify(counts));
  t.ok((await gateway.metric('admission_refusals_total', 'reason="overloaded"')) > 0);
  const ready = await fetch(`${gateway.httpUrl}/readyz`);
  t.equal(ready.status, 503);
  t.match(await ready.text(), 'too much to do');
  await gateway.api('publish', { channel: 'news', data: 'still here' });
  await waitFor('it', () => heard.publications.length === 1, PATIENCE_MS);

  for (const { socket } of sockets) socket.destroy();
  await waitFor('calm', () => gateway.logged('overload is over').length > 0, PATIENCE_MS);
  t.same(await gateway.workerPids(), [worker]);
  t.ok((await new OfficialClient(t, gateway.wsUrl).connect()).id);
});
