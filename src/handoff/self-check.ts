// Whether this Node and this ws let a connection be taken from one socket and put under another in the middle of a message:
// tried on a connection of our own before any client's.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { track } from '../gateway/frame-tracker.ts';
import { WebSocketHandshake } from '../gateway/websocket-handshake.ts';
import { messageOf } from '../util/errors.ts';
import { freeze, hasEnded, socketOver } from '../util/native-handle.ts';
import { pause } from '../util/pause.ts';

const TIMEOUT_MS = 2000;
const AGREED = { subprotocol: '', compresses: false };
/** A text message in two frames with a zero mask, cut within the second one. */
const MESSAGE = Buffer.from([0x01, 0x82, 0, 0, 0, 0, 0x68, 0x6f, 0x80, 0x82, 0, 0, 0, 0, 0x6c, 0x64]);
const CUT_AT = 12;
const EXPECTED = 'hold';

/** Why connections cannot be moved here; empty when they can. */
export async function selfCheck(): Promise<string> {
  const path = join(tmpdir(), `holdfast-check-${randomBytes(6).toString('hex')}.sock`);
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  const made: { destroy(): void }[] = [];
  let timer: NodeJS.Timeout | undefined;
  try {
    server.listen(path);
    await once(server, 'listening');
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const near = connect(path);
    made.push(near);
    near.on('error', () => undefined);
    const far = await accepted;
    made.push(far);
    // Before the end: a process that is killed now leaves nothing behind.
    rmSync(path, { force: true });
    const tooLong = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve('the message did not come'), TIMEOUT_MS);
    });
    return await Promise.race([tryMove(near, far, made), tooLong]);
  } catch (error) {
    return messageOf(error);
  } finally {
    clearTimeout(timer);
    for (const socket of made) socket.destroy();
    server.close();
    rmSync(path, { force: true });
  }
}

async function tryMove(near: Socket, far: Socket, made: { destroy(): void }[]): Promise<string> {
  const handshake = new WebSocketHandshake({
    maxMessageBytes: 1024,
    closeTimeoutMs: 100,
    maxDecompressedBytes: undefined,
  });
  const tracker = track(far);
  const first = handshake.adopt(far, Buffer.alloc(0), AGREED);
  if (first === undefined) return 'ws does not take up a connection';
  first.on('error', () => undefined);
  const begun = once(far, 'data');
  near.write(MESSAGE.subarray(0, CUT_AT));
  first.resume();
  await begun;
  first.pause();
  const handle = freeze(far);
  if (handle === undefined || hasEnded(far)) return 'a socket has no handle';
  near.write(MESSAGE.subarray(CUT_AT));
  // It has its turns to read what it must not read.
  await pause(5);
  if (tracker.messages > 0 || far.read() !== null) return 'a frozen socket reads on';
  const second = socketOver(handle);
  made.push(second);
  track(second);
  const adopted = handshake.adopt(second, tracker.tail(), AGREED);
  if (adopted === undefined) return 'ws does not take up a moved connection';
  adopted.on('error', () => undefined);
  const message = once(adopted, 'message');
  adopted.resume();
  const [data] = (await message) as unknown[];
  return Buffer.isBuffer(data) && data.toString() === EXPECTED ? '' : 'a message came out wrong';
}
