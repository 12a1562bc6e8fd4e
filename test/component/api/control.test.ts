import t from 'tap';
import {
  ControlKinds,
  disconnectControl,
  refreshControl,
  subscribeControl,
  SurveyKinds,
  unsubscribeControl,
} from '../../../src/hub/control-messages.ts';
import { serverApi, type TestApi } from '../../helpers/server-api.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const channel = { without_namespace: { presence: true } };

function b64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** Control messages as another worker gets them. */
async function listen(api: TestApi): Promise<[kind: string, payload: unknown][]> {
  const heard: [string, unknown][] = [];
  const other = await api.engine.connect();
  const schemas = {
    [ControlKinds.subscribe]: subscribeControl,
    [ControlKinds.unsubscribe]: unsubscribeControl,
    [ControlKinds.disconnect]: disconnectControl,
    [ControlKinds.refresh]: refreshControl,
  };
  for (const [kind, schema] of Object.entries(schemas)) {
    other.nodes.handle(kind, (payload) => void heard.push([kind, schema.parse(payload)]));
  }
  return heard;
}

t.test('orders about connections go to every node', async (t) => {
  const api = await serverApi(t, { channel });
  const heard = await listen(api);
  const cases: [method: string, request: unknown, kind: string, expected: object][] = [
    [
      'subscribe',
      {
        user: 'u',
        channel: 'c',
        client: 'cl',
        session: 's',
        info: { big: 1 },
        b64data: b64('bytes'),
        expire_at: 123,
        recover_since: { offset: 4, epoch: 'e' },
        override: { presence: { value: false }, force_recovery: { value: true } },
      },
      ControlKinds.subscribe,
      {
        target: { user: 'u', client: 'cl', session: 's' },
        channel: 'c',
        info: b64('{"big":1}'),
        data: b64('bytes'),
        expireAt: 123,
        recoverSince: { offset: 4, epoch: 'e' },
        override: { presence: false, forceRecovery: true },
        perSecond: 0,
      },
    ],
    [
      'subscribe',
      { user: '', channel: 'c' },
      ControlKinds.subscribe,
      { target: { user: '' }, channel: 'c', expireAt: 0, override: {}, perSecond: 0 },
    ],
    [
      'subscribe',
      { all_users: true, per_second: 5, channel: 'c' },
      ControlKinds.subscribe,
      { target: {}, channel: 'c', expireAt: 0, override: {}, perSecond: 5 },
    ],
    [
      'unsubscribe',
      { user: 'u' },
      ControlKinds.unsubscribe,
      { target: { user: 'u' }, channel: '', perSecond: 0 },
    ],
    [
      'unsubscribe',
      { client: 'cl', channel: 'c' },
      ControlKinds.unsubscribe,
      { target: { client: 'cl' }, channel: 'c', perSecond: 0 },
    ],
    [
      'unsubscribe',
      { all_users: true, channel: 'c', per_second: 100 },
      ControlKinds.unsubscribe,
      { target: {}, channel: 'c', perSecond: 100 },
    ],
    [
      'disconnect',
      { user: 'u' },
      ControlKinds.disconnect,
      { target: { user: 'u' }, whitelist: [], code: 3503, reason: 'force disconnect', perSecond: 0 },
    ],
    [
      'disconnect',
      { user: 'u', whitelist: ['a'], disconnect: { code: 4001, reason: 'go away' } },
      ControlKinds.disconnect,
      { target: { user: 'u' }, whitelist: ['a'], code: 4001, reason: 'go away', perSecond: 0 },
    ],
    [
      'disconnect',
      { channel: 'c', disconnect: null },
      ControlKinds.disconnect,
      { target: { channel: 'c' }, whitelist: [], code: 3503, reason: 'force disconnect', perSecond: 0 },
    ],
    [
      'disconnect',
      { user: 'u', channel: 'c' },
      ControlKinds.disconnect,
      {
        target: { user: 'u', channel: 'c' },
        whitelist: [],
        code: 3503,
        reason: 'force disconnect',
        perSecond: 0,
      },
    ],
    [
      'refresh',
      { user: 'u', client: 'cl', expire_at: 99, info: 12345678901234567890n },
      ControlKinds.refresh,
      {
        target: { user: 'u', client: 'cl' },
        expired: false,
        expireAt: 99,
        info: b64('12345678901234567890'),
        perSecond: 0,
      },
    ],
    [
      'refresh',
      { user: 'u', expired: true },
      ControlKinds.refresh,
      { target: { user: 'u' }, expired: true, expireAt: 0, perSecond: 0 },
    ],
    [
      'refresh',
      { channel: 'c', expired: true, per_second: 9 },
      ControlKinds.refresh,
      { target: { channel: 'c' }, expired: true, expireAt: 0, perSecond: 9 },
    ],
  ];
  for (const [method, request, kind, expected] of cases) {
    heard.length = 0;
    const body = JSON.stringify(request, (_key, value: unknown) =>
      typeof value === 'bigint' ? `big${value}` : value,
    );
    const answer = await api.call(method, body.replace(/"big(\d+)"/, '$1'));
    t.equal(answer.text, '{"result":{}}', `${method} ${body}`);
    await waitFor('the order', () => heard.length === 1);
    t.strictSame(heard, [[kind, expected]]);
  }
});

t.test('presence shows who is subscribed', async (t) => {
  const api = await serverApi(t, { channel });
  await api.client.presence.add('room', {
    user: 'u1',
    client: 'c1',
    connInfo: Buffer.from('{"n":12345678901234567890}'),
  });
  await api.client.presence.add('room', { user: 'u1', client: 'c2', chanInfo: Buffer.from([255]) });
  const answer = await api.call('presence', { channel: 'room' });
  t.match(answer.json, {
    result: { presence: { c1: { user: 'u1', client: 'c1' }, c2: { user: 'u1', b64chan_info: '/w==' } } },
  });
  t.match(answer.text, '"conn_info":{"n":12345678901234567890}');
  t.equal(
    (await api.call('presence_stats', { channel: 'room' })).text,
    '{"result":{"num_clients":2,"num_users":1}}',
  );
  t.equal((await api.call('presence', { channel: 'empty' })).text, '{"result":{"presence":{}}}');
  t.equal(
    (await api.call('presence_stats', { channel: 'empty' })).text,
    '{"result":{"num_clients":0,"num_users":0}}',
  );
});

function info(uid: string): object {
  return {
    uid,
    name: 'n',
    version: '1',
    num_clients: 1,
    num_users: 1,
    num_channels: 1,
    num_subs: 1,
    uptime: 1,
    process: { cpu: 1.5, rss: 1000 },
  };
}

t.test('info and channels ask every node', async (t) => {
  const api = await serverApi(t);
  const other = await api.engine.connect();
  api.client.nodes.handle(SurveyKinds.info, () => info('one'));
  other.nodes.handle(SurveyKinds.info, () => info('two'));
  const { json } = await api.call('info', {});
  t.match(json, { result: { nodes: [{ process: { cpu: 1.5 } }, {}] } });
  t.match(JSON.stringify(json), '"uid":"one"');
  t.match(JSON.stringify(json), '"uid":"two"');
  t.notMatch(JSON.stringify(json), 'missing');

  const asked: unknown[] = [];
  api.client.nodes.handle(SurveyKinds.channels, (payload) => {
    asked.push(payload);
    return [
      ['b', 2],
      ['a', 1],
      ['__proto__', 7],
    ];
  });
  other.nodes.handle(SurveyKinds.channels, () => [['b', 3]]);
  t.strictSame(
    (await api.call('channels', { pattern: 'x*' })).text,
    '{"result":{"channels":{"b":{"num_clients":5},"a":{"num_clients":1},"__proto__":{"num_clients":7}}}}',
  );
  t.strictSame(asked, [{ pattern: 'x*', after: '', limit: 0 }]);
  t.strictSame(
    (await api.call('channels', { limit: 2, cursor: 'Z' })).text,
    '{"result":{"channels":{"__proto__":{"num_clients":7},"a":{"num_clients":1}},"cursor":"a"}}',
  );
  t.strictSame(asked[1], { pattern: '', after: 'Z', limit: 3 });
  t.notMatch((await api.call('channels', { limit: 3 })).text, 'cursor');
  t.match((await api.call('channels', { pattern: 'x'.repeat(256) })).text, 'longer than 255');
});

/** What a node says about a connection, but for its client id. */
function details(): object {
  return {
    user: 'u',
    transport: 'websocket',
    protocol: 'json',
    app_name: 'js',
    app_version: '',
    connected_at_ms: 1,
    last_activity_ms: 2,
    channels: ['a'],
    outbox_bytes: 0,
    remote_address: '::1',
    user_agent: '',
  };
}

t.test('connections of all nodes, page by page', async (t) => {
  const api = await serverApi(t);
  const other = await api.engine.connect();
  const asked: unknown[] = [];
  api.client.nodes.handle(SurveyKinds.connections, (payload) => {
    asked.push(payload);
    return [
      { client: 'c3', ...details() },
      { client: 'c1', ...details() },
    ];
  });
  other.nodes.handle(SurveyKinds.connections, () => [
    { client: 'c2', ...details(), ping_pong_latency_ms: 1.5 },
  ]);
  t.strictSame((await api.call('connections', { limit: 2 })).json, {
    result: {
      connections: {
        c1: { ...details(), node: api.client.nodes.node },
        c2: { ...details(), ping_pong_latency_ms: 1.5, node: other.nodes.node },
      },
      cursor: 'c2',
    },
  });
  t.match((await api.call('connections', { user: 'u', client: 'x', channel: 'ch', cursor: 'c2' })).json, {
    result: { connections: { c3: {} } },
  });
  t.strictSame(asked, [
    { target: {}, after: '', limit: 3 },
    { target: { user: 'u', client: 'x', channel: 'ch' }, after: 'c2', limit: 101 },
  ]);
  t.match((await api.call('connections', { limit: 1001 })).json, {
    error: { code: 107, message: /limit: more than 1000/ },
  });
});

t.test('nodes that say nothing, or nonsense, make the answer partial', async (t) => {
  const api = await serverApi(t);
  const other = await api.engine.connect();
  const silent = await api.engine.connect();
  api.client.nodes.handle(SurveyKinds.info, () => info('one'));
  other.nodes.handle(SurveyKinds.info, () => ({ uid: 7 }));
  silent.nodes.handle(SurveyKinds.info, () => new Promise(() => undefined));
  const answer = await api.call('info', {});
  t.match(answer.json, { result: { nodes: [{ uid: 'one' }], missing: [silent.nodes.node] } });
  t.match(api.lines.join(''), 'survey answer not understood');
});
