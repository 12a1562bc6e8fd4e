import t from 'tap';
import { Core, type CoreClient, type CoreOptions } from '../../helpers/core-harness.ts';
import type { Json } from '../../helpers/server-frames.ts';

const options: CoreOptions = {
  client: { history_max_publication_limit: 5 },
  channel: {
    without_namespace: { allow_subscribe_for_client: true, allow_publish_for_client: true },
    namespaces: [
      { name: 'json', allow_publish_for_client: true, publication_data_format: 'json' },
      { name: 'object', allow_publish_for_client: true, publication_data_format: 'json_object' },
      { name: 'binary', allow_publish_for_client: true, publication_data_format: 'binary' },
      { name: 'subs', allow_subscribe_for_client: true, allow_publish_for_subscriber: true },
      { name: 'none', allow_subscribe_for_client: true, presence: true, history_size: 5, history_ttl: '60s' },
      {
        name: 'open',
        allow_subscribe_for_client: true,
        allow_publish_for_client: true,
        presence: true,
        allow_presence_for_client: true,
        history_size: 10,
        history_ttl: '300s',
        allow_history_for_client: true,
      },
      { name: 'bare', allow_presence_for_client: true, allow_history_for_client: true },
    ],
  },
};

async function errorOf(client: CoreClient, kind: string, params: Json): Promise<unknown> {
  return Object((await client.command(kind, params))['error']).code;
}

t.test('a publication comes back to its publisher with its sender in it', async (t) => {
  const core = await Core.start(t, options);
  const [ann, bob] = [await core.user('ann', { info: '{"n":1}' }), await core.user('bob')];
  await ann.subscribe('news');
  await bob.subscribe('news');
  t.strictSame(await ann.command('publish', { channel: 'news', data: { a: 1 } }), { id: 3, publish: {} });
  const info = { user: 'ann', client: ann.connection.session.client, conn_info: { n: 1 } };
  for (const client of [ann, bob]) {
    await client.receives('news', 1);
    t.strictSame(client.publications('news'), [{ data: { a: 1 }, info }]);
  }
});

t.test('payloads travel as they were written', async (t) => {
  const core = await Core.start(t, options);
  const ann = await core.user('ann');
  await ann.subscribe('news');
  ann.sendText(
    '{"id":3,"publish":{"channel":"news","data": {"big":12345678901234567890,\r"x":"\\u0041\\n"} }}',
  );
  await ann.reply(3);
  await ann.receives('news', 1);
  const frame = ann.transport.writes.at(-1)?.toString();
  t.match(frame, '"data":{"big":12345678901234567890,"x":"\\u0041\\n"}');
});

t.test('formats of payloads', async (t) => {
  const core = await Core.start(t, options);
  const ann = await core.user('ann');
  const cases: [channel: string, params: Json, code: unknown][] = [
    ['news', {}, 107],
    ['news', { data: null }, 107],
    ['news', { data: 0 }, undefined],
    ['news', { data: '' }, undefined],
    ['json:a', { data: 'text' }, undefined],
    ['json:a', {}, 107],
    ['object:a', { data: {} }, undefined],
    ['object:a', { data: [] }, 107],
    ['object:a', { data: 'text' }, 107],
    ['binary:a', {}, undefined],
    ['nobody:a', { data: 1 }, 102],
    ['news', { data: 1, type: 1 }, 108],
  ];
  for (const [channel, params, code] of cases) {
    t.equal(
      await errorOf(ann, 'publish', { channel, ...params }),
      code,
      `${channel} ${JSON.stringify(params)}`,
    );
  }
  ann.send({ id: 99, publish: { data: 1 } });
  t.equal(await ann.closed(), 'bad_request');
});

t.test('who may publish', async (t) => {
  const core = await Core.start(t, options);
  const ann = await core.user('ann');
  t.equal(await errorOf(ann, 'publish', { channel: 'none:a', data: 1 }), 103);
  t.equal(await errorOf(ann, 'publish', { channel: 'subs:a', data: 1 }), 103);
  await ann.subscribe('subs:a');
  t.equal(await errorOf(ann, 'publish', { channel: 'subs:a', data: 1 }), undefined);
});

t.test('who is there', async (t) => {
  const core = await Core.start(t, options);
  const [ann, bob] = [await core.user('ann', { info: '[1]' }), await core.user('bob')];
  const channel = 'open:a';
  t.strictSame(await ann.result('presence', { channel }), { presence: {} });
  await ann.subscribe(channel);
  await bob.subscribe(channel);
  const [a, b] = [ann.connection.session.client, bob.connection.session.client];
  t.strictSame(await ann.result('presence', { channel }), {
    presence: { [a]: { user: 'ann', client: a, conn_info: [1] }, [b]: { user: 'bob', client: b } },
  });
  t.strictSame(await ann.result('presence_stats', { channel }), { num_clients: 2, num_users: 2 });
  for (const kind of ['presence', 'presence_stats']) {
    t.equal(await errorOf(ann, kind, { channel: 'none:a' }), 103);
    t.equal(await errorOf(ann, kind, { channel: 'bare:a' }), 108);
    t.equal(await errorOf(ann, kind, { channel: 'nobody:a' }), 102);
  }
  bob.send({ id: 99, presence: {} });
  t.equal(await bob.closed(), 'bad_request');
});

t.test('history', async (t) => {
  const core = await Core.start(t, options);
  const ann = await core.user('ann');
  const channel = 'open:a';
  const empty = await ann.result('history', { channel });
  t.match(empty, { publications: [], offset: 0, epoch: /.+/ });
  const { epoch } = empty;
  for (let n = 1; n <= 12; n += 1) await core.publish(channel, n);
  const read = async (params: Json): Promise<unknown> => {
    const { publications } = await ann.result('history', { channel, ...params });
    return Array.isArray(publications) && publications.map((each: Json) => each['data']);
  };
  t.strictSame(await ann.result('history', { channel }), { publications: [], epoch, offset: 12 });
  t.strictSame(await read({ limit: 3 }), [3, 4, 5], 'the oldest are trimmed');
  t.strictSame(await read({ limit: 100 }), [3, 4, 5, 6, 7], 'no more than the limit of the server');
  t.strictSame(await read({ limit: -1 }), [3, 4, 5, 6, 7]);
  t.strictSame(await read({ limit: 2, reverse: true }), [12, 11]);
  t.strictSame(await read({ limit: 10, since: { offset: 10, epoch } }), [11, 12]);
  t.strictSame(await read({ limit: 10, since: { offset: 10, epoch: '' } }), [11, 12]);
  t.strictSame(await read({ limit: 2, since: { offset: 1, epoch } }), [3, 4], 'trimmed, and no error');
  t.strictSame(await read({ limit: 2, since: { offset: 5, epoch }, reverse: true }), [4, 3]);
  t.strictSame(await read({ limit: 2, since: { offset: 12, epoch } }), []);
  const refused: [params: Json, code: number][] = [
    [{ since: { offset: 10, epoch: 'other' } }, 112],
    [{ since: { offset: 0, epoch }, reverse: true }, 107],
    [{ channel: 'none:a' }, 103],
    [{ channel: 'bare:a' }, 108],
    [{ channel: 'nobody:a' }, 102],
  ];
  for (const [params, code] of refused) {
    t.equal(await errorOf(ann, 'history', { channel, limit: 1, ...params }), code, JSON.stringify(params));
  }
});

t.test('rpc and send are the application alone', async (t) => {
  const core = await Core.start(t, options);
  const ann = await core.user('ann');
  t.equal(await errorOf(ann, 'rpc', { method: 'm', data: 1 }), 108);
  ann.send({ send: { data: 1 } });
  t.equal(await ann.closed(), 'not_available');

  const heard: string[] = [];
  const served = await Core.start(t, {
    ...options,
    application: {
      rpc: (method) =>
        method === 'echo' ? ({ data }) => Promise.resolve({ kind: 'yes', answer: data }) : undefined,
      message: (subject, data) => {
        heard.push(`${subject.user} ${data.toString()}`);
        return heard.length > 1
          ? Promise.reject(new Error('broken'))
          : Promise.resolve({ kind: 'yes', answer: undefined });
      },
    },
  });
  const bob = await served.user('bob');
  t.strictSame(await bob.command('rpc', { method: 'echo', data: { a: [1] } }), {
    id: 2,
    rpc: { data: { a: [1] } },
  });
  t.strictSame(await bob.command('rpc', { method: 'echo' }), { id: 3, rpc: {} });
  t.equal(await errorOf(bob, 'rpc', { method: 'other' }), 108);
  bob.send({ send: { data: { m: 1 } } }, { send: { data: 2 } });
  t.strictSame(await bob.command('rpc', { method: 'echo', data: 1 }), { id: 5, rpc: { data: 1 } });
  t.strictSame(heard, ['bob {"m":1}', 'bob 2']);
  t.match(served.logs.join(''), 'broken', 'what goes wrong with a message is in the log');
});

t.test('what nobody foresaw is an internal error, and the connection stays', async (t) => {
  const core = await Core.start(t, {
    ...options,
    application: { rpc: () => () => Promise.reject(new TypeError('a fault of ours')) },
  });
  const ann = await core.user('ann');
  t.strictSame(await ann.command('rpc', {}), {
    id: 2,
    error: { code: 100, message: 'internal server error', temporary: true },
  });
  t.match(core.logs.join(''), 'a fault of ours');
  t.notOk(ann.connection.isClosed);
});

t.test('the application decides about publications', async (t) => {
  const plain = {
    drop: false,
    data: undefined,
    skipHistory: false,
    tags: undefined,
    idempotencyKey: undefined,
    delta: false,
    version: 0,
    versionEpoch: '',
  };
  const answers: Record<string, Partial<typeof plain> | Record<string, unknown>> = {
    'as it is': {},
    other: { data: Buffer.from('"changed"') },
    drop: { drop: true },
    unkept: { skipHistory: true },
    tagged: { tags: { k: 'v' } },
    once: { idempotencyKey: 'key' },
    again: { idempotencyKey: 'key' },
    newer: { version: 2 },
    older: { version: 1 },
  };
  const core = await Core.start(t, {
    ...options,
    application: {
      publish:
        () =>
        ({ data, channel }) => {
          const answer = answers[String(JSON.parse(data.toString()))];
          return Promise.resolve(
            answer === undefined || channel !== 'open:a'
              ? { kind: 'error', error: { code: 400, message: 'not so', temporary: false } }
              : { kind: 'yes', answer: { ...plain, ...answer } },
          );
        },
    },
  });
  const ann = await core.user('ann');
  await ann.subscribe('open:a');
  t.equal(await errorOf(ann, 'publish', { channel: 'open:b', data: 'as it is' }), 400);
  t.equal(await errorOf(ann, 'publish', { channel: 'open:a', data: 'unknown' }), 400);
  for (const data of Object.keys(answers)) {
    t.strictSame(await ann.result('publish', { channel: 'open:a', data }), {}, data);
  }
  const seen = await ann.receives('open:a', 6);
  t.strictSame(seen, ['as it is', 'changed', 'unkept', 'tagged', 'once', 'newer']);
  t.match(
    ann.publications('open:a').map(({ offset = 0, tags, info }) => ({ offset, tags, info })),
    [
      { offset: 1 },
      { offset: 2 },
      { offset: 0 },
      { offset: 3, tags: { k: 'v' } },
      { offset: 4 },
      { offset: 5 },
    ].map((each) => ({ ...each, info: { user: 'ann' } })),
  );
});
