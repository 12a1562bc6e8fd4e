import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import t, { type Test } from 'tap';
import {
  createHttpServers,
  type HttpLimits,
  type HttpServers,
  type RouteGroup,
} from '../../../src/gateway/http-server.ts';
import { websocketHint } from '../../../src/gateway/websocket-hint.ts';
import { portOf } from '../../helpers/port-of.ts';
import { createLogger } from '../../../src/observe/logger.ts';

const lines: string[] = [];
const logger = createLogger({ level: 'debug', role: 'worker', destination: { write: (l) => lines.push(l) } });

const echo: RouteGroup = {
  serves: ['POST /echo'],
  place: 'public',
  register: (app) => {
    app.post('/echo', (request, reply) => reply.send(request.body));
    app.get('/throws', () => {
      throw new Error('the password is hunter2');
    });
  },
};

const api: RouteGroup = {
  serves: ['POST /api/publish'],
  place: 'internal',
  register: (app) => void app.get('/api', () => ({ here: true })),
};

/** The gateway as it is in a worker: sockets come from elsewhere. */
async function start(
  t: Test,
  options: { internal?: boolean; limits?: Partial<HttpLimits> } = {},
): Promise<{ servers: HttpServers; port: number; front: Server }> {
  const servers = await createHttpServers({
    groups: [echo, api, websocketHint('/connection/websocket')],
    hasInternal: options.internal === true,
    limits: options.limits,
    logger,
  });
  if (servers.internalServer !== undefined) {
    servers.internalServer.listen(0, '127.0.0.1');
    await once(servers.internalServer, 'listening');
  }
  const front = createServer((socket) => servers.publicServer.emit('connection', socket));
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  t.teardown(async () => {
    front.close();
    await servers.close();
  });
  return { servers, port: portOf(front), front };
}

async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  let answer = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (answer += chunk));
  await once(socket, 'close');
  return answer;
}

function post(body: string): string {
  return `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

t.test('answers over sockets that were handed in', async (t) => {
  const { port } = await start(t);
  const response = await fetch(`http://127.0.0.1:${port}/echo`, { method: 'POST', body: '{"a": 1}' });
  t.equal(response.status, 200);
  t.equal(await response.text(), '{"a": 1}');
  t.equal(response.headers.get('x-content-type-options'), 'nosniff');
  t.equal(response.headers.get('cache-control'), 'no-store');
  t.notOk(response.headers.get('server'));
});

t.test('a body of any content type arrives as it was sent', async (t) => {
  const { port } = await start(t);
  for (const type of ['text/plain', 'application/json', 'application/octet-stream', 'nonsense', undefined]) {
    const response = await fetch(`http://127.0.0.1:${port}/echo`, {
      method: 'POST',
      body: Buffer.from('{"n":12345678901234567890}\n'),
      ...(type !== undefined && { headers: { 'content-type': type } }),
    });
    t.equal(await response.text(), '{"n":12345678901234567890}\n', type ?? 'none');
  }
});

t.test('an unknown path is told what there is', async (t) => {
  const { port } = await start(t);
  const response = await fetch(`http://127.0.0.1:${port}/wrong?token=hunter2`);
  t.equal(response.status, 404);
  const text = await response.text();
  t.match(text, 'POST /echo');
  t.match(text, 'WebSocket /connection/websocket');
  t.notMatch(text, 'hunter2');
});

t.test('requests behind the first one of a connection', async (t) => {
  const { servers, port } = await start(t, { internal: true });
  const answer = await raw(port, post('first') + post('second') + post('x'.repeat(60_000)));
  t.match(
    answer,
    /^HTTP\/1\.1 200 [^]*\r\nconnection: close\r\n[^]*\r\n\r\nfirst$/,
    'one answer, and it says so',
  );
  const many = await raw(port, post('first') + post('').repeat(100));
  t.equal(many.match(/HTTP\/1\.1/g)?.length ?? 0, 0, 'who sends without end gets none');
  const internal = servers.internalServer;
  if (internal === undefined) throw new Error('no internal server');
  const get = 'GET /api HTTP/1.1\r\nHost: a\r\n';
  const both = await raw(portOf(internal), `${get}\r\n${get}Connection: close\r\n\r\n`);
  t.equal(both.match(/HTTP\/1\.1 200/g)?.length, 2, 'back ends keep their connection');
});

t.test('a method that a path does not have', async (t) => {
  const { port } = await start(t);
  for (const [method, path, allow] of [
    ['DELETE', '/connection/websocket', 'GET, HEAD'],
    ['POST', '/connection/websocket?a=1', 'GET, HEAD'],
    ['TRACE', '/connection/websocket', 'GET, HEAD'],
    ['GET', '/echo', 'POST'],
    ['PROPFIND', '/echo', 'POST'],
  ] as const) {
    const answer = await raw(port, `${method} ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    t.match(answer, /^HTTP\/1\.1 405 Method Not Allowed\r\n/, `${method} ${path}`);
    t.match(answer, `allow: ${allow}\r\n`);
  }
  t.match(await raw(port, 'DELETE /nowhere HTTP/1.1\r\nHost: a\r\n\r\n'), /^HTTP\/1\.1 404 /);
  t.match(await raw(port, 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n'), /^HTTP\/1\.1 501 /);
});

t.test('a WebSocket path without an upgrade says so', async (t) => {
  const { port } = await start(t);
  const answer = await raw(
    port,
    'GET /connection/websocket HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  );
  t.match(answer, /^HTTP\/1\.1 426 Upgrade Required/);
  t.match(answer, /upgrade: websocket/i);
});

t.test('what fails inside stays inside', async (t) => {
  const { port } = await start(t);
  lines.length = 0;
  const response = await fetch(`http://127.0.0.1:${port}/throws?token=s3cret`);
  t.equal(response.status, 500);
  t.equal(await response.text(), 'Internal Server Error\n');
  t.match(lines.join(''), 'http request failed');
  t.notMatch(lines.join(''), 's3cret');
});

t.test('malformed requests get a status and an end', { timeout: 20_000 }, async (t) => {
  const { port } = await start(t, {
    limits: { headersTimeoutMs: 300, requestTimeoutMs: 600, maxBodyBytes: 100, maxHeaderBytes: 2000 },
  });
  t.match(await raw(port, 'garbage\r\n\r\n'), /^HTTP\/1\.1 400 /);
  t.match(await raw(port, '\u0000\u0001\u0002'), /^HTTP\/1\.1 400 /);
  t.match(await raw(port, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(5000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  t.match(await raw(port, 'GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 400 /);
  t.match(
    await raw(
      port,
      `POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 101\r\n\r\n${'x'.repeat(101)}`,
    ),
    /^HTTP\/1\.1 413 /,
  );
  t.match(
    await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\nX-Slow: '),
    /^HTTP\/1\.1 408 /,
    'headers that never end',
  );
  t.match(
    await raw(port, 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nabc'),
    /^HTTP\/1\.1 408 /,
    'a body that never ends',
  );
});

t.test('upgrade events reach whoever listens for them', async (t) => {
  const { servers, port } = await start(t);
  servers.publicServer.on('upgrade', (_request, socket) => socket.end('upgraded'));
  const answer = await raw(
    port,
    'GET /connection/websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  );
  t.equal(answer, 'upgraded');
});

t.test('with an internal port, internal routes are only there', async (t) => {
  const { servers, port } = await start(t, { internal: true });
  t.equal((await fetch(`http://127.0.0.1:${port}/api`)).status, 404);
  const internal = servers.internalServer;
  if (internal === undefined) throw new Error('no internal server');
  const response = await fetch(`http://127.0.0.1:${portOf(internal)}/api`);
  t.strictSame(await response.json(), { here: true });
  t.equal((await fetch(`http://127.0.0.1:${portOf(internal)}/echo`, { method: 'POST' })).status, 404);
});

t.test('without one they are public', async (t) => {
  const { servers, port } = await start(t);
  t.equal(servers.internalServer, undefined);
  t.equal((await fetch(`http://127.0.0.1:${port}/api`)).status, 200);
});

t.test('close ends idle connections and leaves nothing open', async (t) => {
  const { servers, port, front } = await start(t, { internal: true, limits: { closeGraceMs: 50 } });
  if (servers.internalServer === undefined) throw new Error('no internal server');
  const idle = connect(portOf(servers.internalServer), '127.0.0.1');
  await once(idle, 'connect');
  idle.write('GET /api HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(idle, 'data');
  const unfinished = connect(port, '127.0.0.1');
  await once(unfinished, 'connect');
  const taken = once(servers.publicServer, 'request');
  unfinished.write('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc');
  await taken;
  const ends = [once(idle.resume(), 'close'), once(unfinished.resume(), 'close')];
  await servers.close();
  await Promise.all(ends);
  await servers.close();
  t.equal(front.listening, true, 'the owner of the port is not touched');
});
