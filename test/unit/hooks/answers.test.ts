import t from 'tap';
import { CallError } from '../../../src/hooks/call-error.ts';
import {
  connectDecision,
  publishDecision,
  refreshDecision,
  rpcDecision,
  subRefreshDecision,
  subscribeDecision,
} from '../../../src/hooks/webhooks/answers.ts';
import { CloseCauses } from '../../../src/protocol/close-causes.ts';

const ALL = {
  connect: connectDecision,
  refresh: refreshDecision,
  subscribe: subscribeDecision,
  publish: publishDecision,
  rpc: rpcDecision,
  sub_refresh: subRefreshDecision,
};

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const buffer = (text: string): Buffer => Buffer.from(text);

t.test('connect: every field', (t) => {
  const answer = connectDecision(`{"result": {
    "user": "17", "expire_at": 2000000000, "info": {"big": 9007199254740993}, "data": [1,
    2], "meta": {"plan": "x"}, "channels": ["news"],
    "subs": {"chat:1": {"expire_at": 5, "info": {"a": 1}, "b64data": "${base64('{}')}",
      "override": {"presence": {"value": true}, "join_leave": {"value": false}, "force_recovery": {}, "force_positioning": null}},
      "chat:2": {}}}}`);
  t.equal(answer.kind, 'yes');
  if (answer.kind !== 'yes') return;
  const { user, expireAtMs, info, data, meta, subs } = answer.answer;
  t.same({ user, expireAtMs }, { user: '17', expireAtMs: 2_000_000_000_000 });
  t.equal(info?.toString(), '{"big": 9007199254740993}', 'numbers stay as they were written');
  t.equal(data?.toString(), '[1,    2]', 'on one line');
  t.equal(meta?.toString(), '{"plan": "x"}');
  t.same([...subs.keys()], ['news', 'chat:1', 'chat:2']);
  t.same(subs.get('chat:1'), {
    info: buffer('{"a": 1}'),
    data: buffer('{}'),
    expireAtMs: 5_000,
    override: { presence: true, joinLeave: false, forceRecovery: false },
  });
  t.same(subs.get('news'), { info: undefined, data: undefined, expireAtMs: 0, override: {} });
  t.end();
});

t.test('connect: who is accepted', (t) => {
  t.match(
    connectDecision('{"result":{}}'),
    { kind: 'yes', answer: { user: '', expireAtMs: 0 } },
    'anonymous',
  );
  for (const text of ['{}', '{"result":null}', '{"ok":true}']) {
    t.same(connectDecision(text), { kind: 'disconnect', cause: CloseCauses.badRequest }, text);
  }
  t.end();
});

t.test('a disconnect goes before an error, an error before a result', (t) => {
  for (const [event, decision] of Object.entries(ALL)) {
    const error = '"error":{"code":1000,"message":"no","temporary":true}';
    t.match(
      decision(`{"result":{},${error},"disconnect":{"code":4501,"reason":"go"}}`),
      { kind: 'disconnect', cause: { code: 4501, reason: 'go', name: 'application' } },
      event,
    );
    t.same(
      decision(`{"result":{},${error}}`),
      { kind: 'error', error: { code: 1000, message: 'no', temporary: true } },
      event,
    );
    t.same(
      decision('{"error":{"code":400}}'),
      { kind: 'error', error: { code: 400, message: '', temporary: false } },
      event,
    );
    t.match(
      decision(`{"disconnect":{"code":4000,"reason":${JSON.stringify('x'.repeat(100_000))}}}`),
      { kind: 'disconnect', cause: { code: 4000, reason: 'x'.repeat(123) } },
      event,
    );
  }
  t.end();
});

t.test('what is no answer is refused, whatever was asked', (t) => {
  const wrong = [
    '',
    '<html>500</html>',
    '{"result":',
    'null',
    '7',
    '"yes"',
    '[]',
    '{"result":7}',
    '{"result":[]}',
    '{"result":"yes"}',
    '{"error":"no"}',
    '{"error":{}}',
    '{"error":{"code":"400"}}',
    '{"error":{"code":0}}',
    '{"error":{"code":99}}',
    '{"error":{"code":2000}}',
    '{"error":{"code":400.5}}',
    '{"error":{"code":400,"message":7}}',
    '{"disconnect":{"reason":"x"}}',
    '{"disconnect":{"code":1000}}',
    '{"disconnect":{"code":5000}}',
    '{"disconnect":7}',
  ];
  for (const [event, decision] of Object.entries(ALL)) {
    for (const text of wrong) t.throws(() => decision(text), CallError, `${event}: ${text}`);
  }
  t.end();
});

t.test('every field of the wrong type is refused, and its value is not repeated', (t) => {
  const secret = 'hunter2';
  const cases: [keyof typeof ALL, string][] = [
    ['connect', '{"user":7}'],
    ['connect', `{"expire_at":"${secret}"}`],
    ['connect', '{"expire_at":-1}'],
    ['connect', '{"expire_at":1.5}'],
    ['connect', '{"expire_at":1e300}'],
    ['connect', `{"b64info":"${secret}!"}`],
    ['connect', '{"b64data":7}'],
    ['connect', '{"meta":[]}'],
    ['connect', `{"meta":"${secret}"}`],
    ['connect', '{"channels":"news"}'],
    ['connect', '{"channels":[7]}'],
    ['connect', '{"subs":[]}'],
    ['connect', '{"subs":{"news":7}}'],
    ['connect', '{"subs":{"news":{"expire_at":"1"}}}'],
    ['connect', '{"subs":{"news":{"override":{"presence":true}}}}'],
    ['refresh', '{"expired":"yes"}'],
    ['refresh', '{"expire_at":"1"}'],
    ['refresh', '{"b64info":7}'],
    ['refresh', '{"meta":7}'],
    ['subscribe', '{"expire_at":true}'],
    ['subscribe', '{"override":{"force_recovery":{"value":1}}}'],
    ['subscribe', '{"override":[]}'],
    ['publish', '{"skip_history":1}'],
    ['publish', '{"tags":{"a":1}}'],
    ['publish', '{"tags":["a"]}'],
    ['publish', '{"idempotency_key":1}'],
    ['publish', '{"delta":"true"}'],
    ['publish', '{"version":-1}'],
    ['publish', '{"version":"1"}'],
    ['publish', '{"version_epoch":1}'],
    ['publish', '{"drop":1}'],
    ['publish', `{"b64data":"${secret}!"}`],
    ['rpc', `{"b64data":"${secret}!"}`],
    ['sub_refresh', '{"expired":1}'],
    ['sub_refresh', '{"expire_at":[]}'],
  ];
  for (const [event, result] of cases) {
    try {
      ALL[event](`{"result":${result}}`);
      t.fail(`${event}: ${result}`);
    } catch (error) {
      t.ok(error instanceof CallError && error.fault === 'answer', `${event}: ${result}`);
      t.notMatch(String(error), secret);
    }
  }
  t.end();
});

t.test('null counts as absent', (t) => {
  t.match(
    connectDecision('{"result":{"user":"7","info":null,"data":null,"meta":null,"subs":null},"error":null}'),
    {
      kind: 'yes',
      answer: { user: '7', info: undefined, data: undefined, meta: undefined },
    },
  );
  t.match(publishDecision('{"result":{"data":null,"tags":null,"version":null}}'), {
    kind: 'yes',
    answer: { data: undefined, tags: undefined, version: 0 },
  });
  t.end();
});

t.test('refresh and sub_refresh: no result means expired', (t) => {
  for (const decision of [refreshDecision, subRefreshDecision]) {
    for (const text of ['{}', '{"result":null}', '{"other":1}']) {
      t.match(decision(text), { kind: 'yes', answer: { expired: true } }, text);
    }
    t.match(decision('{"result":{"expired":true,"expire_at":9}}'), {
      kind: 'yes',
      answer: { expired: true, expireAtMs: 9_000 },
    });
    t.match(decision(`{"result":{"expire_at":9,"info":{},"b64info":"${base64('[1]')}"}}`), {
      kind: 'yes',
      answer: { expired: false, expireAtMs: 9_000, info: buffer('[1]') },
    });
  }
  t.match(refreshDecision('{"result":{"meta":{"a":1}}}'), {
    kind: 'yes',
    answer: { meta: buffer('{"a":1}'), info: undefined },
  });
  t.end();
});

t.test('subscribe, publish and rpc: an empty answer says yes, a foreign one does not', (t) => {
  for (const decision of [subscribeDecision, publishDecision, rpcDecision]) {
    for (const text of ['{}', '{"result":{}}', '{"result":null}']) {
      t.equal(decision(text).kind, 'yes', text);
    }
    t.throws(() => decision('{"status":"forbidden"}'), CallError);
  }
  t.end();
});

t.test('publish: every field', (t) => {
  const text = `{"result":{"data":{"x":1},"skip_history":true,"tags":{"a":"b"},"idempotency_key":"k","delta":true,
    "version":9,"version_epoch":"e","drop":true}}`;
  t.same(publishDecision(text), {
    kind: 'yes',
    answer: {
      drop: true,
      data: buffer('{"x":1}'),
      skipHistory: true,
      tags: { a: 'b' },
      idempotencyKey: 'k',
      delta: true,
      version: 9,
      versionEpoch: 'e',
    },
  });
  t.match(publishDecision('{"result":{"idempotency_key":"","b64data":"AQID","data":{}}}'), {
    answer: { data: Buffer.from([1, 2, 3]), idempotencyKey: undefined, drop: false },
  });
  t.end();
});

t.test('rpc: any JSON, null included, and bytes', (t) => {
  for (const value of ['null', '0', 'false', '""', '{"a":[1]}', '12345678901234567890']) {
    const decision = rpcDecision(`{"result":{"data":${value}}}`);
    t.same(decision, { kind: 'yes', answer: buffer(value) }, value);
  }
  t.same(rpcDecision(`{"result":{"data":1,"b64data":"${base64('\n\x00')}"}}`), {
    kind: 'yes',
    answer: buffer('\n\x00'),
  });
  t.same(rpcDecision(`{"result":{"b64data":"${base64('{\n"a":1}\r\n')}"}}`), {
    kind: 'yes',
    answer: buffer('{"a":1}'),
  });
  t.end();
});
