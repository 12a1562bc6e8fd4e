// What a client sends while it waits, over a real socket: kept up to a limit, and the rest stays where it is.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { WaitingRoom } from '../../../src/cluster/admission/waiting-room.ts';
import { freeze, socketOver } from '../../../src/util/native-handle.ts';
import { portOf } from '../../helpers/port-of.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const SENT_BYTES = 400_000;
const LIMIT_BYTES = 65_536;

t.test('who sends more than is kept loses nothing of it', async (t) => {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  server.on('connection', (each: Socket) => t.teardown(() => each.destroy()));
  const client = connect(portOf(server), '127.0.0.1');
  t.teardown(() => client.destroy());
  const socket = await accepted;

  const room = new WaitingRoom();
  const head = { method: 'GET', target: '/', upgrade: true, sid: '', requestId: undefined, forwardedFor: '' };
  room.add({ socket, head, bytes: Buffer.alloc(0), returning: false, key: '' }, 0, 1);
  const sent = Buffer.alloc(SENT_BYTES);
  for (let at = 0; at < SENT_BYTES; at += 4) sent.writeUInt32LE(at, at);
  client.write(sent);
  await waitFor('the limit', () => room.moreBytes >= LIMIT_BYTES);
  // Others are served meanwhile: it has its turns to read what it must not read.
  for (let turn = 0; turn < 10; turn += 1) {
    const other = connect(portOf(server), '127.0.0.1');
    await Promise.all([once(server, 'connection'), once(other, 'connect')]);
    other.destroy();
  }
  const waiting = room.next();
  t.ok(waiting !== undefined);
  if (waiting === undefined) return;
  // As it goes to a worker: the bytes that were read, and the handle for the rest.
  const handle = freeze(socket);
  t.ok(handle !== undefined);
  if (handle === undefined) return;
  const next = socketOver(handle);
  t.teardown(() => next.destroy());
  const received = [waiting.bytes];
  next.on('data', (chunk: Buffer) => received.push(chunk));
  next.resume();
  client.end();
  await once(next, 'end');
  t.ok(Buffer.concat(received).equals(sent));
});
