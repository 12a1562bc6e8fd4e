// Every patch is applied by the official client, which drops the connection when it cannot.
import { Centrifuge } from 'centrifuge';
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf';
import t, { type Test } from 'tap';
import { fossilDelta } from '../../../src/protocol/fossil-delta.ts';
import type { Message } from '../../../src/protocol/replies.ts';
import { jsonCodec } from '../../../src/protocol/json-codec.ts';
import { protobufCodec } from '../../../src/protocol/protobuf-codec.ts';
import { codecPeer } from '../../helpers/codec-socket.ts';

type Pair = readonly [previous: Buffer, next: Buffer];

/** A fixed seed: a failure can be repeated. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

const ALPHABETS = {
  ascii: 'abcdefghij {}[]":,0123456789\\\n',
  cyrillic: 'абвгдежзийклмнопрстуфхцчшщъыьэюя ',
  emoji: '😀😁😂🤣😃é漢a ',
  few: 'ab',
} as const;

function randomText(random: (below: number) => number, alphabet: string, length: number): string {
  const letters = Array.from(alphabet);
  return Array.from({ length }, () => letters[random(letters.length)] ?? '').join('');
}

/** Inserts, deletes, replaces and moves pieces. */
function edited(random: (below: number) => number, original: string, alphabet: string): string {
  let letters = Array.from(original);
  for (let edits = 1 + random(4); edits > 0; edits -= 1) {
    const at = random(letters.length + 1);
    const piece = Array.from(randomText(random, alphabet, random(8)));
    const size = random(20);
    switch (random(4)) {
      case 0:
        letters.splice(at, 0, ...piece);
        break;
      case 1:
        letters.splice(at, size);
        break;
      case 2:
        letters.splice(at, piece.length, ...piece);
        break;
      default: {
        const moved = letters.splice(at, size);
        const to = random(letters.length + 1);
        letters = [...letters.slice(0, to), ...moved, ...letters.slice(to)];
      }
    }
  }
  return letters.join('');
}

/** Sends `previous` in full and `next` as a patch, for all pairs, and compares what the client makes of it. */
async function checkWithJsonClient(
  t: Test,
  pairs: readonly Pair[],
): Promise<{ patches: number; saved: number }> {
  const peer = codecPeer(jsonCodec, 'json', ({ id, kind }) =>
    kind === 'connect'
      ? [jsonCodec.reply(id, { kind, result: { client: 'c', version: '' } })]
      : [jsonCodec.reply(id, { kind: 'subscribe', result: { delta: true } })],
  );
  const client = new Centrifuge('ws://none', { websocket: peer.websocket });
  return run(t, client, pairs, true, (message) => peer.send(message), JSON.stringify);
}

async function checkWithProtobufClient(
  t: Test,
  pairs: readonly Pair[],
): Promise<{ patches: number; saved: number }> {
  const peer = codecPeer(protobufCodec, 'protobuf', ({ id, kind }) =>
    kind === 'connect'
      ? [protobufCodec.reply(id, { kind, result: { client: 'c', version: '' } })]
      : [protobufCodec.reply(id, { kind: 'subscribe', result: { delta: true } })],
  );
  const client = new ProtobufCentrifuge('ws://none', { websocket: peer.websocket });
  return run(
    t,
    client,
    pairs,
    false,
    (message) => peer.send(message),
    (data) => (data instanceof Uint8Array ? Buffer.from(data).toString('latin1') : 'no bytes'),
  );
}

const nothing = (): void => undefined;

async function run(
  t: Test,
  client: Centrifuge | ProtobufCentrifuge,
  pairs: readonly Pair[],
  asText: boolean,
  send: (message: Message) => void,
  show: (data: unknown) => string,
): Promise<{ patches: number; saved: number }> {
  const codec = asText ? jsonCodec : protobufCodec;
  const received: string[] = [];
  const sub = client.newSubscription('d', { delta: 'fossil' });
  let complete = nothing;
  const all = new Promise<void>((resolve, reject) => {
    complete = resolve;
    client.on('disconnected', (context) => reject(new Error(`client gave up: ${context.reason}`)));
  });
  let expected = Infinity;
  sub.on('publication', ({ data }) => {
    received.push(show(data));
    if (received.length >= expected) complete();
  });
  const subscribed = new Promise((resolve) => sub.once('subscribed', resolve));
  client.connect();
  sub.subscribe();
  await subscribed;
  const wanted: string[] = [];
  const result = { patches: 0, saved: 0 };
  const publish = (data: Buffer, patch?: Buffer) => {
    const delta = { data: patch ?? data, isPatch: patch !== undefined };
    const publication = { data, offset: 0, time: 0, delta };
    const message = codec.push({ kind: 'publication', channel: 'd', publication }, false);
    if (message === undefined) t.fail('no form');
    else send(message);
  };
  const value = (data: Buffer) => (asText ? show(JSON.parse(data.toString())) : show(data));
  for (const [previous, next] of pairs) {
    const patch = fossilDelta(previous, next, { asText });
    publish(previous);
    wanted.push(value(previous));
    if (patch === undefined) continue;
    result.patches += 1;
    result.saved += next.length - patch.length;
    if (patch.length >= next.length) t.fail('a patch that saves nothing');
    publish(next, patch);
    wanted.push(value(next));
  }
  expected = wanted.length;
  if (received.length >= expected) complete();
  await all;
  client.removeAllListeners('disconnected');
  client.disconnect();
  t.equal(received.length, wanted.length);
  t.equal(
    received.findIndex((data, index) => data !== wanted[index]),
    -1,
    'everything arrived as it was',
  );
  return result;
}

t.test('the vector of the reference', (t) => {
  const previous = Buffer.from('{"price":100,"name":"abcdefghijklmnopqrst"}');
  const next = Buffer.from('{"price":101,"name":"abcdefghijklmnopqrst"}');
  for (const asText of [true, false]) {
    t.equal(fossilDelta(previous, next, { asText })?.toString(), 'g\nB@0,1:1V@C,3tS2Ts;');
  }
  t.end();
});

t.test('texts, by the JSON client', async (t) => {
  for (const [name, alphabet] of Object.entries(ALPHABETS)) {
    const random = generator(name.length);
    const pairs = Array.from({ length: 400 }, (_, index): Pair => {
      const before = randomText(random, alphabet, random(index % 10 === 0 ? 3000 : 300));
      return [
        Buffer.from(JSON.stringify(before)),
        Buffer.from(JSON.stringify(edited(random, before, alphabet))),
      ];
    });
    const { patches, saved } = await checkWithJsonClient(t, pairs);
    t.ok(patches > 250, `${name}: ${patches} patches saved ${saved} bytes`);
  }
});

t.test('bytes, by the Protobuf client', async (t) => {
  const random = generator(7);
  const pairs = Array.from({ length: 800 }, (): Pair => {
    const before = Buffer.from(Array.from({ length: 1 + random(600) }, () => random(256)));
    const at = random(before.length);
    const piece = Buffer.from(Array.from({ length: random(40) }, () => random(256)));
    const rest = before.subarray(random(before.length));
    return [before, Buffer.concat([before.subarray(0, at), piece, rest, Buffer.from([1])])];
  });
  const { patches } = await checkWithProtobufClient(t, pairs);
  t.ok(patches > 400, `${patches} patches`);
});

const record = (n: number) => `{"id":${n},"name":"record","value":"${'x'.repeat(n % 50)}"}`;

const json = (items: string[]) => Buffer.from(`[${items.join(',')}]`);

t.test('large payloads that repeat themselves', async (t) => {
  const random = generator(3);
  const list = Array.from({ length: 1000 }, (_, n) => record(n));
  const shuffled = [...list.slice(500), ...list.slice(0, 500).filter(() => random(10) > 0)];
  const zeros = Buffer.alloc(65_536, '0');
  const pairs: readonly Pair[] = [
    [json(list), json(shuffled)],
    [Buffer.from(`"${zeros.toString()}"`), Buffer.from(`"1${zeros.toString()}2${zeros.toString()}"`)],
    [json(list), json(list)],
  ];
  const { patches, saved } = await checkWithJsonClient(t, pairs);
  t.equal(patches, 3);
  t.ok(saved > 150_000, `${saved} bytes saved`);
});

t.test('one letter of a Russian text', (t) => {
  const before = Buffer.from('{"text":"Съешь же ещё этих мягких французских булок да выпей чаю"}');
  const after = Buffer.from(before.toString().replace('булок', 'булак'));
  const patch = fossilDelta(before, after, { asText: true });
  t.ok(
    patch?.toString().includes('1:') === false && patch.toString().includes('а'),
    'the whole letter is in it',
  );
  t.equal(patch?.toString().includes('\ufffd'), false);
  const cut = fossilDelta(before, after, { asText: false });
  t.equal(cut?.toString().includes('\ufffd'), true, 'which bytes alone would not need');
  t.end();
});

t.test('no patch', (t) => {
  const text = Buffer.from('"something of a certain length, and no more"');
  const broken = Buffer.concat([text, Buffer.from([0xff])]);
  t.equal(fossilDelta(text, Buffer.alloc(0), { asText: true }), undefined, 'nothing to make');
  t.equal(fossilDelta(Buffer.alloc(0), text, { asText: true }), undefined, 'nothing to make it from');
  t.equal(
    fossilDelta(text, Buffer.from('{"other":"payload with nothing in common"}'), { asText: true }),
    undefined,
  );
  t.equal(fossilDelta(broken, text, { asText: true }), undefined, 'the client would not have the same bytes');
  t.equal(fossilDelta(text, broken, { asText: true }), undefined);
  t.type(fossilDelta(broken, text, { asText: false }), Buffer);
  t.equal(fossilDelta(Buffer.from('12'), Buffer.from('13'), { asText: true }), undefined, 'not smaller');
  t.end();
});
