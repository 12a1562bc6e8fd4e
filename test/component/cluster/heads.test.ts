// Peers that speak slowly, too much, nonsense or not at all never reach a worker.
import { createServer } from 'node:net';
import { once } from 'node:events';
import t from 'tap';
import {
  defaultHeadLimits,
  HeadReader,
  type HeadLimits,
} from '../../../src/cluster/admission/head-reader.ts';
import type { RequestHead } from '../../../src/cluster/admission/request-head.ts';
import { refuse } from '../../../src/cluster/admission/refusal.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { portOf } from '../../helpers/port-of.ts';
import { handshake, RawSocket } from '../../helpers/raw-socket.ts';
import type { Scope } from '../../helpers/scope.ts';
import { waitFor } from '../../helpers/wait-for.ts';

interface Door {
  readonly port: number;
  readonly reader: HeadReader;
  readonly heads: { readonly head: RequestHead; readonly bytes: Buffer }[];
  readonly refusals: string[];
}

async function openDoor(scope: Scope, limits: Partial<HeadLimits> = {}): Promise<Door> {
  const heads: Door['heads'] = [];
  const refusals: string[] = [];
  const reader = new HeadReader(
    {
      clock: systemClock,
      onRefused: (reason) => refusals.push(reason),
      onHead: (socket, head, bytes) => {
        heads.push({ head, bytes });
        refuse(socket, { status: 503, reason: 'seen' });
      },
    },
    { ...defaultHeadLimits, ...limits },
  );
  const server = createServer({ allowHalfOpen: true }, (socket) => reader.accept(socket)).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  scope.teardown(() => {
    reader.close();
    server.close();
  });
  return { port: portOf(server), reader, heads, refusals };
}

t.test('a head comes through whole, cut at every byte, with what follows it', async (t) => {
  const door = await openDoor(t);
  const request = Buffer.from(`${handshake()}body\r\n\r\nmore`);
  const headBytes = request.indexOf('\r\n\r\n') + 4;
  for (const cut of [1, 17, headBytes - 3, headBytes - 1, headBytes, headBytes + 1]) {
    const socket = await RawSocket.open(t, door.port);
    socket.write(request.subarray(0, cut));
    await waitFor('it to be pending or done', () => socket.socket.bytesWritten === cut);
    socket.write(request.subarray(cut));
    t.equal(await socket.status(), 503);
  }
  for (const { head, bytes } of door.heads) {
    t.equal(head.upgrade, true);
    t.equal(bytes.compare(request.subarray(0, bytes.length)), 0);
    t.ok(bytes.length >= headBytes);
  }
  t.equal(door.reader.pending, 0);
});

t.test('silence and trickles end at the deadline', async (t) => {
  const door = await openDoor(t, { timeoutMs: 200 });
  const silent = await RawSocket.open(t, door.port);
  const slow = await RawSocket.open(t, door.port);
  const trickle = setInterval(() => slow.write('G'), 20);
  t.teardown(() => clearInterval(trickle));
  t.equal(await silent.status(), 408);
  t.equal(await slow.status(), 408);
  await silent.closed();
  await slow.closed();
  t.equal(door.reader.pending, 0);
  t.equal(door.heads.length, 0);
});

t.test('a head without an end is too large', async (t) => {
  const door = await openDoor(t);
  const socket = await RawSocket.open(t, door.port);
  socket.write(`GET / HTTP/1.1\r\nX: ${'x'.repeat(16_384)}`);
  t.equal(await socket.status(), 431);
  await socket.closed();
});

t.test('garbage is refused at once', async (t) => {
  const door = await openDoor(t);
  for (const garbage of ['\x16\x03\x01\x02\x00', '{"id":1}', 'HELLO\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n']) {
    const socket = await RawSocket.open(t, door.port);
    socket.write(garbage);
    t.equal(await socket.status(), 400);
    await socket.closed();
  }
  t.equal(door.refusals.length, 4);
});

t.test('a peer that ends or resets before its head leaves nothing', async (t) => {
  const door = await openDoor(t);
  const ending = await RawSocket.open(t, door.port);
  const resetting = await RawSocket.open(t, door.port);
  await waitFor('both to be pending', () => door.reader.pending === 2);
  ending.socket.end('GET / HT');
  resetting.reset();
  await waitFor('none to be pending', () => door.reader.pending === 0);
  await ending.closed();
});

t.test('when there are too many the oldest goes', async (t) => {
  const door = await openDoor(t, { maxPending: 2 });
  const sockets = [];
  for (let count = 1; count <= 3; count++) {
    sockets.push(await RawSocket.open(t, door.port));
    await waitFor('it to be accepted', () => door.reader.pending === Math.min(count, 2));
  }
  await sockets[0]?.closed();
  sockets[2]?.write(handshake());
  t.equal(await sockets[2]?.status(), 503);
  t.same(door.refusals, ['too many unfinished request heads']);
});

t.test('a closed reader takes nobody', async (t) => {
  const door = await openDoor(t);
  const early = await RawSocket.open(t, door.port);
  await waitFor('it to be pending', () => door.reader.pending === 1);
  door.reader.close();
  await early.closed();
  const late = await RawSocket.open(t, door.port);
  await late.closed();
});
