import t from 'tap';
import { type Command, PLAIN_SUBSCRIBE } from '../../../src/protocol/commands.ts';
import { jsonCodec } from '../../../src/protocol/json-codec.ts';
import { ProtocolError } from '../../../src/protocol/protocol-error.ts';
import { below, pick, type Roll, seeded } from '../../helpers/random.ts';

function decode(text: string): readonly Command[] {
  return jsonCodec.decode(Buffer.from(text));
}

function decodeOne(command: object): Command | undefined {
  const [first, ...rest] = decode(JSON.stringify(command));
  if (rest.length > 0) throw new Error('more than one command');
  return first;
}

const kinds = (text: string): string[] => decode(text).map(({ kind }) => kind);

/** The payload of a publish. */
function data(text: string): string | undefined {
  const [command] = decode(text);
  return command?.kind === 'publish' ? command.data?.toString() : 'not a publish';
}

t.test('every command, with all of its fields', async (t) => {
  const cases: [written: object, decoded: object][] = [
    [
      {
        connect: {
          token: 't',
          data: { a: 1 },
          name: 'js',
          version: '1',
          headers: { A: 'b' },
          subs: { news: { recover: true, offset: 5, epoch: 'e' } },
          flag: 1,
          profile: 'ignored',
        },
      },
      {
        kind: 'connect',
        request: {
          token: 't',
          data: Buffer.from('{"a":1}'),
          name: 'js',
          version: '1',
          headers: { A: 'b' },
          subs: new Map([
            ['news', { ...PLAIN_SUBSCRIBE, channel: 'news', recover: true, offset: 5, epoch: 'e' }],
          ]),
        },
      },
    ],
    [
      {
        subscribe: {
          channel: 'c',
          token: 't',
          recover: true,
          epoch: 'e',
          offset: 7,
          data: [1],
          positioned: true,
          recoverable: true,
          join_leave: true,
          delta: 'fossil',
          tf: { op: 'not' },
          flag: 3,
          type: 1,
          phase: 2,
        },
      },
      {
        kind: 'subscribe',
        request: {
          channel: 'c',
          token: 't',
          recover: true,
          epoch: 'e',
          offset: 7,
          data: Buffer.from('[1]'),
          positioned: true,
          recoverable: true,
          joinLeave: true,
          delta: 'fossil',
          filter: { op: 'not' },
          flag: 3,
          type: 1,
        },
      },
    ],
    [{ unsubscribe: { channel: 'c' } }, { kind: 'unsubscribe', channel: 'c' }],
    [
      { publish: { channel: 'c', data: 'x', type: 1 } },
      { kind: 'publish', channel: 'c', data: Buffer.from('"x"'), isJson: true, type: 1 },
    ],
    [{ presence: { channel: 'c' } }, { kind: 'presence', channel: 'c' }],
    [{ presence_stats: { channel: 'c' } }, { kind: 'presence_stats', channel: 'c' }],
    [
      { history: { channel: 'c', limit: -1, since: { offset: 3, epoch: 'e' }, reverse: true } },
      {
        kind: 'history',
        request: { channel: 'c', limit: -1, since: { offset: 3, epoch: 'e' }, reverse: true },
      },
    ],
    [{ send: { data: 1 } }, { kind: 'send', data: Buffer.from('1') }],
    [{ rpc: { method: 'm', data: false } }, { kind: 'rpc', method: 'm', data: Buffer.from('false') }],
    [{ refresh: { token: 't' } }, { kind: 'refresh', token: 't' }],
    [
      { sub_refresh: { channel: 'c', token: 't', type: 1 } },
      { kind: 'sub_refresh', channel: 'c', token: 't', type: 1 },
    ],
  ];
  for (const [written, decoded] of cases) {
    t.strictSame(decodeOne({ id: 9, ...written }), { id: 9, ...decoded });
  }
});

t.test('absent and null are the zero value', async (t) => {
  t.strictSame(decodeOne({ id: 1, subscribe: {} }), {
    kind: 'subscribe',
    id: 1,
    request: { ...PLAIN_SUBSCRIBE, channel: '' },
  });
  const nulls = Object.fromEntries(
    ['channel', 'token', 'recover', 'epoch', 'offset', 'data', 'delta', 'tf', 'flag', 'type'].map((name) => [
      name,
      null,
    ]),
  );
  t.strictSame(decodeOne({ id: 1, subscribe: nulls }), decodeOne({ id: 1, subscribe: {} }));
  t.strictSame(decodeOne({ id: 1, connect: { headers: null, subs: null, data: null } }), {
    kind: 'connect',
    id: 1,
    request: { token: '', data: undefined, subs: new Map(), name: '', version: '', headers: {} },
  });
  t.match(decodeOne({ id: 1, history: { since: null } }), { request: { limit: 0, since: undefined } });
  t.strictSame(decodeOne({ id: 1, subscribe: null, publish: {} }), {
    kind: 'publish',
    id: 1,
    channel: '',
    data: undefined,
    isJson: true,
    type: 0,
  });
});

t.test('a field of the wrong type or range is refused', async (t) => {
  const wrong: object[] = [
    { id: '1', connect: {} },
    { id: 1.5, connect: {} },
    { id: -1, connect: {} },
    { id: 4_294_967_296, connect: {} },
    { id: true, connect: {} },
    { id: {}, connect: {} },
    ...['connect', 'subscribe', 'publish', 'history', 'rpc', 'send', 'refresh'].flatMap((kind) =>
      [1, 'x', true, []].map((value) => ({ id: 1, [kind]: value })),
    ),
    ...['token', 'name', 'version'].flatMap((name) =>
      [1, {}, [], true].map((value) => ({ id: 1, connect: { [name]: value } })),
    ),
    ...[1, [], 'x', { a: 1 }, { a: null }].map((headers) => ({ id: 1, connect: { headers } })),
    ...[1, [], 'x', { a: 1 }, { a: [] }, { a: { offset: -1 } }].map((subs) => ({ id: 1, connect: { subs } })),
    ...['channel', 'token', 'epoch', 'delta'].flatMap((name) =>
      [1, {}, [], false].map((value) => ({ id: 1, subscribe: { [name]: value } })),
    ),
    ...['recover', 'positioned', 'recoverable', 'join_leave'].flatMap((name) =>
      [1, 0, 'true', {}].map((value) => ({ id: 1, subscribe: { [name]: value } })),
    ),
    ...['x', 1.5, -1, 2 ** 53, {}].map((offset) => ({ id: 1, subscribe: { offset } })),
    ...['x', 1.5, 2 ** 53].flatMap((value) => [
      { id: 1, subscribe: { flag: value } },
      { id: 1, subscribe: { type: value } },
    ]),
    ...['x', 1.5].map((limit) => ({ id: 1, history: { limit } })),
    ...[1, 'x', [], { offset: -1 }, { offset: 'x' }, { epoch: 1 }].map((since) => ({
      id: 1,
      history: { since },
    })),
    { id: 1, history: { reverse: 1 } },
    { id: 1, rpc: { method: 1 } },
    { id: 1, sub_refresh: { type: 'x' } },
  ];
  for (const command of wrong) {
    const text = JSON.stringify(command);
    t.throws(() => decode(text), { code: 'HOLDFAST_PROTOCOL', close: { code: 3501 } }, text);
  }
});

t.test('which member counts', async (t) => {
  t.match(decodeOne({ id: 1, publish: { channel: 'p' }, subscribe: { channel: 's' } }), {
    kind: 'subscribe',
  });
  t.match(decodeOne({ id: 1, unknown: {}, rpc: {} }), { kind: 'rpc' });
  t.throws(() => decodeOne({ id: 1 }), ProtocolError);
  t.throws(() => decodeOne({ id: 1, unknown: {} }), ProtocolError);
  t.throws(() => decodeOne({ id: 1, ping: {} }), ProtocolError);
  t.match(decodeOne({ id: 4_294_967_295, rpc: {} }), { id: 4_294_967_295 });
});

t.test('without an id there is send, and else a pong', async (t) => {
  t.match(decodeOne({}), { kind: 'pong', id: 0 });
  t.match(decodeOne({ id: 0 }), { kind: 'pong' });
  t.match(decodeOne({ id: null, rpc: {} }), { kind: 'pong' });
  t.match(decodeOne({ connect: {} }), { kind: 'pong' });
  t.strictSame(decodeOne({ send: {} }), { kind: 'send', id: 0, data: undefined });
});

t.test('several commands in a frame, one a line', async (t) => {
  t.strictSame(kinds('{"id":1,"connect":{}}\n{"id":2,"rpc":{}}\n{}'), ['connect', 'rpc', 'pong']);
  t.strictSame(kinds('\n\n{"id":1,"rpc":{}}\n \n\r\n{"id":2,"rpc":{}}\n'), ['rpc', 'rpc']);
  for (const text of [
    '',
    '\n',
    ' \n\t\n',
    '{"id":1,"rpc":{}} {"id":2,"rpc":{}}',
    '{"id":1,"rpc":{}}\n{',
    '[{"id":1,"rpc":{}}]',
  ]) {
    t.throws(() => decode(text), ProtocolError, JSON.stringify(text));
  }
});

t.test('payloads are the very bytes of the frame', async (t) => {
  const payloads = [
    '12345678901234567890',
    '-0.10e+05',
    '{"b":1,"a":{"b":2},"b":3}',
    '"\\u0041\\ud800\\n\\"\\\\"',
    '[ 1 , 2,\t{ } ]',
    '"é😀\u2028"',
    'true',
    '""',
  ];
  for (const payload of payloads) {
    const [publish] = decode(`{"id":1,"publish":{"channel":"c","data":${payload}}}`);
    t.equal(publish?.kind === 'publish' && publish.data?.toString(), payload);
    const [spaced] = decode(
      ` {"x":{"data":1}, "id" : 1 , "rpc" : { "method":"data", "data" : ${payload} , "y":[] } } `,
    );
    t.equal(spaced?.kind === 'rpc' && spaced.data?.toString(), payload);
    const [connect] = decode(`{"id":1,"connect":{"data":${payload},"subs":{"data":{"data":${payload}}}}}`);
    const request = connect?.kind === 'connect' ? connect.request : undefined;
    t.equal(request?.data?.toString(), payload);
    t.equal(request?.subs.get('data')?.data?.toString(), payload);
  }
});

t.test('what is odd about a payload does not reach others', async (t) => {
  t.equal(
    data('{"id":1,"publish":{"channel":"c","data":{"a":\r1,\r\t"b":2}}}'),
    '{"a":1,\t"b":2}',
    'carriage returns',
  );
  t.equal(data('{"id":1,"publish":{"data":1,"channel":"c","data":2}}'), '2', 'the last of repeated keys');
  t.equal(data('{"publish":{"data":1},"id":1,"publish":{"channel":"c","data":2}}'), '2');
  t.equal(data('{"id":1,"publish":{"data":1,"channel":"c","data":null}}'), undefined);
  t.equal(data(String.raw`{"id":1,"p\u0075blish":{"channel":"c","d\u0061ta":[3]}}`), '[3]', 'escaped names');
  t.equal(data('{"id":1,"publish":{"channel":"c","__proto__":{"data":1}}}'), undefined);
  t.equal(data('{"id":1,"publish":{"channel":"c","data":{"data":1}}}'), '{"data":1}');
  const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
  t.equal(data(`{"id":1,"publish":{"channel":"c","data":${deep}}}`)?.length, 60_000);
});

t.test('names from outside do not become properties', async (t) => {
  const [command] = decode(
    '{"id":1,"connect":{"headers":{"__proto__":"x","constructor":"y"},"subs":{"__proto__":{"offset":3},"toString":{}}}}',
  );
  const request = command?.kind === 'connect' ? command.request : undefined;
  t.strictSame(Object.keys(request?.headers ?? {}), ['__proto__', 'constructor']);
  t.equal(request?.subs.get('__proto__')?.offset, 3);
  t.equal(request?.subs.size, 2);
});

const VALID = [
  '{"id":1,"connect":{"token":"T","name":"js","subs":{"#42":{"recover":true,"offset":7,"epoch":"ab"}},"headers":{"a":"b"}}}',
  '{"connect":{"token":"T","name":"js"},"id":1}\n{"subscribe":{"channel":"news","flag":1},"id":2}',
  '{"id":5,"subscribe":{"channel":"news","recover":true,"epoch":"ab","offset":12,"flag":1,"tf":{"op":"and","nodes":[]}}}',
  '{"id":7,"publish":{"channel":"news","data":{"t":"hi\\u0041","n":[1,2,{"x":"}"}]}}}\n{}',
  '{"id":9,"history":{"channel":"news","limit":10,"since":{"offset":3,"epoch":"ab"}}}\n\n{"send":{"data":"x"}}',
];

function mutated(roll: Roll): Buffer {
  let bytes = Buffer.from(pick(roll, VALID));
  for (let changes = 1 + below(roll, 4); changes > 0; changes -= 1) {
    const at = below(roll, bytes.length + 1);
    const dice = roll();
    const piece = Buffer.from(
      pick(roll, ['{', '}', '"', '\\', '[', ']', ',', ':', '\n', '\u0000', 'null', '1e999', '"data":', '-']),
    );
    if (dice < 0.3) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(roll, 5))]);
    else if (dice < 0.6) bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
    else if (dice < 0.8)
      bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([below(roll, 256)]), bytes.subarray(at + 1)]);
    else bytes = Buffer.from(bytes.subarray(0, at));
  }
  return bytes;
}

t.test('whatever comes, it is decoded or refused', async (t) => {
  let decoded = 0;
  let refused = 0;
  for (let seed = 1; seed <= 20_000; seed += 1) {
    const roll = seeded(seed);
    const frame =
      roll() < 0.2
        ? Buffer.from(Array.from({ length: below(roll, 200) }, () => below(roll, 256)))
        : mutated(roll);
    try {
      const commands = jsonCodec.decode(frame);
      decoded += 1;
      if (commands.length === 0) t.fail(`seed ${seed}: an empty list`);
      for (const command of commands) {
        if (!Number.isSafeInteger(command.id) || command.id < 0) t.fail(`seed ${seed}: id ${command.id}`);
        // What was taken as a payload is valid JSON without line breaks.
        if ('data' in command && command.data !== undefined) {
          JSON.parse(command.data.toString());
          if (/[\r\n]/.test(command.data.toString())) t.fail(`seed ${seed}: a line break in a payload`);
        }
      }
    } catch (error) {
      refused += 1;
      if (!(error instanceof ProtocolError))
        t.fail(`seed ${seed}: ${String(error)} for ${JSON.stringify(frame.toString())}`);
    }
  }
  t.ok(decoded > 1_000 && refused > 1_000, `${decoded} decoded, ${refused} refused`);
});
