// The load generator must catch a server that loses, repeats, swaps or misdirects: here one that does it on purpose.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type Server, type Socket, createServer } from 'node:net';
import t, { type Test } from 'tap';
import { LoadGroup } from '../../bench/load/group.ts';
import type { Assignment, SettleResult, WindowResult } from '../../bench/load/orders.ts';

const SUBSCRIBERS = 4;
const PUBLICATIONS = 40;

/** Gets what one publication is to become on one connection, and what the connection has been sent already. */
type Fault = (frame: Buffer, count: number, connection: number) => readonly Buffer[];

function frameOf(text: string): Buffer {
  const payload = Buffer.from(text);
  const head =
    payload.length < 126
      ? Buffer.from([0x81, payload.length])
      : Buffer.from([0x81, 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, payload]);
}

/** The texts of the complete client frames in `bytes`, and what is left over. */
function parse(bytes: Buffer): { texts: string[]; rest: Buffer } {
  const texts: string[] = [];
  let at = 0;
  while (bytes.length - at >= 2) {
    let length = (bytes[at + 1] ?? 0) & 0x7f;
    const maskAt = length === 126 ? at + 4 : at + 2;
    if (length === 126) {
      if (bytes.length - at < 4) break;
      length = bytes.readUInt16BE(at + 2);
    }
    const start = maskAt + 4;
    if (bytes.length < start + length) break;
    const body = bytes
      .subarray(start, start + length)
      .map((byte, i) => byte ^ (bytes[maskAt + (i & 3)] ?? 0));
    texts.push(Buffer.from(body).toString());
    at = start + length;
  }
  return { texts, rest: bytes.subarray(at) };
}

/** Speaks the bare dialect and treats what it delivers as `fault` says. */
async function faultyServer(fault: Fault): Promise<Server> {
  const subscribers: { socket: Socket; channel: string; count: number }[] = [];
  function onText(socket: Socket, text: string): void {
    const message: { s?: string; p?: string; d?: unknown } = JSON.parse(text);
    if (message.s !== undefined) {
      subscribers.push({ socket, channel: message.s, count: 0 });
      socket.write(frameOf(text));
      return;
    }
    const frame = frameOf(JSON.stringify({ c: message.p, d: message.d }));
    for (const [index, subscriber] of subscribers.entries()) {
      if (subscriber.channel !== message.p) continue;
      subscriber.count++;
      for (const out of fault(frame, subscriber.count, index)) subscriber.socket.write(out);
    }
  }
  const server = createServer({ noDelay: true }, (socket) => {
    let bytes = Buffer.alloc(0);
    let upgraded = false;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (!upgraded) {
        const key = /Sec-WebSocket-Key: (.*)\r\n/.exec(bytes.toString())?.[1] ?? '';
        const accept = createHash('sha1')
          .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest('base64');
        upgraded = true;
        bytes = Buffer.alloc(0);
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        );
        return;
      }
      const { texts, rest } = parse(bytes);
      bytes = Buffer.from(rest);
      for (const text of texts) onText(socket, text);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function run(t: Test, fault: Fault, burst = 1): Promise<SettleResult & WindowResult> {
  const server = await faultyServer(fault);
  const group = new LoadGroup({ firstPublisher: 0, onProgress: () => undefined });
  const publisher = new LoadGroup({ firstPublisher: 0, onProgress: () => undefined });
  t.teardown(() => {
    group.close();
    publisher.close();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const assignment: Assignment = {
    channelBase: 0,
    channelCount: 2,
    subscribersPerChannel: 2,
    firstSubscription: 0,
    channelsEach: 1,
  };
  const open = {
    op: 'open',
    target: { host: '127.0.0.1', port },
    localAddress: '127.0.0.1',
    dialect: 'bare',
    perSecond: 0,
    atOnce: 10,
  } as const;
  await group.open({ ...open, count: SUBSCRIBERS, assignment });
  await publisher.open({ ...open, count: 1, assignment: { ...assignment, channelsEach: 0 } });
  group.mark();
  const { published } = await publisher.publish({
    op: 'publish',
    channels: [0, 1],
    perSecond: 1000,
    burst,
    durationMs: PUBLICATIONS,
    sizeBytes: 100,
    jitter: false,
  });
  return group.settle({ op: 'settle', published, patienceMs: 200 });
}

// Each channel has two subscribers and gets half of the publications.
const EXPECTED = (PUBLICATIONS / 2) * SUBSCRIBERS;
const SOUND = { delivered: EXPECTED, lost: 0, repeated: 0, reordered: 0, stray: 0 };

void t.test('a sound server is found sound', async (t) => {
  const result = await run(t, (frame) => [frame]);
  t.match(result, SOUND);
  t.equal(result.deliveries, EXPECTED);
  t.equal(
    result.latencies.counts.reduce((total, [, count]) => total + count, 0),
    EXPECTED,
    'every delivery has a latency',
  );
});

void t.test('bursts arrive as they were sent', async (t) => {
  t.match(await run(t, (frame) => [frame], 5), SOUND);
});

void t.test('messages joined in one frame are told apart', async (t) => {
  const held = new Map<number, Buffer>();
  const result = await run(t, (frame, count, connection) => {
    const text = frame.subarray(4);
    if (count % 2 === 1) {
      held.set(connection, Buffer.from(text));
      return [];
    }
    // An answer between them, as a server may put it there, hides neither.
    return [frameOf(`${held.get(connection)?.toString() ?? ''}\n{"s":"c"}\n${text.toString()}`)];
  });
  t.match(result, SOUND);
});

void t.test('one that is lost', async (t) => {
  t.match(await run(t, (frame, count, connection) => (count === 7 && connection === 1 ? [] : [frame])), {
    ...SOUND,
    delivered: EXPECTED - 1,
    lost: 1,
  });
});

void t.test('the last one lost', async (t) => {
  t.match(await run(t, (frame, count) => (count === PUBLICATIONS / 2 ? [] : [frame])), {
    ...SOUND,
    delivered: EXPECTED - SUBSCRIBERS,
    lost: SUBSCRIBERS,
  });
});

void t.test('one that is repeated', async (t) => {
  const result = await run(t, (frame, count, connection) =>
    count === 20 && connection === 0 ? [frame, frame] : [frame],
  );
  t.match(result, { ...SOUND, repeated: 1 });
});

void t.test('two that are swapped', async (t) => {
  let held: Buffer | undefined;
  const result = await run(t, (frame, count, connection) => {
    if (connection !== 2) return [frame];
    if (count === 5) {
      held = frame;
      return [];
    }
    return count === 6 && held !== undefined ? [frame, held] : [frame];
  });
  t.match(result, { ...SOUND, reordered: 1 });
});

function misdirected(frame: Buffer): Buffer {
  return Buffer.from(frame.toString('latin1').replace('@000000', '@000999'), 'latin1');
}

function damaged(frame: Buffer): Buffer {
  return Buffer.from(frame.toString('latin1').replace('@0', '@?'), 'latin1');
}

void t.test('one of a channel that was never asked for, and one with a damaged number', async (t) => {
  t.match(
    await run(t, (frame, count, connection) =>
      count === 3 && connection === 0 ? [frame, misdirected(frame), damaged(frame)] : [frame],
    ),
    { ...SOUND, stray: 2 },
  );
});

void t.test('frames cut into single bytes', async (t) => {
  const result = await run(t, (frame) => Array.from(frame, (byte) => Buffer.from([byte])));
  t.match(result, SOUND);
});

void t.test('a message that says something else ends the run', async (t) => {
  await t.rejects(
    run(t, (frame, count) => (count === 4 ? [frameOf('{"error":"no"}')] : [frame])),
    /unexpected message/,
  );
});

void t.test('a connection that the server closes ends the run', async (t) => {
  const close = Buffer.from([0x88, 2, 0x0b, 0xb9]);
  await t.rejects(
    run(t, (frame, count) => (count === 4 ? [close] : [frame])),
    /closed by the server: 3001/,
  );
});
