import t from 'tap';
import { FrameReader, Opcode, clientFrame } from '../../bench/load/frames.ts';

function serverFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  if (payload.length < 126) return Buffer.concat([Buffer.from([0x81, payload.length]), payload]);
  const head = Buffer.from([0x81, payload.length < 65_536 ? 126 : 127]);
  const length = Buffer.alloc(payload.length < 65_536 ? 2 : 8);
  if (length.length === 2) length.writeUInt16BE(payload.length);
  else length.writeBigUInt64BE(BigInt(payload.length));
  return Buffer.concat([head, length, payload]);
}

function reading(): { reader: FrameReader; texts: string[]; malformed: string[] } {
  const texts: string[] = [];
  const malformed: string[] = [];
  const reader = new FrameReader({
    onFrame: (_opcode, bytes, start, end) => texts.push(bytes.toString('utf8', start, end)),
    onMalformed: (what) => malformed.push(what),
  });
  return { reader, texts, malformed };
}

void t.test('frames come out whole wherever the chunks are cut', async (t) => {
  const expected = ['{}', 'x'.repeat(125), 'y'.repeat(126), 'z'.repeat(300), ''];
  const stream = Buffer.concat(expected.map(serverFrame));
  for (let first = 0; first <= stream.length; first++) {
    for (const second of [first + 1, first + 2, first + 130]) {
      const { reader, texts, malformed } = reading();
      const chunks = [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)];
      // The reader may keep no reference to a chunk: it is a buffer that is read into again.
      const reused = Buffer.alloc(stream.length);
      for (const chunk of chunks) {
        chunk.copy(reused);
        reader.push(reused.subarray(0, chunk.length));
        reused.fill(0xff);
      }
      if (texts.join('|') !== expected.join('|') || malformed.length > 0) {
        t.fail(`cut at ${first} and ${second}: ${texts.join('|')} ${malformed.join()}`);
        return;
      }
    }
  }
  t.pass('all cuts');
});

void t.test('a frame with a 64-bit length', async (t) => {
  const { reader, texts } = reading();
  reader.push(serverFrame('a'.repeat(70_000)));
  t.equal(texts[0]?.length, 70_000);
});

void t.test('masked, fragmented and compressed frames are malformed', async (t) => {
  for (const head of [
    [0x81, 0x80],
    [0x01, 0x00],
    [0xc1, 0x00],
  ]) {
    const { reader, malformed } = reading();
    reader.push(Buffer.from(head));
    t.equal(malformed.length, 1);
  }
});

void t.test('client frames are masked', async (t) => {
  for (const length of [0, 5, 125, 126, 1000]) {
    const payload = Buffer.alloc(length, 'q');
    const frame = clientFrame(Opcode.text, payload);
    const maskAt = length < 126 ? 2 : 4;
    t.equal((frame[1] ?? 0) & 0x80, 0x80);
    t.not(frame.readUInt32BE(maskAt), 0, 'a mask of zero would spare the server its work');
    const body = frame.subarray(maskAt + 4).map((byte, i) => byte ^ (frame[maskAt + (i & 3)] ?? 0));
    t.ok(payload.equals(body));
  }
});
