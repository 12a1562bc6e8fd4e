import t from 'tap';
import type { Publication } from '../../../src/protocol/publication.ts';
import { serverApi, type TestApi } from '../../helpers/server-api.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const channel = {
  without_namespace: { history_size: 10, history_ttl: '60s' },
  namespaces: [
    { name: 'live' },
    { name: 'json', publication_data_format: 'json' },
    { name: 'object', publication_data_format: 'json_object' },
    { name: 'bytes', publication_data_format: 'binary' },
  ],
};

function b64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** Everything that another worker receives in these channels. */
async function listen(api: TestApi, ...channels: string[]): Promise<Publication[]> {
  const received: Publication[] = [];
  const other = await api.engine.connect({
    onPublication: (_channel, publication) => void received.push(publication),
    onJoin: () => undefined,
    onLeave: () => undefined,
    onInterruption: () => undefined,
  });
  for (const name of channels) await other.broker.subscribe(name);
  return received;
}

t.test('a publication gets its place and reaches subscribers', async (t) => {
  const api = await serverApi(t, { channel });
  const received = await listen(api, 'news');
  const first = await api.call('publish', { channel: 'news', data: { a: 1 }, tags: { kind: 'x' } });
  t.match(first, { status: 200, json: { result: { offset: 1, epoch: /.+/ } } });
  t.match(await api.call('publish', { channel: 'news', data: 'two' }), { json: { result: { offset: 2 } } });
  await waitFor('both publications', () => received.length === 2);
  t.match(
    received.map(({ data, offset, tags }) => ({ data: data.toString(), offset, tags })),
    [
      { data: '{"a":1}', offset: 1, tags: { kind: 'x' } },
      { data: '"two"', offset: 2 },
    ],
  );
});

t.test('payloads pass as they were written', async (t) => {
  const api = await serverApi(t, { channel });
  const received = await listen(api, 'raw');
  const payloads = [
    '12345678901234567890',
    '{ "a" : 1.0e3 , "a":2}',
    '"\\u00e9\\/"',
    'null',
    '0',
    'false',
    '""',
    '{}',
  ];
  for (const payload of payloads) {
    t.match(await api.call('publish', `{"data":1,"channel":"raw", "data" : ${payload} }`), {
      json: { result: {} },
    });
  }
  await api.call('publish', '{"channel":"raw","data":{\r\n "a":\n1}}');
  await waitFor('all publications', () => received.length === payloads.length + 1);
  t.strictSame(
    received.map(({ data }) => data.toString()),
    [...payloads, '{ "a":1}'],
  );
  const history = await api.call('history', { channel: 'raw', limit: 1 });
  t.match(history.text, '"data":12345678901234567890,');
});

t.test('bytes come as base64', async (t) => {
  const api = await serverApi(t, { channel });
  const received = await listen(api, 'bin', 'bytes:a');
  const b64data = Buffer.from([0, 255, 10]).toString('base64');
  t.match(await api.call('publish', { channel: 'bin', data: { ignored: true }, b64data }), {
    json: { result: {} },
  });
  t.match(await api.call('publish', { channel: 'bytes:a' }), { json: { result: {} } }, 'binary may be empty');
  await waitFor('both publications', () => received.length === 2);
  t.strictSame(received[0]?.data, Buffer.from([0, 255, 10]));
  t.equal(received[1]?.data.length, 0);
  t.match(await api.call('history', { channel: 'bin', limit: -1 }), {
    json: { result: { publications: [{ b64data, offset: 1 }] } },
  });
});

t.test('a channel without history answers with nothing', async (t) => {
  const api = await serverApi(t, { channel });
  t.equal((await api.call('publish', { channel: 'live:a', data: 1 })).text, '{"result":{}}');
});

t.test('a namespace may demand JSON', async (t) => {
  const api = await serverApi(t, { channel });
  const code = async (name: string, b64data: string): Promise<unknown> =>
    Object(Object((await api.call('publish', { channel: name, b64data })).json)['error'])['code'];
  t.equal(await code('json:a', b64('{"a":1}')), undefined);
  t.equal(await code('json:a', b64('nope')), 107);
  t.equal(await code('object:a', b64('{"a":1}')), undefined);
  t.equal(await code('object:a', b64('[1]')), 107);
  t.equal(await code('object:a', b64('null')), 107);
});

t.test('skip_history delivers and does not store', async (t) => {
  const api = await serverApi(t, { channel });
  const received = await listen(api, 'news');
  t.equal(
    (await api.call('publish', { channel: 'news', data: 1, skip_history: true })).text,
    '{"result":{}}',
  );
  await waitFor('the publication', () => received.length === 1);
  t.match(await api.call('history', { channel: 'news', limit: -1 }), {
    json: { result: { publications: [], offset: 0 } },
  });
});

t.test('the same idempotency key returns the first result and delivers nothing', async (t) => {
  const api = await serverApi(t, { channel });
  const received = await listen(api, 'news');
  const first = await api.call('publish', { channel: 'news', data: 1, idempotency_key: 'k' });
  const again = await api.call('publish', { channel: 'news', data: 2, idempotency_key: 'k' });
  t.equal(again.text, first.text);
  await api.call('publish', { channel: 'news', data: 3, idempotency_key: 'other' });
  await waitFor('the third', () => received.some(({ data }) => data.toString() === '3'));
  t.strictSame(
    received.map(({ data }) => data.toString()),
    ['1', '3'],
  );
});

t.test('a version that is not newer is dropped', async (t) => {
  const api = await serverApi(t, { channel });
  const publish = (version: number, version_epoch: string): Promise<unknown> =>
    api.call('publish', { channel: 'news', data: version, version, version_epoch });
  await publish(5, 'a');
  await publish(4, 'a');
  await publish(5, 'a');
  await publish(6, 'a');
  await publish(1, 'b');
  const history = await api.call('history', { channel: 'news', limit: -1 });
  t.match(history.json, { result: { publications: [{ data: 5 }, { data: 6 }, { data: 1 }], offset: 3 } });
});

t.test('broadcast answers for each channel, in order', async (t) => {
  const api = await serverApi(t, { channel });
  const received = await listen(api, 'a', 'b', 'live:c');
  const answer = await api.call('broadcast', {
    channels: ['a', 'nowhere:x', 'b', 'live:c'],
    data: { n: 1 },
  });
  t.match(answer.json, {
    result: {
      responses: [
        { result: { offset: 1 } },
        { error: { code: 102 } },
        { result: { offset: 1 } },
        { result: {} },
      ],
    },
  });
  await waitFor('three publications', () => received.length === 3);
});

t.test('history: position, order, limits and since', async (t) => {
  const api = await serverApi(t, { channel });
  for (let n = 1; n <= 12; n += 1) await api.call('publish', { channel: 'news', data: n });
  const history = async (params: object): Promise<{ data: unknown[]; offset: unknown; epoch: string }> => {
    const { json } = await api.call('history', { channel: 'news', ...params });
    const result = Object(Object(json)['result']);
    const list: unknown = result.publications;
    if (!Array.isArray(list)) throw new Error(JSON.stringify(json));
    return {
      data: list.map((each) => Object(each)['data'] as unknown),
      offset: result.offset,
      epoch: String(result.epoch),
    };
  };
  const position = await history({});
  t.match(position, { data: [], offset: 12, epoch: /.+/ });
  const { epoch } = position;
  t.match(await history({ limit: -1 }), { data: [3, 4, 5, 6, 7, 8, 9, 10, 11, 12] });
  t.match(await history({ limit: 2 }), { data: [3, 4] });
  t.match(await history({ limit: 2, reverse: true }), { data: [12, 11] });
  t.match(await history({ limit: 2, since: { offset: 5, epoch } }), { data: [6, 7], offset: 12 });
  t.match(await history({ limit: -1, since: { offset: 5, epoch }, reverse: true }), { data: [4, 3] });
  t.match(await history({ limit: -1, since: { offset: 10 } }), { data: [11, 12] }, 'no epoch matches any');
  t.match(await api.call('history', { channel: 'news', since: { offset: 5, epoch: 'other' } }), {
    json: { error: { code: 112 } },
  });
  t.match(await api.call('history_remove', { channel: 'news' }), { text: '{"result":{}}' });
  t.match(await history({ limit: -1 }), { data: [], offset: 12, epoch }, 'the position stays');
  t.match(await api.call('publish', { channel: 'news', data: 1 }), {
    json: { result: { offset: 13, epoch } },
  });
});
