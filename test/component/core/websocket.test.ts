// The WebSocket way in over real sockets: the handshake, and peers that keep or break the rules.
import t from 'tap';
import { WebSocket } from 'ws';
import { type CloseFrame, ProtocolClient } from '../../helpers/protocol-client.ts';
import { clientFrame, handshake, Opcode, RawSocket } from '../../helpers/raw-socket.ts';
import type { Scope } from '../../helpers/scope.ts';
import { TransportServer, type TransportServerOptions } from '../../helpers/transport-server.ts';
import { waitFor, within } from '../../helpers/wait-for.ts';

const PATH = '/connection/websocket';

async function refusedWith(
  scope: Scope,
  server: TransportServer,
  path: string,
  headers: string[] = [],
): Promise<unknown> {
  const raw = await RawSocket.open(scope, server.parts.port);
  raw.write(handshake(path, headers));
  const status = await raw.status();
  if (status !== 101) await raw.closed();
  return status;
}

/** The subprotocol that was agreed on, and the encoding that the connection has. */
async function agreed(
  scope: Scope,
  server: TransportServer,
  query: string,
  protocols: string[],
): Promise<unknown> {
  const socket = new WebSocket(server.url(PATH + query).replace('http', 'ws'), protocols);
  scope.teardown(() => socket.terminate());
  await within(
    'the handshake',
    new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject)),
  );
  await waitFor('the connection', () => server.parts.open.size === 1);
  const { encoding } = server.connection.transport.format;
  socket.terminate();
  await waitFor('its end', () => server.parts.open.size === 0);
  return [socket.protocol, encoding];
}

function connected(scope: Scope, server: TransportServer, query = ''): Promise<ProtocolClient> {
  return ProtocolClient.connected(scope, server.url(PATH + query).replace('http', 'ws'));
}

t.test('encodings and subprotocols (§2.1)', async (t) => {
  const server = await TransportServer.start(t);
  const cases: [query: string, protocols: string[], expected: unknown[]][] = [
    ['', [], ['', 'json']],
    ['', ['centrifuge-json'], ['centrifuge-json', 'json']],
    ['', ['centrifuge-protobuf'], ['centrifuge-protobuf', 'protobuf']],
    ['', ['other', 'centrifuge-protobuf'], ['centrifuge-protobuf', 'protobuf']],
    ['?format=protobuf', [], ['', 'protobuf']],
    ['?cf_protocol=protobuf', [], ['', 'protobuf']],
    ['?cf_protocol=json&unknown=1', [], ['', 'json']],
    ['?back=/a?b&format=protobuf', [], ['', 'protobuf']],
    ['?%&%zz=%', [], ['', 'json']],
  ];
  for (const [query, protocols, expected] of cases) {
    t.strictSame(await agreed(t, server, query, protocols), expected, `${query} ${protocols.join()}`);
  }
});

t.test('what is refused before the handshake', async (t) => {
  const server = await TransportServer.start(t, { limits: { maxConnections: 1 } });
  const cases: [path: string, headers: string[], status: number][] = [
    ['/', [], 404],
    ['/connection/websocket/', [], 404],
    ['//connection/websocket', [], 404],
    ['/connection/websocket%2f', [], 404],
    ['*', [], 404],
    [PATH, ['Origin: https://evil.test'], 403],
    [PATH, ['Origin: null'], 403],
    [PATH, ['Origin: https://app.example'], 101],
    [PATH, [], 503],
  ];
  for (const [path, headers, status] of cases) {
    t.equal(await refusedWith(t, server, path, headers), status, `${path} ${headers.join()}`);
    if (status === 101) await waitFor('the connection', () => server.parts.open.size === 1);
  }
  server.connection.transport.destroy();
  await waitFor('room', () => server.parts.open.size === 0);
  server.parts.state.isDraining = true;
  t.equal(await refusedWith(t, server, PATH), 503, 'a worker that leaves');
  t.equal(server.parts.counters.admissionRefusals.cell('origin').value, 2);
  t.equal(server.parts.counters.admissionRefusals.cell('connection_limit').value, 1);
  t.equal(server.parts.counters.admissionRefusals.cell('draining').value, 1);
});

t.test('a client connects, is answered, and is told why it has to go', async (t) => {
  const server = await TransportServer.start(t);
  const client = await connected(t, server);
  server.connection.push({ kind: 'message', data: Buffer.from('{"a":1}') });
  t.strictSame(await client.push('the message'), { message: { data: { a: 1 } } });
  client.send({ id: 9, connect: {} });
  t.strictSame(await client.closeFrame(), { code: 3501, reason: 'bad request' } satisfies CloseFrame);
  await waitFor('the end', () => server.parts.open.size === 0);
});

t.test('frames that break the rules of WebSocket', async (t) => {
  const limit = 2_000;
  const options: TransportServerOptions = { config: { websocket: { message_size_limit: limit } } };
  const server = await TransportServer.start(t, options);
  const cases: [name: string, bytes: Buffer, code: number][] = [
    ['not masked', clientFrame('{}', { masked: false }), 1002],
    ['a reserved opcode', clientFrame('{}', { opcode: 3 }), 1002],
    [
      'reserved bits',
      Buffer.from(clientFrame('{}').map((byte, at) => (at === 0 ? byte | 0x40 : byte))),
      1002,
    ],
    ['a continuation of nothing', clientFrame('{}', { opcode: Opcode.continuation }), 1002],
    ['a control frame in pieces', clientFrame('', { opcode: Opcode.ping, fin: false }), 1002],
    ['invalid UTF-8', clientFrame(Buffer.from([0xc3, 0x28])), 1007],
    ['too large a message', clientFrame('x'.repeat(limit + 1)), 1009],
    ['one that claims to be', clientFrame('{}', { claimedBytes: 10_000_000_000 }), 1009],
    [
      'one that is in pieces',
      Buffer.concat([
        clientFrame('x'.repeat(limit), { fin: false }),
        clientFrame('x', { opcode: Opcode.continuation }),
      ]),
      1009,
    ],
    ['an empty message', clientFrame(''), 3501],
    ['garbage', clientFrame('\u0000\u0001'), 3501],
    ['binary garbage', clientFrame(Buffer.from([1, 2, 3]), { opcode: Opcode.binary }), 3501],
  ];
  for (const [name, bytes, code] of cases) {
    const raw = await RawSocket.upgraded(t, server.parts.port);
    raw.write(bytes);
    t.equal(await raw.closeCode(), code, name);
    await waitFor('the end', () => server.parts.open.size === 0);
    raw.socket.destroy();
  }
});

t.test('commands before a broken or a closing frame are answered, though all came at once', async (t) => {
  const server = await TransportServer.start(t);
  const connect = clientFrame('{"id":1,"connect":{}}');
  const closing = Buffer.from([0x03, 0xe8]);
  for (const [name, last, code] of [
    ['a broken frame', clientFrame('{}', { opcode: 3 }), 1002],
    ['a closing frame', clientFrame(closing, { opcode: Opcode.close }), 1000],
  ] as const) {
    const raw = await RawSocket.upgraded(t, server.parts.port);
    raw.write(Buffer.concat([connect, clientFrame('are you there?', { opcode: Opcode.ping }), last]));
    t.match((await raw.frame())?.payload.toString(), '"connect"', name);
    t.match(await raw.frame(), { opcode: Opcode.pong });
    t.equal(await raw.closeCode(), code, name);
    await raw.closed();
  }
});

t.test('a large message may come in many small fragments', async (t) => {
  const config = { websocket: { message_size_limit: 4_000_000 } };
  const server = await TransportServer.start(t, { config });
  const raw = await RawSocket.upgraded(t, server.parts.port);
  const message = Buffer.from('{"id":1,"connect":{}}'.padEnd(40_000 * 64));
  const fragments = Array.from({ length: 40_000 }, (_, n) =>
    clientFrame(message.subarray(n * 64, n * 64 + 64), {
      opcode: n === 0 ? Opcode.text : Opcode.continuation,
      fin: n === 39_999,
    }),
  );
  raw.write(Buffer.concat(fragments));
  t.match((await raw.frame())?.payload.toString(), '"connect"');
});

t.test('a frame may be cut anywhere', async (t) => {
  const server = await TransportServer.start(t);
  const frame = clientFrame('{"id":1,"connect":{"data":"é"}}');
  for (let at = 1; at < frame.length; at += 1) {
    const raw = await RawSocket.upgraded(t, server.parts.port);
    raw.write(frame.subarray(0, at));
    await new Promise(setImmediate);
    raw.write(frame.subarray(at));
    t.match((await raw.frame())?.payload.toString(), '"connect"', `at ${at}`);
    raw.reset();
  }
  for (let at = 0; at < frame.length; at += 3) {
    const raw = await RawSocket.upgraded(t, server.parts.port);
    raw.write(frame.subarray(0, at));
    raw.reset();
  }
  await waitFor('all of them to be noticed', () => server.parts.open.size === 0);
});

t.test('pings of either side as frames', async (t) => {
  const server = await TransportServer.start(t);
  const client = await connected(t, server, '?cf_ws_frame_ping_pong=true');
  let pings = 0;
  client.socket.on('ping', () => (pings += 1));
  server.lone.pass(25_100);
  await waitFor('a ping', () => pings === 1);
  await waitFor('its pong', () => server.connection.session.signs.roundTripMs >= 0);
  t.equal(client.pings, 0);
  const pong = new Promise((resolve) => client.socket.once('pong', resolve));
  client.socket.ping();
  await within('the answer to our own ping', pong);
  server.lone.pass(24_000);
  t.equal(server.parts.open.size, 1);
});

t.test('a peer that reads nothing costs its limit, and nobody else is held up', async (t) => {
  const server = await TransportServer.start(t);
  const raw = await RawSocket.upgraded(t, server.parts.port);
  raw.write(clientFrame('{"id":1,"connect":{}}'));
  await raw.frame();
  raw.socket.pause();
  const slow = server.connection;
  const message = Buffer.from(JSON.stringify('x'.repeat(5_000)));
  for (let n = 0; n < 100_000 && !slow.isClosed; n += 1) {
    slow.push({ kind: 'message', data: message });
    if (n % 10 === 0) await new Promise(setImmediate);
  }
  t.equal(server.lone.ends.at(-1)?.cause.name, 'slow');
  t.equal(server.lone.sums.queuedBytes, 0);
  const other = await connected(t, server);
  server.connection.push({ kind: 'message', data: Buffer.from('1') });
  t.strictSame(await other.push('a message'), { message: { data: 1 } });
});
