// What travels through Redis is understood again, and what is not ours is refused.
import t from 'tap';
import { MessageWriter, readEntry, readMessage } from '../../../../src/engine/redis/messages.ts';
import { WireError } from '../../../../src/engine/wire-error.ts';
import { FrameWriter } from '../../../../src/engine/frame-writer.ts';

const INFO = {
  user: 'ü',
  client: 'c1',
  connInfo: Buffer.from('{"a":1}'),
  chanInfo: Buffer.from('{"b":2}'),
};
const DRAFT = { data: Buffer.from('data'), info: INFO, tags: { k: 'v' } };
const ORIGIN = { node: 'node-1', number: 2 ** 40 + 7, mayBeMissing: false };

const writer = new MessageWriter();

/** As publish.lua writes it. */
function stored(
  offset: number,
  epoch: string,
  entry: Buffer,
  previous?: [offset: number, entry: Buffer],
): Buffer {
  const frame = new FrameWriter();
  frame.u8(2).f64(offset).string(epoch);
  if (previous === undefined) frame.u8(0);
  else frame.u8(1).f64(previous[0]).bytes(previous[1]);
  return Buffer.concat([...frame.take(), entry]);
}

t.test('a publication without history', async (t) => {
  const message = writer.publication(ORIGIN, 123.5, DRAFT);
  const read = readMessage(message);
  t.same(read.origin, ORIGIN);
  t.equal(read.bytes, message.length);
  t.match(read.news, { kind: 'publication', epoch: '', publication: { ...DRAFT, offset: 0, time: 123.5 } });
});

t.test('one whose number may be missing says so', async (t) => {
  const origin = { ...ORIGIN, mayBeMissing: true };
  t.same(readMessage(writer.publication(origin, 1, DRAFT)).origin, origin);
});

t.test('joins and leaves', async (t) => {
  for (const kind of ['join', 'leave'] as const) {
    const { news, origin } = readMessage(writer.presence(kind, ORIGIN, INFO));
    t.match(news, { kind, info: INFO });
    t.same(origin, ORIGIN);
  }
});

t.test('what is stored, with and without the one before it', async (t) => {
  const entry = writer.entry(5, DRAFT);
  t.match(readEntry(entry, 9), { ...DRAFT, offset: 9, time: 5 });
  const alone = readMessage(stored(9, 'e', entry));
  t.equal(alone.origin, undefined);
  t.match(alone.news, {
    epoch: 'e',
    publication: { offset: 9, time: 5, data: DRAFT.data },
    previous: undefined,
  });
  const before = writer.entry(4, { data: Buffer.from('before') });
  t.match(readMessage(stored(9, 'e', entry, [8, before])).news, {
    publication: { offset: 9 },
    previous: { offset: 8, time: 4, data: Buffer.from('before') },
  });
});

t.test('cut anywhere, or of an unknown type, it is refused', async (t) => {
  const messages = [writer.presence('join', ORIGIN, INFO), stored(9, 'e', writer.entry(5, DRAFT))];
  for (const message of messages) {
    for (let length = 0; length < message.length; length += 1) {
      try {
        readMessage(message.subarray(0, length));
      } catch (error) {
        t.type(error, WireError);
      }
    }
  }
  t.throws(() => readMessage(Buffer.from([99])), WireError);
  t.throws(() => readMessage(Buffer.alloc(0)), WireError);
});
