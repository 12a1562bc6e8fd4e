// Writing past the stream, against real sockets: the private parts of Node that it stands on must behave like this under
// every supported version.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { HandleWriter, type WritableHandle, writableHandleOf } from '../../../src/util/native-handle.ts';
import { deferred } from '../../helpers/deferred.ts';
import { type SocketPair, socketPair } from '../../helpers/socket-pair.ts';

interface Pair extends SocketPair {
  readonly handle: WritableHandle;
}

/** More than two socket buffers hold. */
const FLOOD = Buffer.alloc(16_777_216, 'f');

async function pair(t: Test): Promise<Pair> {
  const { near, far } = await socketPair(t);
  const handle = writableHandleOf(near);
  if (handle === undefined) throw new Error('no handle');
  return { near, handle, far };
}

async function read(far: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sum = 0;
  for await (const chunk of far) {
    if (!Buffer.isBuffer(chunk)) throw new Error('no bytes');
    chunks.push(chunk);
    sum += chunk.length;
    if (sum >= bytes) break;
  }
  return Buffer.concat(chunks);
}

/** Resolves with what `onWritten` was told. */
function listener(): { onWritten(isTaken: boolean): void; readonly told: Promise<boolean> } {
  const told = deferred<boolean>();
  return { onWritten: told.resolve, told: told.promise };
}

const NEVER = {
  onWritten(): void {
    throw new Error('nothing was left pending');
  },
};

void t.test('what the kernel takes at once needs no answer, and is counted', async (t) => {
  const { near, handle, far } = await pair(t);
  const writer = new HandleWriter();
  for (const word of ['one ', 'two ', 'three']) {
    t.equal(writer.write(handle, Buffer.from(word), NEVER), 'taken');
  }
  t.equal((await read(far, 13)).toString(), 'one two three');
  t.equal(near.bytesWritten, 13);
  t.equal(near.writableLength, 0);
});

void t.test('what it does not take is told of when it has, and other writes go on meanwhile', async (t) => {
  const writer = new HandleWriter();
  const slow = await pair(t);
  const quick = await pair(t);
  const slowly = listener();
  t.equal(writer.write(slow.handle, FLOOD, slowly), 'pending');
  t.ok(slow.handle.writeQueueSize > 0 && slow.handle.writeQueueSize < FLOOD.length, 'a part waits');
  t.equal(writer.write(quick.handle, Buffer.from('quick'), NEVER), 'taken');
  t.equal((await read(quick.far, 5)).toString(), 'quick');
  const received = await read(slow.far, FLOOD.length);
  t.equal(await slowly.told, true);
  t.ok(received.equals(FLOOD));
  t.equal(slow.handle.writeQueueSize, 0);
});

void t.test('what is written through the socket meanwhile stands behind it', async (t) => {
  const { near, handle, far } = await pair(t);
  const writer = new HandleWriter();
  const first = listener();
  t.equal(writer.write(handle, FLOOD, first), 'pending');
  near.write('through the socket ');
  const last = listener();
  t.equal(writer.write(handle, Buffer.from('past it'), last), 'pending');
  const all = await read(far, FLOOD.length + 26);
  t.same([await first.told, await last.told], [true, true]);
  t.equal(all.subarray(FLOOD.length).toString(), 'through the socket past it');
});

void t.test('bytes that wait are kept though nobody else holds them', async (t) => {
  const { handle, far } = await pair(t);
  const writer = new HandleWriter();
  const done = listener();
  t.equal(writer.write(handle, Buffer.alloc(FLOOD.length, 'k'), done), 'pending');
  // Memory that is let go would be used again by these.
  for (let i = 0; i < 50; i++) Buffer.alloc(1_000_000, i);
  const received = await read(far, FLOOD.length);
  t.equal(await done.told, true);
  t.ok(received.equals(Buffer.alloc(FLOOD.length, 'k')));
});

void t.test('what waits at the end of the socket is told of as never taken', async (t) => {
  const { near, handle } = await pair(t);
  const writer = new HandleWriter();
  const done = listener();
  t.equal(writer.write(handle, FLOOD, done), 'pending');
  near.destroy();
  t.equal(await done.told, false);
});

void t.test('a socket that is closed, or whose peer is gone, fails', async (t) => {
  const writer = new HandleWriter();
  const closed = await pair(t);
  closed.near.destroy();
  t.equal(writer.write(closed.handle, Buffer.from('too late'), NEVER), 'failed', 'while it closes');
  await once(closed.near, 'close');
  t.equal(writer.write(closed.handle, Buffer.from('too late'), NEVER), 'failed', 'when it is closed');
  t.equal(writableHandleOf(closed.near), undefined);
  const reset = await pair(t);
  reset.near.on('error', () => undefined);
  reset.far.resetAndDestroy();
  await new Promise((resolve) => reset.near.once('close', resolve));
  t.equal(writer.write(reset.handle, Buffer.from('too late'), NEVER), 'failed', 'after a reset');
  const other = await pair(t);
  t.equal(writer.write(other.handle, Buffer.from('well'), NEVER), 'taken', 'the next one is not concerned');
  t.equal((await read(other.far, 4)).toString(), 'well');
});
