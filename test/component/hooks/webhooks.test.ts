// Webhooks against a real HTTP server that misbehaves in every way it can.
import { createServer as createTcpServer } from 'node:net';
import t, { type Test } from 'tap';
import type { Subject } from '../../../src/hooks/application.ts';
import { CallError } from '../../../src/hooks/call-error.ts';
import type { EndpointSettings, WebhookSettings } from '../../../src/hooks/webhooks/settings.ts';
import { BREAKER_POLICY } from '../../../src/hooks/webhooks/webhook.ts';
import { Webhooks } from '../../../src/hooks/webhooks/webhooks.ts';
import { HotCounters } from '../../../src/observe/hot-counters.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { Backend, raw } from '../../helpers/backend.ts';
import { portOf } from '../../helpers/port-of.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const subject: Subject = {
  client: 'c-1',
  user: '17',
  transport: 'websocket',
  protocol: 'json',
  meta: Buffer.from('{"plan":"x"}'),
  headers: { cookie: 'sid=cookie-secret' },
  emulatedHeaders: { Authorization: 'Bearer emulated-secret' },
};
const data = Buffer.from('{"text":"hi"}');
const ask = { subject, method: 'm', data };

const endpoint = (url: string, over: Partial<EndpointSettings> = {}): EndpointSettings => ({
  url,
  timeoutMs: 10_000,
  httpHeaders: [],
  emulatedHeaders: [],
  staticHeaders: {},
  includeMeta: false,
  binary: false,
  statuses: new Map(),
  ...over,
});

function setUp(t: Test, settings: Partial<WebhookSettings>) {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs, wallMs: () => clock.nowMs };
  const counters = new HotCounters();
  const lines: string[] = [];
  const log = createLogger({
    level: 'debug',
    role: 'worker',
    destination: { write: (line) => void lines.push(line) },
  });
  const webhooks = new Webhooks(
    { clock, log, counters, version: '1.2.3' },
    {
      connect: undefined,
      refresh: undefined,
      subscribe: new Map(),
      publish: new Map(),
      subRefresh: new Map(),
      rpc: { boundary: ':', withoutNamespace: undefined, namespaces: new Map() },
      ...settings,
    },
  );
  t.teardown(() => webhooks.close());
  return { webhooks, clock, counters, lines };
}

/** Webhooks with nothing but RPC, for what is the same with all events. */
async function setUpRpc(t: Test, over: Partial<EndpointSettings> = {}) {
  const backend = await Backend.start(t);
  const url = backend.url.replace('//', '//app:pass-secret@') + '/rpc?key=query-secret';
  const withoutNamespace = endpoint(url, over);
  const rest = setUp(t, { rpc: { boundary: ':', withoutNamespace, namespaces: new Map() } });
  const rpc = () => rest.webhooks.rpc('m')?.(ask) ?? Promise.reject(new Error('nobody to ask'));
  return { ...rest, backend, rpc };
}

async function faultOf(t: Test, asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof CallError) return error.fault;
    throw error;
  }
  t.fail('it was answered');
  return '';
}

t.test('every event goes to its endpoint and its answer comes back', async (t) => {
  const backend = await Backend.start(t);
  const at = (path: string) => endpoint(`${backend.url}${path}`);
  const named = new Map([
    ['default', at('/default')],
    ['other', at('/other')],
  ]);
  const { webhooks, counters } = setUp(t, {
    connect: at('/connect'),
    refresh: at('/refresh'),
    subscribe: named,
    publish: named,
    subRefresh: named,
    rpc: { boundary: ':', withoutNamespace: at('/rpc'), namespaces: new Map([['mail', at('/mail')]]) },
  });
  backend.answer = { result: { user: '42', data: { hello: 1 } } };
  t.match(await webhooks.connect?.({ subject, data, name: 'js', version: '', channels: [] }), {
    kind: 'yes',
    answer: { user: '42', data: Buffer.from('{"hello":1}') },
  });
  t.match(backend.calls[0], {
    path: '/connect',
    headers: { 'content-type': 'application/json', 'user-agent': 'holdfast/1.2.3' },
  });
  t.same(backend.lastBody, {
    client: 'c-1',
    transport: 'websocket',
    protocol: 'json',
    encoding: 'json',
    data: { text: 'hi' },
    name: 'js',
  });
  await webhooks.refresh?.(subject);
  await webhooks.subscribe('default')?.({ subject, channel: 'news', token: '', data: undefined });
  await webhooks.publish('other')?.({ subject, channel: 'news', data });
  await webhooks.subRefresh('default')?.({ subject, channel: 'news' });
  await webhooks.rpc('m')?.(ask);
  await webhooks.rpc('mail:send')?.(ask);
  t.same(
    backend.calls.map(({ path }) => path),
    ['/connect', '/refresh', '/default', '/other', '/default', '/rpc', '/mail'],
  );
  t.equal(webhooks.rpc('unknown:m'), undefined);
  t.equal(webhooks.subscribe(undefined), undefined);
  t.equal(webhooks.publish('unknown'), undefined);
  t.equal(counters.hookCalls.cell('rpc', 'yes').value, 2);
  t.equal(new Set(backend.calls.map(({ path, peerPort }) => `${path} ${peerPort}`)).size, 6, 'kept alive');
});

t.test('headers, meta and base64 as configured', async (t) => {
  const { backend, rpc } = await setUpRpc(t, {
    httpHeaders: ['cookie'],
    emulatedHeaders: ['authorization', 'cookie'],
    staticHeaders: { 'X-App': 'chat' },
    includeMeta: true,
    binary: true,
  });
  await rpc();
  t.match(backend.calls[0]?.headers, {
    cookie: 'sid=cookie-secret',
    authorization: 'Bearer emulated-secret',
    'x-app': 'chat',
  });
  t.same(backend.lastBody, {
    client: 'c-1',
    transport: 'websocket',
    protocol: 'json',
    encoding: 'binary',
    user: '17',
    meta: { plan: 'x' },
    method: 'm',
    b64data: data.toString('base64'),
  });
});

t.test('wrong answers fail this call only, and secrets stay out of the log', async (t) => {
  const { backend, rpc, counters, lines } = await setUpRpc(t, {
    httpHeaders: ['cookie'],
    staticHeaders: { 'x-key': 'static-secret' },
  });
  const wrong: [string, typeof backend.answer][] = [
    ['answer', raw('<html>body-secret</html>')],
    ['answer', raw('')],
    ['answer', { result: 'body-secret' }],
    ['answer', { result: { b64data: 'body-secret!' } }],
    ['status', raw('<html>body-secret</html>', 500)],
    ['status', raw('{"result":{}}', 201)],
    ['status', raw('', 204)],
    ['status', (_, response) => response.writeHead(302, { location: `${backend.url}/elsewhere` }).end()],
    ['network', (_, response) => response.destroy()],
    ['network', (_, response) => response.write('{"result":', () => response.destroy())],
    ['network', (_, response) => response.socket?.end('ceci n’est pas HTTP\r\n\r\n')],
    ['too_large', (_, response) => response.writeHead(200, { 'content-length': 100_000_000 }).write('{')],
    ['too_large', endless],
    ['status', (_, response) => (response.writeHead(500), endless(undefined, response))],
  ];
  for (const [fault, answer] of wrong) {
    backend.answer = answer;
    t.equal(await faultOf(t, rpc()), fault);
  }
  backend.answer = { result: { data: 1 } };
  t.same(await rpc(), { kind: 'yes', answer: Buffer.from('1') });
  t.notOk(
    backend.calls.some(({ path }) => path === '/elsewhere'),
    'a redirect is not followed',
  );
  t.equal(counters.hookCalls.cell('rpc', 'answer').value, 4);
  t.equal(lines.length, wrong.length, 'each is logged');
  t.notMatch(lines.join(''), /secret/);
  t.match(lines[0], `"endpoint":"${backend.url}/rpc"`);
});

function endless(
  _: unknown,
  response: {
    write(chunk: Buffer): boolean;
    once(name: 'drain', f: () => void): unknown;
    destroyed: boolean;
  },
): void {
  const chunk = Buffer.alloc(65_536, 0x20);
  const more = (): void => {
    if (response.destroyed) return;
    if (response.write(chunk)) setImmediate(more);
    else response.once('drain', more);
  };
  more();
}

t.test('an endpoint that says nothing', async (t) => {
  const { backend, rpc } = await setUpRpc(t, { timeoutMs: 50 });
  backend.answer = () => undefined;
  t.equal(await faultOf(t, rpc()), 'timeout');
  backend.answer = (_, response) => void response.writeHead(200).write('{"result":{}}');
  t.equal(await faultOf(t, rpc()), 'timeout', 'nor ends what it began');
  backend.answer = { result: {} };
  t.match(await rpc(), { kind: 'yes' });
});

t.test('a status may mean something to the client', async (t) => {
  const { backend, rpc } = await setUpRpc(t, {
    statuses: new Map([
      [403, { kind: 'error', error: { code: 403, message: 'forbidden', temporary: false } }],
      [
        401,
        { kind: 'disconnect', cause: { name: 'application', code: 4501, reason: 'out', logLevel: 'info' } },
      ],
    ]),
  });
  backend.answer = raw('<html>', 403);
  t.match(await rpc(), { kind: 'error', error: { code: 403 } });
  backend.answer = raw('', 401);
  t.match(await rpc(), { kind: 'disconnect', cause: { code: 4501 } });
  backend.answer = raw('', 404);
  t.equal(await faultOf(t, rpc()), 'status');
});

t.test('a connection that was closed while idle is replaced unnoticed', async (t) => {
  const { backend, rpc } = await setUpRpc(t);
  backend.server.keepAliveTimeout = 0;
  let closing: (() => void) | undefined;
  backend.answer = (_, response) => {
    closing = () => response.socket?.resetAndDestroy();
    response.end('{"result":{"data":1}}');
  };
  await rpc();
  // The reset is on its way, or there, when the next call takes the connection out of the pool.
  closing?.();
  t.match(await rpc(), { kind: 'yes' });
  t.match(await rpc(), { kind: 'yes' });
});

t.test('a request on a closed connection is sent once more, under the same id', async (t) => {
  const ids: string[] = [];
  let connections = 0;
  // Answers the first request of the first connection, and resets it at the second.
  const server = createTcpServer((socket) => {
    const isFirst = (connections += 1) === 1;
    let requests = 0;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      ids.push(/x-request-id: (\S+)/i.exec(chunk.toString())?.[1] ?? '');
      requests += 1;
      if (isFirst && requests === 2) socket.resetAndDestroy();
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const withoutNamespace = endpoint(`http://127.0.0.1:${portOf(server)}/`);
  const { webhooks } = setUp(t, { rpc: { boundary: ':', withoutNamespace, namespaces: new Map() } });
  t.match(await webhooks.rpc('m')?.(ask), { kind: 'yes' });
  t.match(await webhooks.rpc('m')?.(ask), { kind: 'yes' });
  t.equal(ids.length, 3);
  t.equal(ids[1], ids[2]);
  t.not(ids[0], ids[1]);
});

t.test('an endpoint that is away is left alone, and found again', async (t) => {
  const { backend, rpc, clock, lines } = await setUpRpc(t);
  backend.answer = raw('', 503);
  for (let n = 0; n < BREAKER_POLICY.threshold; n += 1) t.equal(await faultOf(t, rpc()), 'status');
  t.equal(await faultOf(t, rpc()), 'circuit_open');
  const { length } = backend.calls;
  clock.nowMs += BREAKER_POLICY.minOpenMs;
  const [probe, other] = await Promise.all([faultOf(t, rpc()), faultOf(t, rpc())]);
  t.same([probe, other], ['status', 'circuit_open'], 'one probe');
  t.equal(backend.calls.length, length + 1);
  backend.answer = { result: {} };
  clock.nowMs += BREAKER_POLICY.minOpenMs;
  t.equal(await faultOf(t, rpc()), 'circuit_open', 'twice as long the second time');
  clock.nowMs += BREAKER_POLICY.minOpenMs;
  t.match(await rpc(), { kind: 'yes' });
  t.match(await Promise.all([rpc(), rpc()]), [{ kind: 'yes' }, { kind: 'yes' }]);
  t.equal(lines.filter((line) => line.includes('webhook left alone')).length, 2);
  t.equal(lines.filter((line) => line.includes('webhook answers again')).length, 1);
});

t.test('answers that dislike a request are no outage', async (t) => {
  const { backend, rpc } = await setUpRpc(t);
  for (const status of [400, 500]) {
    backend.answer = raw('', status);
    for (let n = 0; n < BREAKER_POLICY.threshold + 1; n += 1) t.equal(await faultOf(t, rpc()), 'status');
  }
});

t.test('a payload that the endpoint could not read is the client’s fault', async (t) => {
  const { backend, webhooks, counters } = await setUpRpc(t);
  const question = { ...ask, subject: { ...subject, protocol: 'protobuf' as const }, data: Buffer.from([1]) };
  t.match(await webhooks.rpc('m')?.(question), { kind: 'error', error: { code: 107 } });
  t.equal(backend.calls.length, 0);
  t.equal(counters.hookCalls.cell('rpc', 'no_json').value, 1);
});

t.test('closing ends the calls under way', async (t) => {
  const { backend, rpc, webhooks } = await setUpRpc(t);
  backend.answer = () => undefined;
  const asked = faultOf(t, rpc());
  await waitFor('the call', () => backend.calls.length === 1);
  webhooks.close();
  webhooks.close();
  t.equal(await asked, 'closed');
  t.equal(await faultOf(t, rpc()), 'closed');
});
