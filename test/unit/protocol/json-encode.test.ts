import t from 'tap';
import { jsonCodec } from '../../../src/protocol/json-codec.ts';
import type { ClientInfo, Publication } from '../../../src/protocol/publication.ts';
import type { Push, Result } from '../../../src/protocol/replies.ts';
import { ReplyErrors } from '../../../src/protocol/reply-errors.ts';

const position = (offset: number, epoch = 'ab') => ({ offset, epoch });
const raw = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

function reply(id: number, result: Result): string {
  return jsonCodec.reply(id, result)?.toString() ?? 'no form';
}

function push(what: Push, unidirectional = false): string {
  return jsonCodec.push(what, unidirectional)?.toString() ?? 'no form';
}

/** The same value, whatever the order of its members; and each member once. */
function same(
  test: Pick<typeof t, 'strictSame' | 'equal'>,
  actual: string,
  sample: string,
  message: string,
): void {
  test.strictSame(JSON.parse(actual), JSON.parse(sample), message);
  test.equal(actual.length, JSON.stringify(JSON.parse(sample)).length, `${message}: nothing twice, no space`);
}

const publication = (offset: number, data: unknown, over: Partial<Publication> = {}): Publication => ({
  data: raw(data),
  offset,
  time: 0,
  ...over,
});

t.test('the samples of the protocol page (§23)', async (t) => {
  const stream = { recoverable: true, positioned: true } as const;
  same(
    t,
    reply(1, {
      kind: 'connect',
      result: {
        client: 'c-1',
        version: 'gw 1.0',
        ttlS: 300,
        pingS: 25,
        pong: true,
        session: 's-1',
        node: 'n-1',
        subs: new Map([
          [
            '#42',
            {
              ...stream,
              position: position(7),
              recovered: true,
              wasRecovering: true,
              publications: [publication(8, { k: 1 })],
            },
          ],
        ]),
      },
    }),
    '{"id":1,"connect":{"client":"c-1","version":"gw 1.0","expires":true,"ttl":300,"ping":25,"pong":true,"session":"s-1","node":"n-1","subs":{"#42":{"recoverable":true,"positioned":true,"epoch":"ab","offset":7,"recovered":true,"was_recovering":true,"publications":[{"data":{"k":1},"offset":8}]}}}}',
    'connect with a recovered server-side subscription',
  );
  same(
    t,
    reply(2, { kind: 'subscribe', result: { ...stream, position: position(12) } }),
    '{"id":2,"subscribe":{"recoverable":true,"epoch":"ab","offset":12,"positioned":true}}',
    'subscribe, first time',
  );
  same(
    t,
    reply(5, {
      kind: 'subscribe',
      result: {
        ...stream,
        position: position(12),
        recovered: true,
        wasRecovering: true,
        publications: [publication(13, { n: 13 })],
      },
    }),
    '{"id":5,"subscribe":{"recoverable":true,"epoch":"ab","offset":12,"positioned":true,"recovered":true,"was_recovering":true,"publications":[{"data":{"n":13},"offset":13}]}}',
    'recovered',
  );
  same(
    t,
    reply(5, {
      kind: 'subscribe',
      result: {
        ...stream,
        position: position(40, 'cd'),
        recovered: false,
        wasRecovering: true,
        publications: [],
      },
    }),
    '{"id":5,"subscribe":{"recoverable":true,"epoch":"cd","offset":40,"positioned":true,"was_recovering":true}}',
    'not recovered',
  );
  same(
    t,
    jsonCodec.error(5, ReplyErrors.unrecoverablePosition),
    '{"id":5,"error":{"code":112,"message":"unrecoverable position"}}',
    'error',
  );
  same(
    t,
    jsonCodec.error(10, ReplyErrors.internal),
    '{"id":10,"error":{"code":100,"message":"internal server error","temporary":true}}',
    'temporary error',
  );
  const info: ClientInfo = { user: '42', client: 'c-1', connInfo: raw({ n: 'Al' }) };
  const plainInfo: ClientInfo = { user: '42', client: 'c-1' };
  same(
    t,
    push({
      kind: 'publication',
      channel: 'news',
      publication: publication(14, { t: 'hi' }, { info, tags: { lang: 'en' } }),
    }),
    '{"push":{"channel":"news","pub":{"data":{"t":"hi"},"info":{"user":"42","client":"c-1","conn_info":{"n":"Al"}},"offset":14,"tags":{"lang":"en"}}}}',
    'publication',
  );
  same(
    t,
    push({
      kind: 'publication',
      channel: 'd',
      publication: {
        ...publication(1, { price: 100 }),
        delta: { data: raw({ price: 100 }), isPatch: false },
      },
    }),
    '{"push":{"channel":"d","pub":{"data":"{\\"price\\":100}","offset":1}}}',
    'full payload of a delta subscription',
  );
  same(
    t,
    push({
      kind: 'publication',
      channel: 'd',
      publication: {
        ...publication(2, { price: 101 }),
        delta: { data: Buffer.from('<patch text>'), isPatch: true },
      },
    }),
    '{"push":{"channel":"d","pub":{"data":"<patch text>","offset":2,"delta":true}}}',
    'patch',
  );
  same(
    t,
    push({ kind: 'join', channel: 'news', info: plainInfo }),
    '{"push":{"channel":"news","join":{"info":{"user":"42","client":"c-1"}}}}',
    'join',
  );
  same(
    t,
    push({ kind: 'leave', channel: 'news', info: plainInfo }),
    '{"push":{"channel":"news","leave":{"info":{"user":"42","client":"c-1"}}}}',
    'leave',
  );
  same(
    t,
    push({ kind: 'unsubscribe', channel: 'news', code: 2500, reason: 'insufficient state' }),
    '{"push":{"channel":"news","unsubscribe":{"code":2500,"reason":"insufficient state"}}}',
    'unsubscribe',
  );
  same(
    t,
    push({ kind: 'subscribe', channel: 'alerts', result: { ...stream, position: position(3) } }),
    '{"push":{"channel":"alerts","subscribe":{"recoverable":true,"epoch":"ab","offset":3,"positioned":true}}}',
    'server-side subscribe',
  );
  same(
    t,
    reply(8, { kind: 'presence', presence: [plainInfo] }),
    '{"id":8,"presence":{"presence":{"c-1":{"user":"42","client":"c-1"}}}}',
    'presence',
  );
  same(
    t,
    reply(8, { kind: 'presence', presence: [] }),
    '{"id":8,"presence":{"presence":{}}}',
    'presence of nobody',
  );
  same(
    t,
    reply(9, { kind: 'history', publications: [], position: position(0) }),
    '{"id":9,"history":{"publications":[],"epoch":"ab","offset":0}}',
    'history of nothing',
  );
  t.equal(jsonCodec.ping, '{}');
  same(
    t,
    push({ kind: 'disconnect', code: 3503, reason: 'force disconnect' }),
    '{"push":{"disconnect":{"code":3503,"reason":"force disconnect"}}}',
    'disconnect',
  );
  same(
    t,
    push(
      {
        kind: 'connect',
        result: { client: 'c-9', version: 'gw 1.0', pingS: 25, session: 's-9', node: 'n-1' },
      },
      true,
    ),
    '{"connect":{"client":"c-9","version":"gw 1.0","ping":25,"session":"s-9","node":"n-1"}}',
    'first message of a one-way transport',
  );
});

t.test('members that are always there, though they are zero (§3.1)', async (t) => {
  const nobody: ClientInfo = { user: '', client: '' };
  t.equal(
    push({ kind: 'join', channel: '', info: nobody }),
    '{"push":{"channel":"","join":{"info":{"user":"","client":""}}}}',
  );
  t.equal(
    reply(1, { kind: 'presence_stats', clients: 0, users: 0 }),
    '{"id":1,"presence_stats":{"num_clients":0,"num_users":0}}',
  );
  same(
    t,
    reply(1, { kind: 'history', publications: [], position: { offset: 0, epoch: '' } }),
    '{"id":1,"history":{"publications":[],"offset":0,"epoch":""}}',
    'history',
  );
});

t.test('a success always carries its member', async (t) => {
  t.equal(reply(7, { kind: 'publish' }), '{"id":7,"publish":{}}');
  t.equal(reply(7, { kind: 'unsubscribe' }), '{"id":7,"unsubscribe":{}}');
  t.equal(reply(7, { kind: 'subscribe', result: {} }), '{"id":7,"subscribe":{}}');
  t.equal(reply(7, { kind: 'rpc', data: undefined }), '{"id":7,"rpc":{}}');
  t.equal(reply(7, { kind: 'sub_refresh' }), '{"id":7,"sub_refresh":{}}');
  t.equal(reply(7, { kind: 'sub_refresh', ttlS: 1 }), '{"id":7,"sub_refresh":{"expires":true,"ttl":1}}');
  t.equal(
    reply(7, { kind: 'refresh', result: { client: 'c', version: 'v', ttlS: 5 } }),
    '{"id":7,"refresh":{"client":"c","version":"v","expires":true,"ttl":5}}',
  );
});

t.test('zero values are left out', async (t) => {
  t.equal(
    reply(1, {
      kind: 'connect',
      result: {
        client: 'c',
        version: 'v',
        subs: new Map(),
        pingS: 0,
        pong: false,
        session: '',
        node: '',
        time: 0,
      },
    }),
    '{"id":1,"connect":{"client":"c","version":"v"}}',
  );
  t.equal(
    reply(1, {
      kind: 'subscribe',
      result: {
        recoverable: false,
        positioned: false,
        position: { offset: 0, epoch: '' },
        publications: [],
        recovered: false,
        wasRecovering: false,
        delta: false,
      },
    }),
    '{"id":1,"subscribe":{}}',
  );
  t.equal(
    push({ kind: 'publication', channel: 'c', publication: { data: Buffer.alloc(0), offset: 0, time: 99 } }),
    '{"push":{"channel":"c","pub":{}}}',
  );
  t.equal(push({ kind: 'refresh' }, true), '{"refresh":{}}');
});

t.test('what else a publication may carry', async (t) => {
  const everything = publication(3, 1, { time: 1_700_000_000_000 });
  same(
    t,
    push({ kind: 'publication', channel: 'c', publication: { ...everything, epoch: 'ep' } }),
    '{"push":{"channel":"c","pub":{"data":1,"offset":3,"time":1700000000000,"epoch":"ep"}}}',
    'time and epoch',
  );
  same(
    t,
    push({
      kind: 'join',
      channel: 'c',
      info: { user: 'u', client: 'c', connInfo: raw(1), chanInfo: raw([2]) },
    }),
    '{"push":{"channel":"c","join":{"info":{"user":"u","client":"c","conn_info":1,"chan_info":[2]}}}}',
    'both infos',
  );
});

t.test('payloads are embedded as they are, without line breaks', async (t) => {
  const cases: [written: string, embedded: string][] = [
    ['{"big":12345678901234567890}', '{"big":12345678901234567890}'],
    ['{\r\n  "a": 1,\n  "b": "x\\ny"\n}', '{  "a": 1,  "b": "x\\ny"}'],
    ['"\\ud83d\\ude00 é"', '"\\ud83d\\ude00 é"'],
    ['  null ', '  null '],
  ];
  for (const [written, embedded] of cases) {
    t.equal(
      push({ kind: 'message', data: Buffer.from(written) }),
      `{"push":{"message":{"data":${embedded}}}}`,
    );
  }
});

t.test('a payload that is no JSON has no form, wherever it stands', async (t) => {
  const bad = [
    Buffer.from([0xff, 0xfe]),
    Buffer.from('{'),
    Buffer.from('nul'),
    Buffer.from('1 2'),
    Buffer.from('{}\n{}'),
  ];
  const fine = { user: 'u', client: 'c' };
  for (const data of bad) {
    const name = JSON.stringify(data.toString('latin1'));
    t.equal(push({ kind: 'message', data }), 'no form', name);
    t.equal(
      push({ kind: 'publication', channel: 'c', publication: { data, offset: 0, time: 0 } }),
      'no form',
      name,
    );
    const delta = { data: Buffer.from('patch'), isPatch: true };
    t.equal(
      push({ kind: 'publication', channel: 'c', publication: { data, offset: 2, time: 0, delta } }),
      'no form',
      name,
    );
    t.equal(push({ kind: 'join', channel: 'c', info: { ...fine, connInfo: data } }), 'no form', name);
    t.equal(push({ kind: 'join', channel: 'c', info: { ...fine, chanInfo: data } }), 'no form', name);
    t.equal(reply(1, { kind: 'rpc', data }), 'no form', name);
    t.equal(reply(1, { kind: 'subscribe', result: { data } }), 'no form', name);
    t.equal(reply(1, { kind: 'connect', result: { client: 'c', version: 'v', data } }), 'no form', name);
  }
});

t.test('names and texts cannot break out of their strings', async (t) => {
  const nasty = 'a"b\\c\nd\u2028e\ud800';
  const parsed: unknown = JSON.parse(
    push({
      kind: 'publication',
      channel: nasty,
      publication: publication(1, 1, { tags: { [nasty]: nasty } }),
    }),
  );
  t.match(parsed, { push: { channel: nasty, pub: { tags: { [nasty]: nasty } } } });
  t.notMatch(push({ kind: 'unsubscribe', channel: nasty, code: 1, reason: nasty }), '\n');
  const info = { user: nasty, client: nasty };
  t.match(JSON.parse(reply(1, { kind: 'presence', presence: [info] })), {
    presence: { presence: { [nasty]: info } },
  });
});

t.test('one-way transports get bare pushes', async (t) => {
  const what: Push = { kind: 'message', data: raw(1) };
  t.equal(push(what), '{"push":{"message":{"data":1}}}');
  t.equal(push(what, true), '{"message":{"data":1}}');
});
