// WebSockets for listeners, and compression.
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { type ClientOptions, WebSocket } from 'ws';
import type { Connection } from '../../../src/connection/connection.ts';
import { CloseCauses } from '../../../src/protocol/close-causes.ts';
import { frameMessages } from '../../../src/protocol/message-framing.ts';
import { WebSocketTransport } from '../../../src/gateway/websocket-transport.ts';
import { clientFrame, handshake, RawSocket } from '../../helpers/raw-socket.ts';
import { TransportServer } from '../../helpers/transport-server.ts';
import { waitFor } from '../../helpers/wait-for.ts';

/** A WebSocket with all its messages kept. */
class Listener {
  readonly socket: WebSocket;
  readonly messages: string[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => this.messages.push(data.toString()));
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
  }

  static async open(t: Test, url: string, options: ClientOptions = {}): Promise<Listener> {
    const socket = new WebSocket(url.replace('http:', 'ws:'), options);
    t.teardown(() => socket.terminate());
    const listener = new Listener(socket);
    await once(socket, 'open');
    socket.on('error', () => undefined);
    return listener;
  }

  async next(count: number): Promise<string | undefined> {
    await waitFor(`${count} messages`, () => this.messages.length >= count);
    return this.messages[count - 1];
  }

  async end(): Promise<{ readonly code: number; readonly reason: string }> {
    return await waitFor('the close', () => this.closed);
  }
}

async function start(t: Test, config: Record<string, unknown> = {}): Promise<TransportServer> {
  const server = await TransportServer.start(t, { config });
  server.lone.handler = (connection, command) => {
    if (!connection.transport.format.unidirectional) {
      server.lone.answer(connection, command);
      return;
    }
    connection.dispatch({
      type: 'accepted',
      nowMs: server.lone.wheel.nowMs,
      expireAtMs: Infinity,
      jitter: 1,
    });
    connection.push({ kind: 'connect', result: { client: connection.session.client, version: 'v' } });
  };
  return server;
}

function say(connection: Connection, ...texts: readonly string[]): void {
  for (const text of texts) connection.push({ kind: 'message', data: Buffer.from(JSON.stringify(text)) });
}

const UNI = '/connection/uni_websocket';

t.test('a listener connects by its first message or by its URL', async (t) => {
  const server = await start(t);
  const byMessage = await Listener.open(t, server.url(UNI));
  await waitFor('the connection', () => server.parts.open.size === 1);
  t.equal(server.lone.commands.length, 0, 'it has not said who it is');
  byMessage.socket.send('{"token":"T",\n "name":"n"}');
  t.match(JSON.parse((await byMessage.next(1)) ?? ''), {
    connect: { client: server.connection.session.client },
  });
  t.match(server.lone.commands, [{ kind: 'connect', request: { token: 'T', name: 'n' } }]);
  t.ok(server.connection.session.secret.length >= 22);
  byMessage.socket.send('{"id":2,"rpc":{}}');
  byMessage.socket.send('nonsense');
  server.lone.pass(25_000 + 8_000);
  t.equal(await byMessage.next(2), '{}', 'a ping');
  t.equal(server.lone.commands.length, 1);
  t.notOk(server.connection.isClosed, 'what else it says is of no interest, and pongs are not owed');

  const byUrl = await Listener.open(
    t,
    server.url(`${UNI}?cf_connect=${encodeURIComponent('{"token":"U"}')}`),
  );
  await byUrl.next(1);
  t.match(server.lone.commands[1], { kind: 'connect', request: { token: 'U' } });
});

t.test('a listener that says nothing or nonsense', async (t) => {
  const server = await start(t);
  const silent = await Listener.open(t, server.url(UNI));
  await waitFor('the connection', () => server.parts.open.size === 1);
  server.lone.pass(10_100);
  t.same(await silent.end(), { code: 3502, reason: 'stale' });
  const strange = await Listener.open(t, server.url(UNI));
  strange.socket.send('[1]');
  t.same(await strange.end(), { code: 3501, reason: 'bad request' });
});

for (const [name, options, expected] of [
  ['as a rule', {}, { messages: ['a', 'b', 'c'], push: true, code: 3011 }],
  ['joined', { join_push_messages: true }, { messages: ['a\nb\nc'], push: true, code: 3011 }],
  [
    'without a disconnect push',
    { disable_disconnect_push: true },
    { messages: ['a', 'b', 'c'], push: false, code: 3011 },
  ],
  [
    'without a handshake',
    { disable_closing_handshake: true },
    { messages: ['a', 'b', 'c'], push: true, code: 1006 },
  ],
] as const) {
  t.test(`pushes and the end of a listener, ${name}`, async (t) => {
    const server = await start(t, { uni_websocket: { enabled: true, ...options } });
    const listener = await Listener.open(t, server.url(`${UNI}?cf_connect=`));
    await listener.next(1);
    const { connection } = server;
    const { format } = connection.transport;
    const pushes = ['a', 'b', 'c'].map((text) => Buffer.from(`{"message":{"data":"${text}"}}`));
    connection.deliver(frameMessages(format, pushes), 'publication');
    await listener.next(1 + expected.messages.length);
    t.same(
      listener.messages.slice(1).map((text) => text.replaceAll(/\{"message":\{"data":"(.)"\}\}/g, '$1')),
      expected.messages,
    );
    connection.close(CloseCauses.forceReconnect);
    const end = await listener.end();
    t.equal(end.code, expected.code);
    const last = '{"disconnect":{"code":3011,"reason":"force reconnect"}}';
    t.equal(listener.messages.includes(last), expected.push);
    await waitFor('the end', () => server.parts.open.size === 0);
  });
}

t.test('a listener without a handshake that does not react is cut', async (t) => {
  const server = await start(t, { uni_websocket: { enabled: true, disable_closing_handshake: true } });
  const raw = await RawSocket.open(t, server.parts.port, true);
  raw.write(handshake(`${UNI}?cf_connect=`));
  t.equal(await raw.status(), 101);
  await waitFor('the connection', () => server.parts.open.size === 1);
  server.connection.close(CloseCauses.forceReconnect);
  await waitFor('FIN', () => raw.ended);
  // It keeps its own side open.
  await waitFor('RST', () => {
    raw.write(clientFrame('{}'));
    return raw.socket.destroyed;
  });
  t.pass('the gateway let go');
});

const COMPRESSED = { websocket: { compression: true } };
const WS = '/connection/websocket';

t.test('compression is off unless switched on', async (t) => {
  const server = await start(t);
  const client = await Listener.open(t, server.url(WS), { perMessageDeflate: true });
  t.equal(client.socket.extensions, '');
});

t.test('compressed messages go both ways, without memory of those before', async (t) => {
  const server = await start(t, COMPRESSED);
  const client = await Listener.open(t, server.url(WS), { perMessageDeflate: { threshold: 0 } });
  t.equal(client.socket.extensions, 'permessage-deflate');
  client.socket.send('{"id":1,"connect":{}}');
  await client.next(1);
  const { connection } = server;
  const text = 'again and '.repeat(100);
  const before = server.lone.sums.bytesOut;
  for (let round = 0; round < 3; round += 1) say(connection, text);
  await client.next(4);
  t.ok(client.messages.slice(1).every((message) => message.includes(text)));
  t.ok(server.lone.sums.bytesOut - before < text.length, 'three took less than one');
  for (let id = 2; id < 5; id += 1) {
    client.socket.send(JSON.stringify({ id, publish: { channel: 'a', data: text } }));
  }
  await waitFor('all commands', () => server.lone.commands.length === 4);
  t.match(server.lone.commands[3], { kind: 'publish', id: 4 });
  connection.close(CloseCauses.shutdown);
  t.same(await client.end(), { code: 3001, reason: 'shutdown' });
});

t.test('all compressing clients are sent the same bytes, whatever they got before', async (t) => {
  const server = await start(t, COMPRESSED);
  const offers = [
    'permessage-deflate',
    'permessage-deflate; client_max_window_bits; server_no_context_takeover',
  ];
  const raws = await Promise.all(
    offers.map(async (offer) => {
      const raw = await RawSocket.open(t, server.parts.port);
      raw.write(handshake(WS, [`Sec-WebSocket-Extensions: ${offer}`]));
      const head = (await raw.head()) ?? '';
      t.match(head, /sec-websocket-extensions: permessage-deflate; [^\r]*server_no_context_takeover/i);
      t.match(head, /client_no_context_takeover/);
      raw.write(clientFrame('{"id":1,"connect":{}}'));
      await raw.frame();
      return raw;
    }),
  );
  const [first, second] = server.parts.open.all();
  if (first === undefined || second === undefined) throw new Error('two connections are not open');
  t.equal(first.transport.format, second.transport.format);
  say(first, 'something else '.repeat(50));
  await raws[0]?.frame();
  const frame = frameMessages(first.transport.format, [Buffer.from(`{"push":"${'x'.repeat(500)}"}`)]);
  for (const connection of [first, second]) connection.deliver(frame, 'publication');
  for (const raw of raws) t.same((await raw.frame())?.payload, frame.subarray(2));
});

t.test('offers that cannot be taken are declined rather than refused', async (t) => {
  const server = await start(t, COMPRESSED);
  const ask = async (offer: string): Promise<string> => {
    const raw = await RawSocket.open(t, server.parts.port);
    raw.write(handshake(WS, [`Sec-WebSocket-Extensions: ${offer}`]));
    return (await raw.head()) ?? '';
  };
  for (const offer of [
    'permessage-deflate; server_max_window_bits=10',
    'permessage-deflate; server_max_window_bits=14',
    'permessage-deflate; server_max_window_bits',
    'x-webkit-deflate-frame',
    'PERMESSAGE-DEFLATE',
    'permessage-deflate; nonsense',
    'permessage-deflate; client_max_window_bits=16',
    'permessage-deflate; client_max_window_bits = 9',
    'permessage-deflate;',
    'permessage-deflate; client_no_context_takeover; client_no_context_takeover',
  ]) {
    const answer = await ask(offer);
    t.match(answer, /^HTTP\/1\.1 101 /, offer);
    t.notMatch(answer, /extensions/i, offer);
    const connection = [...server.parts.open.all()].at(-1);
    t.equal(connection?.transport.format.deflate, undefined, `${offer}: nothing is compressed`);
  }
  for (const offer of [
    'x-other, permessage-deflate; server_max_window_bits=10, permessage-deflate',
    'permessage-deflate; client_max_window_bits="9" ;server_no_context_takeover',
  ])
    t.match(await ask(offer), /^HTTP\/1\.1 101 [^]*extensions: permessage-deflate/i);
  t.match(
    await ask('permessage-deflate; server_max_window_bits=15'),
    /extensions: [^\r]*; server_max_window_bits=15/i,
    'the window that is used anyway',
  );
});

t.test('a small message that grows without end is cut off (1009)', async (t) => {
  const server = await start(t, {
    websocket: { compression: true, message_size_limit: 1000, decompressed_message_size_limit: 5000 },
  });
  const client = await Listener.open(t, server.url(WS), { perMessageDeflate: { threshold: 0 } });
  client.socket.send(`{"id":1,"connect":{"data":"${'x'.repeat(4000)}"}}`);
  await client.next(1);
  client.socket.send(`{"id":2,"rpc":{"data":"${'x'.repeat(5000)}"}}`);
  t.equal((await client.end()).code, 1009);
  const plain = await Listener.open(t, server.url(WS), { perMessageDeflate: false });
  plain.socket.send(`{"id":1,"connect":{"data":"${'x'.repeat(1000)}"}}`);
  t.equal((await plain.end()).code, 1009, 'who does not compress has the plain limit');
});

t.test('small messages stay as they are where configured', async (t) => {
  const server = await start(t, { websocket: { compression: true, compression_min_size: 2000 } });
  const client = await Listener.open(t, server.url(WS), { perMessageDeflate: true });
  client.socket.send('{"id":1,"connect":{}}');
  await client.next(1);
  const before = server.lone.sums.bytesOut;
  say(server.connection, 'x'.repeat(1000));
  await client.next(2);
  t.ok(server.lone.sums.bytesOut - before > 1000);
  say(server.connection, 'x'.repeat(3000));
  await client.next(3);
  t.ok(server.lone.sums.bytesOut - before < 1500);
});

t.test('a connection is not moved between two messages that came together', async (t) => {
  const server = await start(t);
  const found: unknown[] = [];
  server.lone.handler = (connection, command) => {
    const { transport } = connection;
    if (transport instanceof WebSocketTransport) found.push(transport.freeze());
    server.lone.answer(connection, command);
  };
  const client = await RawSocket.upgraded(t, server.parts.port);
  const frames = ['{"id":1,"connect":{}}', '{"id":2,"rpc":{}}', '{"id":3,"rpc":{}}'];
  client.write(Buffer.concat(frames.map((frame) => clientFrame(frame))));
  await waitFor('all three', () => found.length === 3);
  t.same(found, ['busy', 'busy', 'busy']);
});
