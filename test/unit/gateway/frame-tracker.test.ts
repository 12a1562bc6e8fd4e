// What the tracker holds, put before what comes later, reads as if nothing had been cut: at every byte of a stream with all
// shapes of frames.
import t from 'tap';
import { FrameTracker } from '../../../src/gateway/frame-tracker.ts';

const MASK = Buffer.from([1, 2, 3, 4]);

/** A frame as a client sends it. */
function frame(opcode: number, fin: boolean, payload: Buffer): Buffer {
  const { length } = payload;
  const first = (fin ? 0x80 : 0) | opcode;
  let head: Buffer;
  if (length < 126) head = Buffer.from([first, 0x80 | length]);
  else if (length < 65_536) {
    head = Buffer.from([first, 0x80 | 126, length >> 8, length & 0xff]);
  } else {
    head = Buffer.alloc(10);
    head[0] = first;
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  const masked = Buffer.from(payload.map((byte, index) => byte ^ (MASK[index % 4] ?? 0)));
  return Buffer.concat([head, MASK, masked]);
}

const text = (length: number): Buffer => Buffer.alloc(length, 'abcdefghij');

/** All shapes of frames: short, empty, 16- and 64-bit lengths, fragments with pings between. */
const STREAM: readonly Buffer[] = [
  frame(1, true, text(5)),
  frame(1, true, text(0)),
  frame(9, true, text(3)),
  frame(1, false, text(4)),
  frame(9, true, text(0)),
  frame(0, false, text(0)),
  frame(0, true, text(7)),
  frame(2, true, text(130)),
  frame(10, true, text(2)),
  frame(2, false, text(126)),
  frame(0, true, text(3)),
  frame(1, true, text(1)),
];

/** Pings are answered where they are whole; messages count where their last frame is. */
function wholeUpTo(
  frames: readonly Buffer[],
  at: number,
): { readonly bytes: Buffer; readonly messages: number } {
  let end = 0;
  let messages = 0;
  let held: Buffer[] = [];
  for (const each of frames) {
    if (end + each.length > at) break;
    end += each.length;
    const [first = 0] = each;
    if ((first & 0x0f) >= 8) continue;
    if ((first & 0x80) === 0) held.push(each);
    else {
      messages += 1;
      held = [];
    }
  }
  const stream = Buffer.concat(frames);
  return { bytes: Buffer.concat([...held, stream.subarray(end, at)]), messages };
}

t.test('holds exactly what is not whole, wherever the stream is cut', async (t) => {
  const stream = Buffer.concat(STREAM);
  for (let at = 0; at <= stream.length; at++) {
    const expected = wholeUpTo(STREAM, at);
    for (const pieces of [
      [stream.subarray(0, at)],
      piecesOf(stream.subarray(0, at), 1),
      piecesOf(stream.subarray(0, at), 7),
    ]) {
      const tracker = new FrameTracker();
      for (const piece of pieces) tracker.push(Buffer.from(piece));
      if (!tracker.tail().equals(expected.bytes) || tracker.messages !== expected.messages) {
        t.fail(`cut at ${at} in ${pieces.length} pieces`);
        return;
      }
    }
  }
  t.pass(`${stream.length} cuts`);
});

t.test('64-bit lengths', async (t) => {
  const large = frame(2, true, text(70_000));
  for (const at of [1, 2, 3, 9, 10, 13, 14, 15, 69_000, large.length - 1]) {
    const tracker = new FrameTracker();
    tracker.push(large.subarray(0, at));
    t.ok(tracker.tail().equals(large.subarray(0, at)), `cut at ${at}`);
    tracker.push(large.subarray(at));
    t.equal(tracker.tail().length, 0);
    t.equal(tracker.messages, 1);
  }
});

t.test('fragments are copies: whoever reads the stream unmasks it in place', async (t) => {
  const tracker = new FrameTracker();
  const chunk = Buffer.from(frame(1, false, text(9)));
  const before = Buffer.from(chunk);
  tracker.push(chunk);
  chunk.fill(0);
  t.ok(tracker.tail().equals(before));
});

t.test('keeps nothing of what comes after a close frame, or after ws has given up', async (t) => {
  const closed = new FrameTracker();
  closed.push(Buffer.concat([frame(1, false, text(9)), frame(8, true, text(2)), frame(1, false, text(9))]));
  t.equal(closed.tail().length, 0);
  const refused = new FrameTracker();
  const large = frame(2, true, text(70_000));
  refused.push(large.subarray(0, 100));
  refused.stop();
  t.equal(refused.tail().length, 0);
  refused.push(large.subarray(100));
  refused.push(large.subarray(0, 100));
  t.equal(refused.tail().length, 0);
});

function piecesOf(bytes: Buffer, size: number): readonly Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}
