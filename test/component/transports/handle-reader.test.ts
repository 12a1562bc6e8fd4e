// Reading before the stream, against real sockets: the private parts of Node that it stands on must behave like this under
// every supported version.
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { freeze, HandleReader, type ReadListener, thaw } from '../../../src/util/native-handle.ts';
import { type SocketPair, socketPair } from '../../helpers/socket-pair.ts';
import { waitFor } from '../../helpers/wait-for.ts';

interface Pair extends SocketPair {
  readonly stream: Buffer[];
}

/** The stream of the near end is kept; what the reader takes of it first is the test's. */
async function pair(t: Test): Promise<Pair> {
  const { near, far } = await socketPair(t);
  const stream: Buffer[] = [];
  near.on('data', (chunk: Buffer) => stream.push(chunk));
  return { near, far, stream };
}

/** Takes so many bytes of each read at most, and keeps them. */
class Taker implements ReadListener {
  readonly taken: Buffer[] = [];
  atMost: number;

  constructor(atMost: number) {
    this.atMost = atMost;
  }

  onRead(bytes: Buffer, count: number): number {
    const taken = Math.min(count, this.atMost);
    this.taken.push(Buffer.from(bytes.subarray(0, taken)));
    return taken;
  }
}

const textOf = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString();

async function told(chunks: readonly Buffer[], text: string): Promise<void> {
  await waitFor(text, () => textOf(chunks) === text);
}

void t.test('what is taken does not reach the stream, and counts as read', async (t) => {
  const { near, far, stream } = await pair(t);
  const taker = new Taker(Infinity);
  new HandleReader().attach(near, taker);
  far.write('one ');
  await told(taker.taken, 'one ');
  far.write('two');
  await told(taker.taken, 'one two');
  t.same(stream, []);
  t.equal(near.bytesRead, 7);
});

void t.test('what is left goes through the stream, and stays what it was', async (t) => {
  const { near, far, stream } = await pair(t);
  const taker = new Taker(3);
  new HandleReader().attach(near, taker);
  far.write('onetwo');
  await told(stream, 'two');
  taker.atMost = 0;
  far.write('three');
  await told(stream, 'twothree');
  taker.atMost = Infinity;
  far.write('overwritten');
  await told(taker.taken, 'oneoverwritten');
  t.equal(textOf(stream), 'twothree');
});

void t.test('two connections share what they are read into', async (t) => {
  const reader = new HandleReader();
  const pairs = [await pair(t), await pair(t)];
  const takers = pairs.map(({ near }) => {
    const taker = new Taker(2);
    reader.attach(near, taker);
    return taker;
  });
  const words = ['abcd', 'efgh'];
  pairs.forEach(({ far }, index) => far.write(words[index] ?? ''));
  for (const [index, word] of words.entries()) {
    const { stream } = pairs[index] ?? { stream: [] };
    await told(stream, word.slice(2));
    t.equal(textOf(takers[index]?.taken ?? []), word.slice(0, 2));
  }
});

void t.test('a flood that nobody takes is held back like any other', async (t) => {
  const { near, far, stream } = await pair(t);
  new HandleReader().attach(near, new Taker(0));
  near.pause();
  const flood = Buffer.alloc(16_777_216, 'f');
  far.write(flood);
  await waitFor('the stream to be full', () => near.readableLength >= near.readableHighWaterMark);
  await waitFor('the kernel to be full', () => far.writableLength > 0);
  t.ok(near.readableLength <= 2 * 65_536, 'no more was read');
  near.resume();
  await waitFor('all of it', () => near.bytesRead === flood.length);
  t.ok(Buffer.concat(stream).equals(flood));
});

void t.test('nothing is read while it is frozen, and all of it afterwards', async (t) => {
  const { near, far, stream } = await pair(t);
  const taker = new Taker(Infinity);
  new HandleReader().attach(near, taker);
  freeze(near);
  const sent = new Promise((resolve) => far.write('meanwhile', resolve));
  await sent;
  const other = await pair(t);
  other.far.write('a turn of the loop that reads');
  await told(other.stream, 'a turn of the loop that reads');
  t.same(taker.taken, []);
  thaw(near);
  near.resume();
  await told(taker.taken, 'meanwhile');
  t.same(stream, []);
});

void t.test('the end and errors reach the stream', async (t) => {
  const ended = await pair(t);
  const taker = new Taker(Infinity);
  new HandleReader().attach(ended.near, taker);
  const end = once(ended.near, 'end');
  ended.far.end('last words');
  await end;
  t.equal(textOf(taker.taken), 'last words');
  const reset = await pair(t);
  new HandleReader().attach(reset.near, new Taker(Infinity));
  const failure = once(reset.near, 'error');
  reset.far.resetAndDestroy();
  t.match(await failure, [{ code: 'ECONNRESET' }]);
});

void t.test('a listener may end the connection, or read no further, with bytes left', async (t) => {
  const destroyed = await pair(t);
  new HandleReader().attach(destroyed.near, {
    onRead(): number {
      destroyed.near.destroy();
      return 1;
    },
  });
  const close = once(destroyed.near, 'close');
  destroyed.far.write('two');
  t.same(await close, [false], 'no error');
  t.same(destroyed.stream, []);
  const paused = await pair(t);
  new HandleReader().attach(paused.near, {
    onRead(): number {
      paused.near.pause();
      return 1;
    },
  });
  paused.far.write('two');
  await waitFor('the rest to wait', () => paused.near.readableLength === 2);
  paused.near.resume();
  await told(paused.stream, 'wo');
});

void t.test('a socket that is closed already is left alone', async (t) => {
  const { near } = await pair(t);
  near.destroy();
  await once(near, 'close');
  new HandleReader().attach(near, new Taker(0));
  t.ok(near.destroyed);
});
