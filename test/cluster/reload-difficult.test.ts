// Workers are replaced under clients that cut their frames anywhere, fragment, read slowly, compress, and leave in mid-move.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { WebSocket } from 'ws';
import { DifficultClient } from '../helpers/difficult-client.ts';
import { type Json, ProtocolClient } from '../helpers/protocol-client.ts';
import { startGateway } from '../helpers/gateway.ts';
import { seeded } from '../helpers/random.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

const RELOADS = Number(process.env['TEST_RELOADS'] ?? 3);
const CLIENTS = 24;

t.test('frames in pieces, fragments, pings, large messages and slow reading', async (t) => {
  const path = join(await tempDir(t), 'public.sock');
  const gateway = await startGateway(t, { config: { http_server: { unix_socket: path } } });
  const random = seeded(5);
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, (_, index) => {
      // As many over a UNIX socket, as from a proxy on the same host.
      const to = index % 2 === 0 ? { host: '127.0.0.1', port: gateway.port } : { path };
      const client = new DifficultClient(to, `own-${index}`, random);
      t.teardown(() => client.socket.destroy());
      return client.open();
    }),
  );
  const over = new AbortController();
  const torments = clients.map((client) => client.torment(() => over.signal.aborted));
  // Others come, and go without a word, while connections are moved.
  const passing = (async () => {
    while (!over.signal.aborted) {
      const client = new DifficultClient({ host: '127.0.0.1', port: gateway.port }, 'passing', random);
      void client.open().catch(() => undefined);
      await delay(random() * 40);
      if (random() < 0.3) client.socket.resetAndDestroy();
      else if (random() < 0.6) client.socket.end();
      else client.socket.destroy();
      client.socket.on('end', () => client.socket.destroy());
    }
  })();
  for (let round = 1; round <= RELOADS; round++) {
    const { exit, output } = await gateway.command(t, 'reload');
    t.equal(exit.code, 0, output);
    t.notMatch(output, /closed to come back/);
  }
  over.abort();
  await Promise.all([...torments, passing]);
  for (const client of clients) await client.settled();
  t.same(
    clients.flatMap(({ faults }, index) => faults.map((fault) => `${index}: ${fault}`)).slice(0, 20),
    [],
  );
  t.ok(clients.every(({ published }) => published > 10));
  await waitFor(
    'those that passed to be gone',
    async () => (await gateway.metric('connections')) === CLIENTS,
  );
  t.equal(await gateway.metric('subscriptions'), CLIENTS);
  t.same(await gateway.stop(), { code: 0, signal: null });
});

t.test('clients that read nothing take along what they have not read', async (t) => {
  const path = join(await tempDir(t), 'public.sock');
  const gateway = await startGateway(t, {
    config: { http_server: { unix_socket: path }, client: { ping_interval: '5m' } },
  });
  const publisher = await ProtocolClient.connected(t, gateway.wsUrl);
  let published = 0;
  const publish = async (channel: string, length: number): Promise<void> => {
    published += 1;
    const data = { n: published, filler: 'z'.repeat(length) };
    t.hasStrict(await publisher.command('publish', { channel, data }), { publish: {} });
  };
  const addresses = [gateway.wsUrl, gateway.wsUrl, `ws+unix:${path}:/connection/websocket`];
  const sleepers: { readonly client: ProtocolClient; readonly channel: string }[] = [];
  for (const [index, url] of addresses.entries()) {
    const channel = `sleeper-${index}`;
    const client = await ProtocolClient.connected(t, url);
    await client.command('subscribe', { channel });
    client.socket.pause();
    sleepers.push({ client, channel });
    // The kernel takes some megabytes on the way.
    const before = await gateway.metric('outbox_bytes');
    while ((await gateway.metric('outbox_bytes')) - before < 250_000) await publish(channel, 60_000);
    await publish(channel, 10);
  }
  for (let round = 1; round <= RELOADS; round++) {
    const { exit, output } = await gateway.command(t, 'reload');
    t.equal(exit.code, 0, output);
    t.notMatch(output, /closed to come back/);
    t.ok((await gateway.metric('outbox_bytes')) > 400_000, 'it is all still there');
    for (const { channel } of sleepers) await publish(channel, 10);
  }
  for (const { client, channel } of sleepers) {
    client.socket.resume();
    const numbers = (): number[] =>
      client.received.flatMap((message) => /"n":(\d+)/.exec(JSON.stringify(message))?.[1] ?? []).map(Number);
    await waitFor(`what ${channel} has missed`, () => (numbers().at(-1) ?? 0) >= published - 2);
    const own = numbers();
    t.same(
      own,
      own.toSorted((a, b) => a - b),
      'in order',
    );
    t.equal(new Set(own).size, own.length, 'each once');
    t.equal(client.socket.readyState, WebSocket.OPEN);
  }
  const received = sleepers.map(({ client }) => client.received.filter(isPublication).length);
  t.equal(
    received.reduce((sum, count) => sum + count, 0),
    published,
    'and nothing is missing',
  );
});

t.test('compressed connections go on compressed', async (t) => {
  const gateway = await startGateway(t, { config: { websocket: { compression: true } } });
  const socket = new WebSocket(gateway.wsUrl, { perMessageDeflate: { threshold: 0 } });
  t.teardown(() => socket.terminate());
  const received: string[] = [];
  let closed = 0;
  socket.on('message', (data: Buffer) => {
    for (const line of data.toString().split('\n')) if (line !== '{}') received.push(line);
    if (data.toString() === '{}') socket.send('{}');
  });
  socket.on('close', () => {
    closed += 1;
  });
  await new Promise((resolve) => socket.once('open', resolve));
  t.match(socket.extensions, /permessage-deflate/);
  socket.send('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"c"}}');
  let sent = 0;
  const over = new AbortController();
  const sending = (async () => {
    while (!over.signal.aborted) {
      sent += 1;
      socket.send(
        JSON.stringify({ id: sent + 2, publish: { channel: 'c', data: { n: sent, f: 'y'.repeat(500) } } }),
      );
      await delay(5);
    }
  })();
  for (let round = 1; round <= RELOADS; round++) t.equal((await gateway.command(t, 'reload')).exit.code, 0);
  over.abort();
  await sending;
  const numbers = (): number[] => received.flatMap((line) => /"n":(\d+)/.exec(line)?.[1] ?? []).map(Number);
  await waitFor('all replies', () => received.filter((line) => line.startsWith('{"id"')).length === sent + 2);
  await waitFor('the last publication', () => numbers().at(-1) === sent);
  t.same(
    numbers(),
    Array.from({ length: sent }, (_, index) => index + 1),
  );
  t.equal(closed, 0);
  t.match(socket.extensions, /permessage-deflate/);
});

function isPublication(message: Json): boolean {
  return JSON.stringify(message).includes('"pub":');
}
