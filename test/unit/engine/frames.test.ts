// Frames of the local socket: written, cut anywhere, read, and garbage refused.
import t from 'tap';
import { FrameDecoder } from '../../../src/engine/memory/frame-decoder.ts';
import { FrameReader } from '../../../src/engine/frame-reader.ts';
import { FrameWriter } from '../../../src/engine/frame-writer.ts';
import { readInfo, readPublication, writeDraft, writeInfo } from '../../../src/engine/publication-codec.ts';
import { HEADER_BYTES } from '../../../src/engine/memory/wire.ts';
import { WireError } from '../../../src/engine/wire-error.ts';

/** Small, deterministic and good enough to vary tests (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Sample {
  readonly type: number;
  readonly id: number;
  readonly text: string;
  readonly number: number;
  readonly bytes: Buffer;
  readonly rest: Buffer;
}

const SMALL: Sample = {
  type: 255,
  id: 0xffffffff,
  text: 'Grüße 🙂',
  number: 2 ** 53 - 1,
  bytes: Buffer.from([1]),
  rest: Buffer.from('x'),
};

const SAMPLES: readonly Sample[] = [
  { type: 1, id: 0, text: '', number: 0, bytes: Buffer.alloc(0), rest: Buffer.alloc(0) },
  SMALL,
  {
    type: 7,
    id: 3,
    text: 'a'.repeat(300),
    number: -1.5,
    bytes: Buffer.alloc(17_000, 1),
    rest: Buffer.alloc(5),
  },
  { type: 8, id: 4, text: 'b', number: 1, bytes: Buffer.alloc(3, 2), rest: Buffer.alloc(100_000, 3) },
  { type: 9, id: 5, text: 'c'.repeat(70_000), number: 1, bytes: Buffer.alloc(0), rest: Buffer.alloc(2, 9) },
];

function write(writer: FrameWriter, { type, id, text, number, bytes, rest }: Sample): number {
  writer.begin(type, id).string(text).u8(7).u32(70_000).f64(number).bytes(bytes).raw(rest);
  return writer.end();
}

function read(frame: FrameReader): Sample {
  const { type, id } = frame;
  const text = frame.string();
  if (frame.u8() !== 7 || frame.u32() !== 70_000) throw new Error('constants differ');
  const number = frame.f64();
  const bytes = Buffer.from(frame.bytes());
  const sample = { type, id, text, number, bytes, rest: Buffer.from(frame.rest()) };
  if (!frame.done) throw new Error('not read to the end');
  return sample;
}

function readAll(chunks: Iterable<Buffer>): Sample[] {
  const frame = new FrameReader();
  const decoder = new FrameDecoder(frame);
  const samples: Sample[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    while (decoder.next()) samples.push(read(frame));
  }
  return samples;
}

t.test('frames come out as they went in', (t) => {
  const writer = new FrameWriter();
  const sizes = SAMPLES.map((sample) => write(writer, sample));
  const pendingBytes = writer.pendingBytes;
  const bytes = Buffer.concat(writer.take());
  t.equal(bytes.length, pendingBytes);
  t.equal(
    bytes.length,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  t.equal(writer.pendingBytes, 0);
  t.same(writer.take(), []);
  t.same(readAll([bytes]), SAMPLES);
  t.end();
});

t.test('many small frames fill block after block', (t) => {
  const writer = new FrameWriter();
  const samples = Array.from({ length: 3000 }, (_, index) => ({ ...SMALL, id: index }));
  const segments: Buffer[] = [];
  samples.forEach((sample, index) => {
    write(writer, sample);
    if (index % 7 === 0) segments.push(...writer.take());
  });
  segments.push(...writer.take());
  t.same(readAll(segments), samples);
  t.end();
});

t.test('frames cut at every byte, and a byte at a time, come out whole', (t) => {
  const writer = new FrameWriter();
  for (const sample of SAMPLES.slice(0, 2)) write(writer, sample);
  const bytes = Buffer.concat(writer.take());
  const expected = SAMPLES.slice(0, 2);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const samples = readAll([bytes.subarray(0, cut), bytes.subarray(cut)]);
    t.same(samples, expected, `cut at ${String(cut)}`);
  }
  t.same(readAll(Array.from(bytes, (byte) => Buffer.from([byte]))), expected);
  t.end();
});

t.test('frames in pieces of random size come out whole', (t) => {
  const random = randomOf(1);
  for (let round = 0; round < 30; round += 1) {
    const writer = new FrameWriter();
    const samples = Array.from({ length: 20 }, () => SAMPLES[Math.floor(random() * SAMPLES.length)] ?? SMALL);
    for (const sample of samples) write(writer, sample);
    const bytes = Buffer.concat(writer.take());
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const size = 1 + Math.floor(random() ** 4 * 200_000);
      chunks.push(bytes.subarray(at, at + size));
      at += size;
    }
    t.same(readAll(chunks), samples);
  }
  t.end();
});

t.test('a frame taken back leaves the others as they are', (t) => {
  for (const dropped of SAMPLES) {
    const writer = new FrameWriter();
    for (const sample of SAMPLES) write(writer, sample);
    const pendingBytes = writer.pendingBytes;
    write(writer, dropped);
    writer.cancel();
    t.equal(writer.pendingBytes, pendingBytes);
    for (const sample of SAMPLES) write(writer, sample);
    t.same(readAll(writer.take()), [...SAMPLES, ...SAMPLES]);
  }
  t.end();
});

t.test('a frame is forwarded without being read', (t) => {
  const writer = new FrameWriter();
  for (const sample of SAMPLES) write(writer, sample);
  const frame = new FrameReader();
  const decoder = new FrameDecoder(frame);
  const onward = new FrameWriter();
  decoder.push(Buffer.concat(writer.take()));
  while (decoder.next()) {
    frame.string();
    onward.rawPart(frame.buffer, frame.start, frame.end);
  }
  t.same(readAll(onward.take()), SAMPLES);
  t.end();
});

t.test('large fields are referred to, not copied', (t) => {
  const writer = new FrameWriter();
  const large = Buffer.alloc(100_000);
  writer.begin(1, 1).raw(large);
  writer.end();
  t.ok(writer.take().includes(large));
  t.end();
});

t.test('a frame length out of range is refused', (t) => {
  for (const length of [0, HEADER_BYTES - 5, 1001, 0xffffffff]) {
    const decoder = new FrameDecoder(new FrameReader(), 1000);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    decoder.push(head);
    t.throws(() => decoder.next(), WireError, `length ${String(length)}`);
  }
  t.end();
});

t.test('a field beyond the end of its frame is refused', (t) => {
  const writer = new FrameWriter();
  writer.begin(1, 1).u32(1000).u8(1);
  writer.end();
  write(writer, SMALL);
  const frame = new FrameReader();
  const decoder = new FrameDecoder(frame);
  decoder.push(Buffer.concat(writer.take()));
  t.ok(decoder.next());
  t.throws(() => frame.string(), WireError);
  for (const attempt of [() => frame.f64(), () => frame.u32(), () => frame.bytes()]) {
    t.throws(attempt, WireError);
  }
  t.equal(frame.u8(), 1);
  t.throws(() => frame.u8(), WireError);
  t.equal(frame.rest().length, 0);
  t.end();
});

t.test('garbage ends in a WireError or in frames, never in anything else', (t) => {
  const random = randomOf(2);
  let refused = 0;
  for (let round = 0; round < 3000; round += 1) {
    const frame = new FrameReader();
    const decoder = new FrameDecoder(frame, 100_000);
    const garbage = Buffer.from(
      Array.from({ length: 1 + Math.floor(random() * 200) }, () => Math.floor(random() * 256)),
    );
    // Half of the rounds get past the length, to reach the fields.
    if (round % 2 === 0 && garbage.length > HEADER_BYTES) garbage.writeUInt32BE(garbage.length - 4);
    try {
      decoder.push(garbage);
      while (decoder.next()) {
        if (round % 3 === 0) readPublication(frame, 1, 1);
        else if (round % 3 === 1) readInfo(frame);
        else read(frame);
      }
    } catch (error) {
      if (!(error instanceof WireError) && !(error instanceof Error && error.message.startsWith('const'))) {
        t.fail('another error', { error });
      }
      refused += 1;
    }
  }
  t.ok(refused > 1000, `${String(refused)} refused`);
  t.end();
});

t.test('publications and infos keep every field', (t) => {
  const info = { user: 'ü', client: 'c', connInfo: Buffer.from('{}'), chanInfo: undefined };
  const drafts = [
    { data: Buffer.alloc(0), info: undefined, tags: undefined },
    { data: Buffer.from('{"a":1}'), info, tags: { a: '1', b: '', ['__proto__']: 'x' } },
    { data: Buffer.alloc(200_000, 'y'), info: { ...info, chanInfo: Buffer.alloc(20_000) }, tags: {} },
  ];
  for (const draft of drafts) {
    const writer = new FrameWriter();
    writer.begin(1, 0);
    writeDraft(writer, draft);
    writer.end();
    const frame = new FrameReader();
    const decoder = new FrameDecoder(frame);
    decoder.push(Buffer.concat(writer.take()));
    t.ok(decoder.next());
    const publication = readPublication(frame, 2 ** 40, 1.7e12);
    t.same(publication, { isJson: false, ...draft, offset: 2 ** 40, time: 1.7e12 });
    t.same(Object.keys(publication.tags ?? {}), Object.keys(draft.tags ?? {}));
  }
  const writer = new FrameWriter();
  writer.begin(1, 0);
  writeInfo(writer, { user: '', client: '' });
  writer.end();
  const fields = Buffer.concat(writer.take()).subarray(HEADER_BYTES);
  t.same(readInfo(FrameReader.over(fields)), {
    user: '',
    client: '',
    connInfo: undefined,
    chanInfo: undefined,
  });
  t.end();
});
