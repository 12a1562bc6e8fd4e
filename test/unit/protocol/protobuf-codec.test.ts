import t from 'tap';
import { CloseCauses } from '../../../src/protocol/close-causes.ts';
import { type Command, PLAIN_SUBSCRIBE, PONG } from '../../../src/protocol/commands.ts';
import { protobufCodec } from '../../../src/protocol/protobuf-codec.ts';
import { ProtocolError } from '../../../src/protocol/protocol-error.ts';
import { ReplyErrors } from '../../../src/protocol/reply-errors.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** Below 2^14. */
const varint = (value: number) => (value < 128 ? [value] : [(value & 127) | 128, value >> 7]);

const nested = (depth: number, field: number) => {
  let node = Buffer.from(hex('12 01 61'));
  for (let level = 1; level < depth; level += 1) {
    node = Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(node.length)]), node]);
  }
  return node;
};
const subscribe = (filter: Buffer) => {
  const request = Buffer.concat([hex('0a 01 61 6a'), Buffer.from(varint(filter.length)), filter]);
  const command = Buffer.concat([hex('08 01 2a'), Buffer.from(varint(request.length)), request]);
  return Buffer.concat([Buffer.from(varint(command.length)), command]);
};

const connect = (id: number, name: string): Command => ({
  kind: 'connect',
  id,
  request: { token: '', data: undefined, subs: new Map(), name, version: '', headers: {} },
});

const CONNECT_FRAME = hex('0a 08 01 22 06 22 04 64 65 6d 6f');
const SUBSCRIBE_FRAME = hex('14 08 02 2a 10 0a 04 72 6f 6f 6d 18 01 32 02 65 31 38 05 70 01');

/** Every field of a command, under the numbers of client protocol §5. */
const RICH_CONNECT = hex(
  '3c 08 01 22 38 0a 03 74 6f 6b 12 03 5b 31 5d 1a 0e 0a 03 23 34 32 12 07 18 01 32 01 65 38 09 1a 06 0a 04 62 61 72 65 22 02 6a 73 2a 03 31 2e 30 32 06 0a 01 6b 12 01 76 38 01 42 01 64',
);
const RICH_SUBSCRIBE = hex(
  '66 08 ac 02 2a 61 0a 04 6e 65 77 73 12 03 74 6f 6b 18 01 32 02 65 70 38 80 80 80 80 80 20 42 07 7b 22 61 22 3a 31 7d 48 01 50 01 58 01 62 06 66 6f 73 73 69 6c 6a 2c 0a 03 61 6e 64 32 12 12 04 6c 61 6e 67 1a 02 69 6e 2a 02 65 6e 2a 02 64 65 32 11 0a 03 6e 6f 74 32 0a 12 01 78 1a 02 65 71 22 01 31 70 03 78 01',
);
const HISTORY = hex(
  '1f 08 03 52 1b 0a 04 6e 65 77 73 38 ff ff ff ff ff ff ff ff ff 01 42 06 08 07 12 02 65 70 48 01',
);

t.test('every field', (t) => {
  t.same(protobufCodec.decode(RICH_CONNECT), [
    {
      kind: 'connect',
      id: 1,
      request: {
        token: 'tok',
        data: Buffer.from('[1]'),
        subs: new Map([
          ['#42', { ...PLAIN_SUBSCRIBE, channel: '#42', recover: true, epoch: 'e', offset: 9 }],
          ['bare', { ...PLAIN_SUBSCRIBE, channel: 'bare' }],
        ]),
        name: 'js',
        version: '1.0',
        headers: { k: 'v' },
      },
    },
  ]);
  const leaf = { op: '', key: '', cmp: '', val: '', vals: [], nodes: [] };
  t.same(protobufCodec.decode(RICH_SUBSCRIBE), [
    {
      kind: 'subscribe',
      id: 300,
      request: {
        channel: 'news',
        token: 'tok',
        recover: true,
        epoch: 'ep',
        offset: 2 ** 40,
        data: Buffer.from('{"a":1}'),
        positioned: true,
        recoverable: true,
        joinLeave: true,
        delta: 'fossil',
        filter: {
          ...leaf,
          op: 'and',
          nodes: [
            { ...leaf, key: 'lang', cmp: 'in', vals: ['en', 'de'] },
            { ...leaf, op: 'not', nodes: [{ ...leaf, key: 'x', cmp: 'eq', val: '1' }] },
          ],
        },
        flag: 3,
        type: 1,
      },
    },
  ]);
  t.same(protobufCodec.decode(HISTORY), [
    {
      kind: 'history',
      id: 3,
      request: { channel: 'news', limit: -1, since: { offset: 7, epoch: 'ep' }, reverse: true },
    },
  ]);
  t.end();
});

t.test('vectors of commands', (t) => {
  t.same(protobufCodec.decode(CONNECT_FRAME), [connect(1, 'demo')]);
  t.same(protobufCodec.decode(hex('00')), [PONG]);
  const subscribe = {
    kind: 'subscribe',
    id: 2,
    request: { ...PLAIN_SUBSCRIBE, channel: 'room', recover: true, epoch: 'e1', offset: 5, flag: 1 },
  };
  t.same(protobufCodec.decode(SUBSCRIBE_FRAME), [subscribe]);
  t.same(
    protobufCodec.decode(Buffer.concat([CONNECT_FRAME, SUBSCRIBE_FRAME, hex('00')])),
    [connect(1, 'demo'), subscribe, PONG],
    'several in one frame, in order',
  );
  t.end();
});

t.test('vectors of replies', (t) => {
  t.same(
    protobufCodec.reply(1, {
      kind: 'connect',
      result: { client: 'c1', version: 'v', pingS: 25, pong: true },
    }),
    hex('0f 08 01 2a 0b 0a 02 63 31 12 01 76 38 19 40 01'),
  );
  const publication = { data: Buffer.from('{"a":1}'), offset: 6, time: 0 };
  t.same(
    protobufCodec.push({ kind: 'publication', channel: 'room', publication }, false),
    hex('15 22 13 12 04 72 6f 6f 6d 22 0b 22 07 7b 22 61 22 3a 31 7d 30 06'),
  );
  t.same(
    protobufCodec.error(2, ReplyErrors.permissionDenied),
    hex('19 08 02 12 15 08 67 12 11 70 65 72 6d 69 73 73 69 6f 6e 20 64 65 6e 69 65 64'),
  );
  t.same(protobufCodec.ping, hex('00'));
  t.same(
    protobufCodec.reply(7, { kind: 'publish' }),
    hex('04 08 07 42 00'),
    'an empty result is still there',
  );
  t.same(
    protobufCodec.push({ kind: 'disconnect', code: 3001, reason: 'x' }, true),
    hex('08 5a 06 08 b9 17 12 01 78'),
    'unidirectional: no reply around it',
  );
  t.end();
});

t.test('what earns a ProtocolError', (t) => {
  const bad = {
    'empty frame': '',
    'length of 4 GB': 'ff ff ff ff 0f 00',
    'length beyond 32 bits': 'ff ff ff ff ff ff ff ff ff 01 00',
    'endless length': 'ff ff ff ff ff ff ff ff ff ff ff ff',
    'cut short': '0a 08 01 22 06 22 04 64',
    'nested length beyond its parent': '06 08 01 22 05 22 04 64 65 6d 6f',
    'field number 0': '02 00 01',
    'wire type 7': '02 0f 01',
    'group without an end': '02 13 08',
    'wrong wire type of a member': '02 20 01',
    'wrong wire type of a string': '06 08 01 22 02 20 01',
    'no known member': '02 08 01',
    'declared but unusable ping': '04 08 01 5a 00',
    'offset beyond 2^53': '10 08 01 2a 0c 0a 01 61 38 ff ff ff ff ff ff ff 7f',
  };
  for (const [name, frame] of Object.entries(bad)) {
    t.throws(() => protobufCodec.decode(hex(frame)), ProtocolError, name);
  }
  t.equal(new ProtocolError('').close, CloseCauses.badRequest);
  t.end();
});

t.test('unknown fields of every wire type are skipped', (t) => {
  // 100: varint, 101: 64 bit, 102: bytes, 103: group with a varint in it, 104: 32 bit.
  const unknown = 'a0 06 05 a9 06 01 02 03 04 05 06 07 08 b2 06 01 7a bb 06 08 01 bc 06 c5 06 01 02 03 04';
  const inner = hex(`${unknown} 22 04 64 65 6d 6f ${unknown}`);
  const command = Buffer.concat([hex(unknown), hex('08 01 22'), Buffer.from([inner.length]), inner]);
  t.same(protobufCodec.decode(Buffer.concat([Buffer.from([command.length]), command])), [connect(1, 'demo')]);
  t.end();
});

t.test('deep nesting ends', (t) => {
  t.equal(protobufCodec.decode(subscribe(nested(64, 6))).length, 1);
  t.throws(() => protobufCodec.decode(subscribe(nested(65, 6))), ProtocolError);
  t.throws(() => protobufCodec.decode(subscribe(nested(2000, 6))), ProtocolError);
  const groups = Buffer.concat([Buffer.alloc(10_000, 0x1b)]);
  t.throws(() => protobufCodec.decode(Buffer.concat([Buffer.from(varint(10_000)), groups])), ProtocolError);
  t.end();
});

t.test('any bytes give commands or a ProtocolError', (t) => {
  // A fixed seed: a failure can be repeated.
  let state = 42;
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
  const seeds = [CONNECT_FRAME, SUBSCRIBE_FRAME, RICH_CONNECT, RICH_SUBSCRIBE, HISTORY];
  const outcomes = { commands: 0, errors: 0 };
  const tryFrame = (frame: Buffer) => {
    try {
      for (const command of protobufCodec.decode(frame)) outcomes.commands += command.kind === 'pong' ? 0 : 1;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      outcomes.errors += 1;
    }
  };
  for (const seed of seeds) {
    t.ok(protobufCodec.decode(seed).length > 0);
    for (let cut = 1; cut < seed.length; cut += 1) {
      t.throws(() => protobufCodec.decode(seed.subarray(0, cut)), ProtocolError, `cut at ${cut}`);
    }
  }
  for (let round = 0; round < 20_000; round += 1) {
    const seed = seeds[round % seeds.length] ?? CONNECT_FRAME;
    const frame = round % 4 === 0 ? Buffer.alloc(random(64)) : Buffer.from(seed);
    const changes = round % 4 === 0 ? frame.length : 1 + random(4);
    for (let change = 0; change < changes && frame.length > 0; change += 1) {
      frame[random(frame.length)] = random(256);
    }
    tryFrame(frame);
  }
  t.ok(outcomes.commands > 1000 && outcomes.errors > 1000, JSON.stringify(outcomes));
  t.end();
});

t.test('payloads are copies', (t) => {
  const frame = Buffer.from(hex('0a 08 01 3a 06 0a 01 61 12 01 62'));
  const [command] = protobufCodec.decode(frame);
  frame.fill(0);
  t.match(command, { kind: 'publish', id: 1, channel: 'a', data: Buffer.from('b') });
  t.end();
});
