// Commands by requests of their own: which process they reach, in which order, and whom they do not reach.
import t, { type Test } from 'tap';
import { embeddedEngine } from '../../helpers/embedded-engine.ts';
import { StreamClient } from '../../helpers/stream-client.ts';
import { TransportServer } from '../../helpers/transport-server.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const CONNECT = '{"id":1,"connect":{}}';

interface Session {
  readonly stream: StreamClient;
  readonly node: string;
  readonly secret: string;
}

async function session(t: Test, server: TransportServer, path = '/connection/http_stream'): Promise<Session> {
  const stream = await StreamClient.open(t, server.url(path), { body: CONNECT });
  await stream.member('connect');
  const { session: secretive } = server.connection;
  return { stream, node: server.parts.bus.node, secret: secretive.secret };
}

async function post(
  server: TransportServer,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<number> {
  const response = await fetch(server.url('/emulation'), {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  await response.arrayBuffer();
  return response.status;
}

function textField(field: number, value: string): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2, value.length]), Buffer.from(value)]);
}

function publish(id: number): string {
  return JSON.stringify({ id, publish: { channel: 'a', data: {} } });
}

for (const path of ['/connection/http_stream', '/connection/sse']) {
  t.test(`${path}: any node takes a command to the one that has the session`, async (t) => {
    const engine = await embeddedEngine(t);
    const [owner, other] = [
      await TransportServer.start(t, { engine }),
      await TransportServer.start(t, { engine }),
    ];
    const { stream, node, secret } = await session(t, owner, path);
    t.equal(await post(owner, { node, session: secret, data: publish(2) }), 204);
    t.equal(await post(other, { node, session: secret, data: publish(3) }), 204);
    await stream.next('the reply to the last', ({ id }) => id === 3);
    t.same(
      owner.lone.commands.map(({ id }) => id),
      [1, 2, 3],
    );
    t.same(other.lone.commands, []);
    stream.cut();
    await waitFor('the end of the session', () => owner.parts.emulated.size === 0);
    t.equal(await post(other, { node, session: secret, data: publish(4) }), 204, 'the node lives');
    t.equal(owner.lone.commands.length, 3);
  });
}

t.test('several commands of one client keep their order, whichever way they come', async (t) => {
  const engine = await embeddedEngine(t);
  const [owner, other] = [
    await TransportServer.start(t, { engine }),
    await TransportServer.start(t, { engine }),
  ];
  const { stream, node, secret } = await session(t, owner);
  for (const server of [owner, other]) {
    const before = owner.lone.commands.length;
    for (let id = 2; id < 22; id += 1) {
      t.equal(
        await post(server, { node, session: secret, data: `${publish(id)}\n${publish(id + 100)}` }),
        204,
      );
    }
    await waitFor('all commands', () => owner.lone.commands.length === before + 40);
    t.same(
      owner.lone.commands.slice(before).map(({ id }) => id),
      Array.from({ length: 20 }, (_, at) => [at + 2, at + 102]).flat(),
    );
  }
  t.ok(stream.received.length > 40);
});

t.test('a Protobuf client sends Protobuf', async (t) => {
  const server = await TransportServer.start(t);
  const headers = { 'content-type': 'application/octet-stream' };
  const body = Buffer.from([0x04, 0x08, 0x01, 0x22, 0x00]);
  const stream = await StreamClient.open(t, server.url('/connection/http_stream'), { headers, body });
  await waitFor('the connect reply', () => stream.bytes.length > 0);
  const { secret } = server.connection.session;
  // Command 2: publish to channel "a".
  const command = Buffer.from([0x07, 0x08, 0x02, 0x3a, 0x03, 0x0a, 0x01, 0x61]);
  const emulation = Buffer.concat([
    textField(1, server.parts.bus.node),
    textField(2, secret),
    Buffer.from([0x1a, command.length]),
    command,
  ]);
  const response = await fetch(server.url('/emulation'), { method: 'POST', headers, body: emulation });
  t.equal(response.status, 204);
  await waitFor('the command', () => server.lone.commands.length === 2);
  t.match(server.lone.commands[1], { kind: 'publish', id: 2, channel: 'a' });
});

t.test("nothing but the secret reaches another's session", async (t) => {
  const server = await TransportServer.start(t);
  const { node, secret } = await session(t, server);
  const { client } = server.connection.session;
  for (const guess of [client, secret.slice(0, -1), `${secret}x`, secret.toUpperCase(), '', ' ', '*']) {
    const status = await post(server, { node, session: guess, data: publish(2) });
    t.equal(status, guess === '' ? 400 : 204, guess);
  }
  t.equal(server.lone.commands.length, 1);
  t.notOk(server.connection.isClosed);
});

t.test('listeners have no commands', async (t) => {
  const server = await TransportServer.start(t);
  const stream = await StreamClient.open(t, server.url('/connection/uni_sse'), { body: '{}' });
  await waitFor('the connection', () => server.lone.commands.length === 1);
  const { secret } = server.connection.session;
  t.equal(await post(server, { node: server.parts.bus.node, session: secret, data: publish(2) }), 204);
  t.equal(server.lone.commands.length, 1);
  t.equal(stream.status, 200);
});

t.test('answers to what is wrong with a request', async (t) => {
  const engine = await embeddedEngine(t);
  const server = await TransportServer.start(t, { engine });
  const { node, secret, stream } = await session(t, server);
  t.equal(await post(server, { node: 'nobody', session: secret, data: publish(2) }), 404);
  t.equal(await post(server, 'nonsense'), 400);
  t.equal(await post(server, ''), 400);
  t.equal(await post(server, { node, session: secret, data: { id: 1 } }), 400);
  t.equal(await post(server, { node, session: secret, data: 'x'.repeat(70_000) }), 413);
  const got = await fetch(server.url('/emulation'));
  t.equal(got.status, 405);
  t.equal(got.headers.get('allow'), 'POST, OPTIONS');
  t.notOk(server.connection.isClosed);
  t.equal(server.lone.commands.length, 1);
  // Whoever has the secret and sends nonsense ends their own session.
  t.equal(await post(server, { node, session: secret, data: 'nonsense' }), 204);
  t.match(await stream.member('disconnect'), { code: 3501 });
});

t.test('an engine that is away is said to be', async (t) => {
  const engine = await embeddedEngine(t);
  const [owner, other] = [
    await TransportServer.start(t, { engine }),
    await TransportServer.start(t, { engine }),
  ];
  const { node, secret } = await session(t, owner);
  await engine.server.close();
  t.equal(await post(other, { node, session: secret, data: publish(2) }), 503);
  t.equal(await post(owner, { node, session: secret, data: publish(3) }), 204, 'its own need no engine');
  t.equal(
    await post(other, { node: 'nodes', session: secret, data: publish(4) }),
    404,
    'nor what is no node',
  );
  await waitFor('the command', () => owner.lone.commands.length === 2);
});

t.test('messages between nodes that are none of ours are ignored', async (t) => {
  const engine = await embeddedEngine(t);
  const [owner, other] = [
    await TransportServer.start(t, { engine }),
    await TransportServer.start(t, { engine }),
  ];
  const { node, secret } = await session(t, owner);
  for (const payload of [
    null,
    1,
    'x',
    {},
    { digest: 1, data: 'x' },
    { digest: 'x' },
    { session: secret, data: '' },
  ]) {
    t.equal(await other.parts.bus.send(node, 'emulation', payload), true);
  }
  t.equal(await post(other, { node, session: secret, data: publish(2) }), 204);
  await waitFor('the command behind them', () => owner.lone.commands.length === 2);
  t.notOk(owner.connection.isClosed);
});
