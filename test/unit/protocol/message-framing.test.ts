// What goes over the wire around encoded messages, per format.
import { inflateRawSync } from 'node:zlib';
import t from 'tap';
import { frameMessages } from '../../../src/protocol/message-framing.ts';
import { deflated, WireFormats } from '../../../src/protocol/wire-format.ts';
import { takeFrames } from '../../helpers/server-frames.ts';

const messages = ['{"a":1}', '{}', '{"b":"é"}'].map((text) => Buffer.from(text));
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

t.test('every format has an index of its own', async (t) => {
  const plain = Object.values(WireFormats);
  const all = [...plain, ...plain.map((format) => deflated(format, { level: 1, minBytes: 0 }))];
  t.equal(new Set(all.map(({ index }) => index)).size, all.length);
});

t.test('WebSocket messages are joined by lines, but for listeners that want one each', async (t) => {
  const lines = ['{"a":1}\n{}\n{"b":"é"}'];
  t.same(textsOf(frameMessages(WireFormats.websocketJson, messages)), lines);
  t.same(textsOf(frameMessages(WireFormats.uniWebsocketJoined, messages)), lines);
  t.same(textsOf(frameMessages(WireFormats.uniWebsocket, messages)), messages.map(String));
});

t.test('the length of a frame is written in the shortest form (RFC 6455 §5.2)', async (t) => {
  for (const [bytes, head] of [
    [0, [0x81, 0]],
    [125, [0x81, 125]],
    [126, [0x81, 126, 0, 126]],
    [65_535, [0x81, 126, 0xff, 0xff]],
    [65_536, [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]],
    [70_000, [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]],
  ] as const) {
    const payload = Buffer.alloc(bytes, 'x');
    const frame = frameMessages(WireFormats.websocketJson, [payload]);
    t.same([...frame.subarray(0, head.length)], head, `${bytes} bytes`);
    t.ok(frame.subarray(head.length).equals(payload), `${bytes} bytes`);
    const halves = [payload.subarray(0, bytes >> 1), payload.subarray(bytes >> 1)];
    const binary = frameMessages(WireFormats.websocketProtobuf, halves);
    t.equal(binary[0], 0x82);
    t.ok(binary.subarray(head.length).equals(payload), `${bytes} bytes in two messages`);
  }
});

t.test('streams have lines, or messages that bring their length', async (t) => {
  t.equal(frameMessages(WireFormats.streamJson, messages).toString(), '{"a":1}\n{}\n{"b":"é"}\n');
  t.same(frameMessages(WireFormats.streamProtobuf, messages), Buffer.concat(messages));
  t.equal(frameMessages(WireFormats.uniStream, messages).toString(), '{"a":1}\n{}\n{"b":"é"}\n');
});

t.test('events end with an empty line', async (t) => {
  const events = 'data: {"a":1}\n\ndata: {}\n\ndata: {"b":"é"}\n\n';
  t.equal(frameMessages(WireFormats.sse, messages).toString(), events);
  t.equal(frameMessages(WireFormats.uniSse, messages).toString(), events);
});

t.test('a compressed message stands for itself and says that it is compressed', async (t) => {
  const long = Buffer.from(JSON.stringify({ text: 'again and '.repeat(50) }));
  for (const [format, firstByte] of [
    [WireFormats.websocketJson, 0xc1],
    [WireFormats.websocketProtobuf, 0xc2],
  ] as const) {
    const compressed = deflated(format, { level: 1, minBytes: 0 });
    for (let round = 0; round < 2; round += 1) {
      const frame = frameMessages(compressed, [long, long]);
      t.equal(frame[0], firstByte);
      const [taken] = takeFrames(frame).frames;
      const payload = taken?.payload ?? Buffer.alloc(0);
      t.ok(payload.length < long.length / 2);
      const inflated = inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: 2 });
      t.same(
        inflated,
        format.encoding === 'json'
          ? Buffer.concat([long, Buffer.from('\n'), long])
          : Buffer.concat([long, long]),
      );
    }
  }
});

t.test('what compression would not make smaller, or is below the limit, stays as it is', async (t) => {
  const always = deflated(WireFormats.websocketJson, { level: 9, minBytes: 0 });
  t.same(frameMessages(always, messages), frameMessages(WireFormats.websocketJson, messages));
  const large = deflated(WireFormats.websocketJson, { level: 9, minBytes: 1000 });
  const long = Buffer.from('x'.repeat(999));
  t.same(frameMessages(large, [long]), frameMessages(WireFormats.websocketJson, [long]));
  const longer = Buffer.from('x'.repeat(1000));
  t.not(frameMessages(large, [longer]).length, frameMessages(WireFormats.websocketJson, [longer]).length);
});

function textsOf(bytes: Buffer): string[] {
  return takeFrames(bytes).frames.map(({ payload }) => payload.toString());
}
