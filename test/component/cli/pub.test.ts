import { createServer } from 'node:http';
import t from 'tap';
import { cliRun } from '../../helpers/cli-run.ts';
import type { Scope } from '../../helpers/scope.ts';
import { portOf } from '../../helpers/port-of.ts';

interface Call {
  readonly url: string | undefined;
  readonly key: unknown;
  readonly body: unknown;
}

/** Answers every request with what it is given; keeps what was asked. */
async function startApi(
  scope: Scope,
  status: number,
  answer: string,
): Promise<{ url: string; calls: Call[] }> {
  const calls: Call[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      calls.push({ url: request.url, key: request.headers['x-api-key'], body: JSON.parse(text) });
      response.writeHead(status).end(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${portOf(server)}`, calls };
}

t.test('it publishes with the key of the configuration, and says where the publication went', async (t) => {
  const api = await startApi(t, 200, '{"result":{"offset":7,"epoch":"ab"}}');
  const environment = { HOLDFAST_HTTP_API_KEY: 'the-key' };
  const run = await cliRun(['pub', 'chat:a', '{"text":"hello"}', '--url', api.url], { environment });
  t.same(run, { code: 0, out: 'published to chat:a at offset 7 of epoch "ab"\n', err: '' });
  t.same(api.calls, [
    { url: '/api/publish', key: 'the-key', body: { channel: 'chat:a', data: { text: 'hello' } } },
  ]);
  const asJson = await cliRun(['pub', 'a', '1', '--url', api.url, '--key', 'k', '--json']);
  t.same(JSON.parse(asJson.out), { offset: 7, epoch: 'ab' });
});

t.test('what to publish may come from standard input', async (t) => {
  const api = await startApi(t, 200, '{"result":{}}');
  const run = await cliRun(['pub', 'a', '-', '--url', api.url], { readText: () => Promise.resolve('[1]\n') });
  t.match(run, { code: 0, out: 'published to a\n' });
  t.match(api.calls, [{ key: undefined, body: { channel: 'a', data: [1] } }]);
});

t.test('a refusal ends with 1 and says what to do', async (t) => {
  const table: readonly (readonly [status: number, answer: string, message: RegExp])[] = [
    [401, '', /refuses the API key \(401\): give its http_api\.key/],
    [200, '{"error":{"code":102,"message":"unknown channel"}}', /error 102: unknown channel/],
    [404, '{"code":102,"message":"unknown channel"}', /error 102: unknown channel/],
    [404, 'Not Found', /answers with status 404, which is not the API of a gateway/],
    [200, '<html>', /answers with status 200, which is not the API of a gateway/],
  ];
  for (const [status, answer, message] of table) {
    const api = await startApi(t, status, answer);
    t.match(await cliRun(['pub', 'a', '1', '--url', api.url]), { code: 1, out: '', err: message });
  }
});

t.test('an answer that breaks off ends with 69', async (t) => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('{', () => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const run = await cliRun(['pub', 'a', '1', '--url', `http://127.0.0.1:${portOf(server)}`]);
  t.match(run, { code: 69, out: '', err: /no gateway answers/ });
});

t.test('when nobody answers it ends with 69', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${portOf(server)}`;
  await new Promise((resolve) => server.close(resolve));
  const run = await cliRun(['pub', 'a', '1', '--url', url]);
  t.match(run, {
    code: 69,
    err: `no gateway answers at ${url} (ECONNREFUSED): start one with \`holdfast serve\``,
  });
});
