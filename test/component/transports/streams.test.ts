// HTTP streaming and server-sent events: what a request is told, how the body goes on, and how it ends.
import t, { type Test } from 'tap';
import type { Connection } from '../../../src/connection/connection.ts';
import { CloseCauses } from '../../../src/protocol/close-causes.ts';
import type { Command } from '../../../src/protocol/commands.ts';
import { deferred } from '../../helpers/deferred.ts';
import { RawSocket } from '../../helpers/raw-socket.ts';
import { StreamClient, type StreamRequest } from '../../helpers/stream-client.ts';
import { TransportServer } from '../../helpers/transport-server.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const CONNECT = '{"id":1,"connect":{}}';
const PATHS = ['http_stream', 'sse', 'uni_http_stream', 'uni_sse'] as const;

/** Each transport with a request that opens it. */
const OPENINGS: readonly (readonly [(typeof PATHS)[number], string, StreamRequest])[] = [
  ['http_stream', '', { body: CONNECT, headers: { 'content-type': 'application/json' } }],
  ['sse', `?cf_connect=${encodeURIComponent(CONNECT)}`, { method: 'GET' }],
  ['sse', '', { body: CONNECT }],
  ['uni_http_stream', '', { body: '{"name":"n"}' }],
  ['uni_sse', `?cf_connect=${encodeURIComponent('{"name":"n"}')}`, { method: 'GET' }],
  ['uni_sse', '', { body: '{"name":"n"}' }],
];

function open(
  t: Test,
  server: TransportServer,
  [kind, query, request]: (typeof OPENINGS)[number],
  headers: Record<string, string> = {},
): Promise<StreamClient> {
  return StreamClient.open(t, server.url(`/connection/${kind}${query}`), {
    ...request,
    headers: { ...request.headers, ...headers },
  });
}

/** As the commands room would: a listener gets a push. */
function accept(server: TransportServer): void {
  const { lone } = server;
  lone.handler = (connection: Connection, command: Command) => {
    if (!connection.transport.format.unidirectional || command.kind !== 'connect') {
      lone.answer(connection, command);
      return;
    }
    connection.dispatch({ type: 'accepted', nowMs: lone.wheel.nowMs, expireAtMs: Infinity, jitter: 1 });
    const { client, secret } = connection.session;
    connection.push({ kind: 'connect', result: { client, version: 'v', session: secret, node: 'n' } });
  };
}

for (const opening of OPENINGS) {
  const [kind, , { method = 'POST' }] = opening;
  t.test(`${kind} by ${method}: opens, carries pushes and pings, ends with its reason`, async (t) => {
    const server = await TransportServer.start(t);
    accept(server);
    const stream = await open(t, server, opening);
    t.equal(stream.status, 200);
    t.match(stream.headers, {
      'content-type': kind.endsWith('sse') ? 'text/event-stream' : 'application/json',
      'cache-control': /no-cache/,
      'x-accel-buffering': 'no',
      'content-length': undefined,
    });
    await stream.member('connect');
    const { connection, lone } = server;
    t.equal(connection.transport.kind, kind);
    connection.push({ kind: 'message', data: Buffer.from('{"hello":\n"wörld"}') });
    t.same(await stream.member('message'), { data: { hello: 'wörld' } });
    lone.pass(25_000);
    await waitFor('a ping', () => stream.pings === 1);
    connection.close(CloseCauses.forceDisconnect);
    t.same(await stream.member('disconnect'), { code: 3503, reason: 'force disconnect' });
    await stream.ended();
    t.ok(stream.isComplete);
    t.equal(server.parts.open.size, 0);
    t.equal(server.parts.emulated.size, 0);
    if (kind.endsWith('sse')) t.ok(stream.text.startsWith('\r\ndata: {'), 'an empty line, then events');
    const isBare = kind.startsWith('uni');
    t.equal(
      stream.text.includes(isBare ? '{"disconnect":' : '{"push":{"disconnect":'),
      true,
      'the envelope of replies is for those who send commands',
    );
    t.equal(server.parts.counters.opened.cell(kind, 'json').value, 1);
  });

  t.test(`${kind} by ${method}: a peer that goes away is noticed`, async (t) => {
    const server = await TransportServer.start(t);
    accept(server);
    const stream = await open(t, server, opening);
    await stream.member('connect');
    stream.cut();
    await waitFor('the end of the connection', () => server.parts.open.size === 0);
    t.same(
      server.lone.ends.map(({ cause }) => cause),
      [CloseCauses.connectionClosed],
    );
  });
}

t.test('listeners are not asked for pongs', async (t) => {
  const server = await TransportServer.start(t);
  accept(server);
  const listener = await open(t, server, ['uni_sse', '', { body: '' }]);
  await listener.member('connect');
  const client = await open(t, server, ['sse', '', { body: CONNECT }]);
  await client.member('connect');
  server.lone.pass(25_000 + 8_000);
  t.same(await client.member('disconnect'), { code: 3012, reason: 'no pong' });
  await client.ended();
  t.equal(server.connection.transport.kind, 'uni_sse');
});

t.test('Protobuf by content type', async (t) => {
  const server = await TransportServer.start(t);
  const body = Buffer.from([0x04, 0x08, 0x01, 0x22, 0x00]);
  const headers = { 'content-type': 'application/octet-stream' };
  const stream = await StreamClient.open(t, server.url('/connection/http_stream'), { body, headers });
  t.equal(stream.headers['content-type'], 'application/octet-stream');
  await waitFor('the reply', () => stream.bytes.length > 0);
  t.equal(stream.bytes.length, 1 + (stream.bytes[0] ?? 0), 'one message with its length before it');
  server.connection.close(CloseCauses.shutdown);
  await stream.ended();
  t.ok(stream.bytes.includes('shutdown'));
});

t.test('several commands may come with the request', async (t) => {
  const server = await TransportServer.start(t);
  const body = `${CONNECT}\n{"id":2,"publish":{"channel":"a","data":{}}}`;
  const stream = await StreamClient.open(t, server.url('/connection/http_stream'), { body });
  await stream.member('connect');
  await stream.member('publish');
  t.same(
    server.lone.commands.map(({ kind }) => kind),
    ['connect', 'publish'],
  );
});

t.test('what is no connect command ends the stream, with its reason', async (t) => {
  const server = await TransportServer.start(t);
  for (const [kind, body] of [
    ['http_stream', 'nonsense'],
    ['http_stream', '{"id":1,"rpc":{}}'],
    ['sse', '{}'],
    ['uni_http_stream', '[]'],
    ['uni_sse', '{"token":1}'],
  ] as const) {
    const stream = await StreamClient.open(t, server.url(`/connection/${kind}`), { body });
    t.match(await stream.member('disconnect'), { code: 3501 }, body);
    await stream.ended();
  }
  t.equal(server.parts.open.size, 0);
});

t.test('requests that open nothing', async (t) => {
  const server = await TransportServer.start(t, {
    config: { http_stream: { enabled: true, max_request_body_size: 100 } },
  });
  const status = async (path: string, init: RequestInit): Promise<number> => {
    const response = await fetch(server.url(path), init);
    await response.arrayBuffer();
    return response.status;
  };
  t.equal(await status('/connection/http_stream', { method: 'POST' }), 400);
  t.equal(await status('/connection/sse', {}), 400);
  t.equal(await status('/connection/sse', { method: 'HEAD' }), 405);
  t.equal(await status('/connection/http_stream', {}), 405);
  t.equal(await status('/connection/uni_http_stream', { method: 'DELETE' }), 405);
  t.equal(await status('/connection/http_stream', { method: 'POST', body: 'x'.repeat(101) }), 413);
  server.parts.state.isDraining = true;
  const refused = await fetch(server.url('/connection/uni_sse'));
  t.equal(refused.status, 503);
  t.equal(refused.headers.get('retry-after'), '1');
  t.equal(server.parts.counters.admissionRefusals.cell('draining').value, 1);
  t.equal(server.parts.open.size, 0);
});

t.test('web pages need an origin that is allowed, on every path', async (t) => {
  const server = await TransportServer.start(t);
  accept(server);
  const origin = 'https://app.example';
  for (const opening of OPENINGS) {
    const allowed = await open(t, server, opening, { origin });
    t.match(allowed.headers, {
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    });
    const refused = await open(t, server, opening, { origin: 'https://evil.test' });
    t.equal(refused.status, 403);
    t.notOk(refused.headers['access-control-allow-origin']);
  }
  t.equal(server.parts.open.size, OPENINGS.length);
  t.equal(server.parts.counters.admissionRefusals.cell('origin').value, OPENINGS.length);
  for (const path of [...PATHS.map((kind) => `/connection/${kind}`), '/emulation']) {
    const asks = {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'X-A, content-type',
    };
    const preflight = await fetch(server.url(path), { method: 'OPTIONS', headers: { origin, ...asks } });
    t.equal(preflight.status, 204);
    t.equal(preflight.headers.get('access-control-allow-origin'), origin);
    t.equal(preflight.headers.get('access-control-allow-headers'), 'X-A, content-type');
    t.equal(preflight.headers.get('access-control-max-age'), '300');
    t.match(preflight.headers.get('access-control-allow-methods'), /POST/);
    const refused = await fetch(server.url(path), {
      method: 'OPTIONS',
      headers: { origin: 'null', ...asks },
    });
    t.equal(refused.status, 403);
  }
  // A page must be able to read what went wrong, or its SDK takes it for a broken network.
  const tooLarge = await fetch(server.url('/emulation'), {
    method: 'POST',
    headers: { origin },
    body: 'x'.repeat(70_000),
  });
  t.equal(tooLarge.status, 413);
  t.equal(tooLarge.headers.get('access-control-allow-origin'), origin);
});

t.test('a reader that is slow costs its limit and is cut', async (t) => {
  const server = await TransportServer.start(t);
  const stream = await StreamClient.open(t, server.url('/connection/http_stream'), {
    body: CONNECT,
    reads: false,
  });
  await waitFor('the connection', () => server.parts.open.size === 1);
  const { connection } = server;
  // The limit here is 10,000 bytes beside what the kernel takes.
  const data = Buffer.from(`"${'x'.repeat(8000)}"`);
  let most = 0;
  await waitFor('the limit', () => {
    for (let pushes = 0; pushes < 100 && !connection.isClosed; pushes += 1) {
      connection.push({ kind: 'message', data });
      server.lone.flush();
      most = Math.max(most, connection.unsentBytes);
    }
    return connection.isClosed;
  });
  t.ok(most <= 10_000 + data.length + 100, `${most} bytes`);
  t.same(
    server.lone.ends.map(({ cause }) => cause),
    [CloseCauses.slow],
  );
  // It still does not read; the response ends nevertheless.
  const { transport } = connection;
  await waitFor('the cut', () => transport.pendingBytes === 0);
  stream.read();
  await stream.ended();
});

t.test('commands that come while none are taken wait up to a limit', async (t) => {
  const server = await TransportServer.start(t, {
    config: { http_stream: { enabled: true, max_request_body_size: 1000 } },
  });
  const stream = await StreamClient.open(t, server.url('/connection/http_stream'), { body: CONNECT });
  await stream.member('connect');
  const { connection, lone } = server;
  const { secret } = connection.session;
  const gate = deferred<void>();
  const order: number[] = [];
  lone.handler = async (_connection, command) => {
    order.push(command.id);
    await gate.promise;
    connection.reply(command.id, { kind: 'publish' });
  };
  const post = async (id: number, padding = ''): Promise<number> => {
    const data = JSON.stringify({ id, publish: { channel: 'a', data: padding } });
    const body = JSON.stringify({ node: server.parts.bus.node, session: secret, data });
    const response = await fetch(server.url('/emulation'), { method: 'POST', body });
    return response.status;
  };
  for (const id of [2, 3, 4, 5]) t.equal(await post(id), 204);
  t.same(order, [2], 'the others wait');
  gate.resolve();
  await stream.next('the last reply', ({ id }) => id === 5);
  t.same(order, [2, 3, 4, 5]);

  lone.handler = () => new Promise(() => undefined);
  await post(6);
  for (let posts = 0; posts < 400 && !connection.isClosed; posts += 1)
    await post(100 + posts, 'x'.repeat(500));
  t.same(await stream.member('disconnect'), { code: 3013, reason: 'too many requests' });
  await stream.ended();
  t.equal(await post(7), 204, 'its session is forgotten');
});

t.test('a request behind the stream ends the connection instead of waiting for ever', async (t) => {
  const server = await TransportServer.start(t);
  const raw = await RawSocket.open(t, server.parts.port);
  const request = `POST /connection/http_stream HTTP/1.1\r\nHost: a\r\nContent-Length: ${CONNECT.length}\r\n\r\n${CONNECT}`;
  raw.write(request);
  t.equal(await raw.status(), 200);
  await waitFor('the connection', () => server.parts.open.size === 1);
  raw.write('GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n');
  await raw.closed();
  await waitFor('the end of the connection', () => server.parts.open.size === 0);
});

t.test('bytes that are no request do not get into the stream', async (t) => {
  const server = await TransportServer.start(t);
  const raw = await RawSocket.open(t, server.parts.port);
  raw.write(
    `POST /connection/sse HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${CONNECT.length}\r\n\r\n${CONNECT}`,
  );
  t.equal(await raw.status(), 200);
  await waitFor('the connection', () => server.parts.open.size === 1);
  raw.write('\u0001\u0002 nonsense\r\n\r\n');
  await raw.closed();
  t.notMatch(raw.text, /HTTP\/1\.1 400/);
});

t.test('no token of a request is logged', async (t) => {
  const server = await TransportServer.start(t);
  const secretive = '?token=s3cr3t&cf_connect=s3cr3t';
  for (const path of [
    `/connection/sse${secretive}`,
    `/connection/http_stream${secretive}`,
    `/nowhere${secretive}`,
  ]) {
    await fetch(server.url(path), {
      method: 'POST',
      body: 'x'.repeat(70_000),
      headers: { authorization: 'Bearer s3cr3t' },
    });
  }
  t.notMatch(server.parts.logs.join('\n'), /s3cr3t/);
});
