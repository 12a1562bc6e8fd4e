// Which frames are read past ws: whole plain messages, and nothing else; what is left to ws is left as it was.
import t from 'tap';
import { wholeFrameBytes, wholeMessage } from '../../../src/gateway/whole-message.ts';
import { clientFrame, Opcode } from '../../helpers/raw-socket.ts';

const LIMIT = 65_536;

const frameOf = (opcode: number, payload: Buffer): Buffer => clientFrame(payload, { opcode });

function read(frame: Buffer, at = 0, end = frame.length, limit = LIMIT): Buffer | undefined {
  return wholeMessage(frame, at, end, limit);
}

t.test('messages of all lengths, unmasked', (t) => {
  for (const length of [0, 1, 3, 4, 5, 125, 126, 127, 255, 256, 65_000, 65_535]) {
    const payload = Buffer.alloc(length, 'abcdefg');
    for (const opcode of [Opcode.text, Opcode.binary]) {
      const frame = frameOf(opcode, payload);
      const size = frame.length;
      const message = read(frame);
      t.ok(message?.equals(payload), `${length} bytes, opcode ${opcode}`);
      if (message !== undefined) t.equal(wholeFrameBytes(message), size);
    }
  }
  t.end();
});

t.test('one after the other', (t) => {
  const words = ['one', 'x'.repeat(200), 'three'];
  const bytes = Buffer.concat(words.map((word) => frameOf(Opcode.text, Buffer.from(word))));
  let at = 0;
  for (const word of words) {
    const message = read(bytes, at, bytes.length);
    t.equal(message?.toString(), word);
    at += message === undefined ? 0 : wholeFrameBytes(message);
  }
  t.equal(at, bytes.length);
  t.equal(read(bytes, at, bytes.length), undefined);
  t.end();
});

t.test('nothing of a frame before all of it is there, though the buffer goes on', (t) => {
  for (const length of [0, 7, 300]) {
    const frame = frameOf(Opcode.text, Buffer.alloc(length, 'q'));
    const bytes = Buffer.concat([frame, Buffer.alloc(400, 1)]);
    const before = Buffer.from(bytes);
    for (let end = 0; end < frame.length; end += 1) {
      if (read(bytes, 0, end) !== undefined) t.fail(`${length} bytes, cut at ${end}`);
    }
    t.ok(bytes.equals(before), 'nothing is changed');
    t.equal(read(bytes, 0, frame.length)?.length, length);
  }
  t.end();
});

t.test('whatever is special about a frame', (t) => {
  const plain = frameOf(Opcode.text, Buffer.from('hello'));
  const changed = (at: number, byte: number): Buffer => {
    const frame = Buffer.from(plain);
    frame[at] = byte;
    return frame;
  };
  const long = Buffer.concat([Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 5]), plain.subarray(2)]);
  const wide = Buffer.concat([Buffer.from([0x81, 0xfe, 0, 5]), plain.subarray(2)]);
  const frames: Record<string, Buffer> = {
    'not the last of its message': changed(0, 0x01),
    'goes on with a message': changed(0, 0x80),
    compressed: changed(0, 0xc1),
    'second reserved bit': changed(0, 0xa1),
    'third reserved bit': changed(0, 0x91),
    'reserved opcode': changed(0, 0x83),
    close: changed(0, 0x88),
    ping: changed(0, 0x89),
    pong: changed(0, 0x8a),
    'not masked': changed(1, 0x05),
    '16 bits of length for a short one': wide,
    '64 bits of length': long,
    'invalid UTF-8': frameOf(Opcode.text, Buffer.from([0x61, 0xc3, 0x28])),
    'cut UTF-8': frameOf(Opcode.text, Buffer.from([0x61, 0xe2, 0x82])),
    'half a pair of surrogates': frameOf(Opcode.text, Buffer.from([0xed, 0xa0, 0x80])),
  };
  for (const [name, frame] of Object.entries(frames)) {
    const before = Buffer.from(frame);
    t.equal(read(frame), undefined, name);
    t.ok(frame.equals(before), `${name}: nothing is changed`);
  }
  t.equal(
    read(frameOf(Opcode.binary, Buffer.from([0xc3, 0x28])))?.length,
    2,
    'a binary message may be anything',
  );
  t.equal(read(frameOf(Opcode.text, Buffer.from('žluťoučký 🐴')))?.toString(), 'žluťoučký 🐴');
  t.end();
});

t.test('the limit is what a message may have', (t) => {
  for (const limit of [5, 200]) {
    const fits = frameOf(Opcode.text, Buffer.alloc(limit, 'a'));
    const exceeds = frameOf(Opcode.text, Buffer.alloc(limit + 1, 'a'));
    t.equal(read(fits, 0, fits.length, limit)?.length, limit);
    t.equal(read(exceeds, 0, exceeds.length, limit), undefined);
  }
  t.end();
});
