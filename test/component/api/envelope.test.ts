import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { API_KEY, serverApi } from '../../helpers/server-api.ts';

const PUBLISH = { channel: 'news', data: { a: 1 } };

t.test('a key in each of three places', async (t) => {
  const api = await serverApi(t);
  for (const headers of [{ 'x-api-key': API_KEY }, { authorization: `apikey ${API_KEY}` }]) {
    t.match(await api.call('publish', PUBLISH, headers), { status: 200, json: { result: {} } });
  }
  t.match(await api.call(`publish?api_key=${API_KEY}`, PUBLISH, {}), { status: 200 });
});

t.test('no key or a wrong one: 401 and nothing else', async (t) => {
  const api = await serverApi(t);
  for (const headers of [{}, { 'x-api-key': 'wrong' }, { authorization: `bearer ${API_KEY}` }]) {
    t.strictSame(await api.call('publish', PUBLISH, headers as Record<string, string>), {
      status: 401,
      text: '',
      json: undefined,
    });
  }
  t.match(await api.call('publish', 'not json', {}), { status: 401 }, 'before anything is looked at');
  const get = await fetch(`${api.base}/api/publish`);
  t.equal(get.status, 401);
  t.strictSame([...api.hot.apiCalls.entries()], []);
});

t.test('without a configured key every call is refused, unless insecure', async (t) => {
  t.match(await (await serverApi(t, { key: '' })).call('info', {}, { 'x-api-key': '' }), { status: 401 });
  t.match(await (await serverApi(t, { key: '', insecure: true })).call('publish', PUBLISH, {}), {
    status: 200,
  });
});

t.test('other verbs: 405; other methods: 404', async (t) => {
  const api = await serverApi(t);
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']) {
    const response = await fetch(`${api.base}/api/publish`, { method, headers: { 'x-api-key': API_KEY } });
    t.equal(response.status, 405, method);
    t.equal(response.headers.get('allow'), 'POST');
  }
  t.match(await api.call('device_register', {}), { status: 404, text: /POST \/api\/publish/ });
});

t.test('a body that is no JSON object: 400', async (t) => {
  const api = await serverApi(t);
  for (const body of ['', '{', 'null', '[]', '"a"', '{"channel":"a","data":{}}}', '{"channel":"\u0000"}']) {
    const answer = await api.call('publish', body);
    t.match(answer, { status: 400, json: undefined }, body);
  }
  const response = await fetch(`${api.base}/api/publish`, {
    method: 'POST',
    headers: { 'x-api-key': API_KEY },
    body: Buffer.from('7b22613a22ff227d', 'hex'),
  });
  t.equal(response.status, 400, 'invalid UTF-8');
});

t.test('the content type does not matter, answers are JSON', async (t) => {
  const api = await serverApi(t);
  for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'whatever']) {
    const answer = await api.call('publish', PUBLISH, { 'x-api-key': API_KEY, 'content-type': type });
    t.match(answer, { status: 200, json: { result: {} } }, type);
  }
  const response = await fetch(`${api.base}/api/publish`, {
    method: 'POST',
    headers: { 'x-api-key': API_KEY },
    body: '{}',
  });
  t.match(response.headers.get('content-type'), 'application/json');
});

t.test('errors say what is wrong and where', async (t) => {
  const api = await serverApi(t);
  const cases: [method: string, body: unknown, code: number, message: RegExp][] = [
    ['publish', {}, 107, /channel: expected string/],
    ['publish', { channel: '', data: {} }, 107, /channel: must not be empty/],
    ['publish', { channel: 'a' }, 107, /data: required/],
    ['publish', { channel: 7, data: {} }, 107, /channel: expected string/],
    ['publish', { channel: 'a', data: {}, tags: { a: 1 } }, 107, /tags\.a: /],
    ['publish', { channel: 'a', data: {}, version: 1.5 }, 107, /version: /],
    ['publish', { channel: 'a', data: {}, version: -1 }, 107, /version: /],
    ['publish', { channel: 'a', b64data: '***' }, 107, /b64data: not valid base64/],
    ['publish', { channel: 'nowhere:a', data: {} }, 102, /unknown channel: channel "nowhere:a"/],
    ['publish', { channel: 'x'.repeat(256), data: {} }, 107, /bad request/],
    ['history', { channel: 'a' }, 108, /keeps no history/],
    ['history_remove', { channel: 'a' }, 108, /keeps no history/],
    ['presence', { channel: 'a' }, 108, /has no presence/],
    ['presence_stats', { channel: 'a' }, 108, /has no presence/],
    ['broadcast', { channels: [], data: {} }, 107, /channels: must not be empty/],
    ['broadcast', { channels: 'a', data: {} }, 107, /channels: /],
    ['broadcast', { channels: ['a', 5], data: {} }, 107, /channels\.1: /],
    ['rpc', {}, 107, /method: /],
    ['rpc', { method: 'nothing' }, 104, /not found: rpc method "nothing"/],
    ['subscribe', { user: 'u' }, 107, /channel: /],
    ['subscribe', { user: 'u', channel: 'nowhere:a' }, 102, /unknown channel/],
    ['disconnect', { user: 'u', disconnect: { code: 1000 } }, 107, /disconnect\.code: .*3000 to 4999/],
    ['disconnect', { user: 'u', all_users: true }, 107, /all_users: contradicts user/],
    ['batch', {}, 107, /commands: /],
  ];
  for (const [method, body, code, message] of cases) {
    const answer = await api.call(method, body);
    t.match(answer, { status: 200, json: { error: { code, message } } }, `${method} ${JSON.stringify(body)}`);
    t.notMatch(answer.text, '"result"');
  }
});

t.test('transport error mode, asked for by a request or configured', async (t) => {
  const channel = { without_namespace: { history_size: 5, history_ttl: '60s' } };
  const api = await serverApi(t, { channel });
  const asked = { 'x-api-key': API_KEY, 'x-centrifugo-error-mode': 'transport' };
  const cases: [string, object, number, number][] = [
    ['publish', { channel: 'nowhere:a', data: 1 }, 404, 102],
    ['publish', {}, 400, 107],
    ['presence', { channel: 'a' }, 400, 108],
    ['rpc', { method: 'a' }, 404, 104],
    ['history', { channel: 'a', since: { offset: 1, epoch: 'other' } }, 416, 112],
  ];
  for (const [method, body, status, code] of cases) {
    const answer = await api.call(method, body, asked);
    t.match(answer, { status, json: { code, message: String } }, method);
  }
  t.match(await api.call('publish', PUBLISH, asked), { status: 200, json: { result: {} } });
  const configured = await serverApi(t, { errorMode: 'transport' });
  t.match(await configured.call('publish', {}), { status: 400, json: { code: 107 } });
  t.match(
    await configured.call('broadcast', { channels: ['a', 'nowhere:a'], data: 1 }),
    { status: 200, json: { result: { responses: [{ result: {} }, { error: { code: 102 } }] } } },
    'inner errors stay inside',
  );
});

t.test('an engine that is away is error 100, at once', async (t) => {
  const channel = { without_namespace: { history_size: 5, history_ttl: '60s' } };
  const api = await serverApi(t, { channel });
  await api.engine.server.close();
  t.match(await api.call('publish', PUBLISH), {
    status: 200,
    json: { error: { code: 100, message: 'internal server error' } },
  });
  const transport = { 'x-api-key': API_KEY, 'x-centrifugo-error-mode': 'transport' };
  t.match(await api.call('history', { channel: 'a' }, transport), { status: 500, json: { code: 100 } });
});

t.test('the old form: a command on each line, a reply on each line', async (t) => {
  const api = await serverApi(t);
  const post = async (body: string) => {
    const response = await fetch(`${api.base}/api`, {
      method: 'POST',
      headers: { 'x-api-key': API_KEY },
      body,
    });
    return [response.status, await response.text()] as const;
  };
  const lines = [
    { method: 'publish', params: { channel: 'a', data: 1 } },
    { method: 'nothing' },
    { method: 'publish', params: {} },
    { method: 'info' },
  ];
  const [status, text] = await post(lines.map((line) => JSON.stringify(line)).join('\n'));
  t.equal(status, 200);
  t.match(
    text.split('\n').map((line): unknown => JSON.parse(line)),
    [{ result: {} }, { error: { code: 104 } }, { error: { code: 107 } }, { result: { nodes: [] } }],
  );
  for (const body of ['', '\n', '[]', '{"params":{}}', '{"method":"info"}\nx']) {
    t.match(await post(body), [400, /Bad Request/], body);
  }
  t.equal((await fetch(`${api.base}/api`, { method: 'POST' })).status, 401);
  t.equal((await fetch(`${api.base}/api`, { headers: { 'x-api-key': API_KEY } })).status, 405);
});

t.test('calls are counted by method and result', async (t) => {
  const api = await serverApi(t);
  await api.call('publish', PUBLISH);
  await api.call('publish', PUBLISH);
  await api.call('publish', {});
  await api.call('publish', 'garbage');
  t.strictSame(
    [...api.hot.apiCalls.entries()].map(([[method, result], n]) => [method, result, n]),
    [
      ['publish', 'ok', 2],
      ['publish', '107', 1],
      ['publish', 'bad_json', 1],
    ],
  );
  t.notMatch(api.lines.join(''), API_KEY);
});

t.test('bodies have a limit', async (t) => {
  const api = await serverApi(t);
  t.match(await api.call('publish', { channel: 'a', data: 'x'.repeat(1_000_000) }), { status: 413 });
});

t.test('deep JSON neither crashes nor blocks', async (t) => {
  const api = await serverApi(t);
  const deep = '['.repeat(200_000) + ']'.repeat(200_000);
  const answer = await api.call('publish', `{"channel":"a","data":${deep}}`);
  t.ok(answer.status === 200 || answer.status === 400, String(answer.status));
  t.match(await api.call('publish', PUBLISH), { status: 200 });
});

t.test('a request that is cut off leaves nothing behind', async (t) => {
  const api = await serverApi(t);
  const url = new URL(api.base);
  for (let i = 0; i < 20; i += 1) {
    const socket = connect(Number(url.port), url.hostname);
    await once(socket, 'connect');
    socket.write(
      `POST /api/publish HTTP/1.1\r\nHost: a\r\nX-API-Key: ${API_KEY}\r\nContent-Length: 500\r\n\r\n{"channel"`,
    );
    socket.destroy();
    await once(socket, 'close');
  }
  t.match(await api.call('publish', PUBLISH), { status: 200 });
});

t.test('the OpenAPI document describes every method', async (t) => {
  const api = await serverApi(t);
  t.equal((await fetch(`${api.base}/api/openapi.json`)).status, 401);
  const response = await fetch(`${api.base}/api/openapi.json?api_key=${API_KEY}`);
  const document: unknown = await response.json();
  t.match(document, {
    openapi: '3.1.0',
    info: { version: '1.2.3' },
    paths: {
      '/api/publish': {
        post: {
          requestBody: {
            content: {
              'application/json': {
                schema: {
                  required: ['channel'],
                  properties: { channel: { type: 'string' }, b64data: {}, idempotency_key: {} },
                },
              },
            },
          },
        },
      },
      '/api/broadcast': {},
      '/api/subscribe': {},
      '/api/unsubscribe': {},
      '/api/disconnect': {},
      '/api/refresh': {},
      '/api/presence': {},
      '/api/presence_stats': {},
      '/api/history': {},
      '/api/history_remove': {},
      '/api/channels': {},
      '/api/info': {},
      '/api/rpc': {},
      '/api/batch': {},
    },
  });
});
