// The embedded engine and what its peers do to it: garbage, silence, not reading, asking for too much.
import { rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { MemoryEngineClient } from '../../../src/engine/memory/engine-client.ts';
import { FrameWriter } from '../../../src/engine/frame-writer.ts';
import { FrameType, MAX_FRAME_BYTES, WIRE_VERSION } from '../../../src/engine/memory/wire.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { HoldfastError, UnavailableError } from '../../../src/util/errors.ts';
import type { Scope } from '../../helpers/scope.ts';
import { tempDir } from '../../helpers/temp-dir.ts';
import { waitFor, within } from '../../helpers/wait-for.ts';
import { PLAIN } from '../../contract/broker-contract.ts';
import { Recording } from '../../contract/engine-under-test.ts';
import { startMemoryEngine } from '../../contract/memory-engine.ts';

const KEPT = { historySize: 100, historyTtlMs: 60_000, historyMetaTtlMs: 60_000 };
const ALL = { limit: -1, reverse: false, historyMetaTtlMs: 60_000 };

function open(scope: Scope, path: string): { socket: Socket; isClosed: () => boolean } {
  const state = { closed: false };
  const socket = connect(path)
    // Without reading, the end would not be seen.
    .resume()
    .on('error', () => undefined)
    .on('close', () => {
      state.closed = true;
    });
  scope.teardown(() => socket.destroy());
  return { socket, isClosed: () => state.closed };
}

function frames(write: (writer: FrameWriter) => void): Buffer {
  const writer = new FrameWriter();
  write(writer);
  return Buffer.concat(writer.take());
}

const hello = (writer: FrameWriter, version: number = WIRE_VERSION, node = 'raw-node-0123456789'): number =>
  writer.begin(FrameType.hello, 1).u8(version).string(node).u8(0).end();

t.test('bad frames end their own link and no other', async (t) => {
  const engine = await startMemoryEngine(t);
  const a = await engine.client();
  await a.broker.subscribe('room');
  const bad: readonly (readonly [string, Buffer])[] = [
    ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a length of 4 GB', Buffer.alloc(64, 0xff)],
    ['nothing but zeros', Buffer.alloc(64)],
    ['no hello first', frames((writer) => writer.begin(FrameType.ping, 1).end())],
    ['hello twice', frames((writer) => (hello(writer), hello(writer)))],
    ['hello without a name', frames((writer) => hello(writer, WIRE_VERSION, ''))],
    ['an unknown type', frames((writer) => (hello(writer), writer.begin(200, 1).end()))],
    [
      'a field cut short',
      frames((writer) => (hello(writer), writer.begin(FrameType.subscribe, 1).u32(99).end())),
    ],
  ];
  for (const [what, bytes] of bad) {
    const { socket, isClosed } = open(t, engine.path);
    socket.write(bytes);
    await waitFor(`the link to end after ${what}`, isClosed);
  }
  await waitFor('all links but one to be gone', () => engine.server.stats.links === 1);
  t.equal(engine.server.stats.linksCut, bad.length);
  await a.broker.publish('room', { data: Buffer.from('x') }, PLAIN);
  await a.events.untilText('room', 'x');
});

t.test('a node of another protocol version is told so', async (t) => {
  const engine = await startMemoryEngine(t);
  const { socket } = open(t, engine.path);
  socket.write(frames((writer) => hello(writer, 99)));
  const answer = await within('an answer', new Promise<Buffer>((resolve) => socket.once('data', resolve)));
  t.match(answer.toString(), /99/);
});

t.test('a node that links again takes its name over', async (t) => {
  const engine = await startMemoryEngine(t);
  const first = open(t, engine.path);
  first.socket.write(frames((writer) => hello(writer)));
  await waitFor('the first link', () => engine.server.stats.links === 1);
  const second = open(t, engine.path);
  second.socket.write(frames((writer) => hello(writer)));
  await waitFor('the first link to end', first.isClosed);
  await waitFor('one link', () => engine.server.stats.links === 1);
  t.notOk(second.isClosed());
});

t.test('a worker that does not read costs its limit, is cut, and comes back', async (t) => {
  const maxQueuedBytes = 1024 * 1024;
  const engine = await startMemoryEngine(t, { maxQueuedBytes });
  const [a, reader] = [await engine.client(), await engine.client()];
  const { socket, isClosed } = open(t, engine.path);
  socket.write(
    frames((writer) => (hello(writer), writer.begin(FrameType.subscribe, 2).string('room').u8(0).end())),
  );
  socket.pause();
  await reader.broker.subscribe('room');
  await waitFor(
    'both subscriptions',
    () => engine.server.stats.channels === 1 && engine.server.stats.links === 3,
  );
  const data = Buffer.alloc(50_000);
  let sent = 0;
  await waitFor('the link to be cut', async () => {
    await a.broker.publish('room', { data }, PLAIN);
    sent += 1;
    t.ok(engine.server.stats.queuedBytes < 3 * maxQueuedBytes, 'bounded');
    return engine.server.stats.linksCut === 1;
  });
  socket.resume();
  await waitFor('the worker to see it', isClosed);
  await reader.events.until('room', sent);
  t.equal(reader.engineClient.stats.interruptions, 0, 'the other one lost nothing');
});

t.test('answers wait for a worker that does not read, and it is not cut for them', async (t) => {
  const engine = await startMemoryEngine(t, { maxQueuedBytes: 20 * 1024 * 1024 });
  const a = await engine.client();
  const data = Buffer.alloc(500_000, 'z');
  for (let index = 0; index < 4; index += 1) await a.broker.publish('kept', { data }, KEPT);
  const { socket, isClosed } = open(t, engine.path);
  socket.pause();
  const requests = 60;
  socket.write(
    frames((writer) => {
      hello(writer);
      for (let id = 2; id < 2 + requests; id += 1) {
        writer.begin(FrameType.history, id).string('kept').u8(0).f64(-1).f64(-1).f64(60_000).end();
      }
    }),
  );
  await waitFor('answers to wait', () => engine.server.stats.queuedBytes > 8 * 1024 * 1024);
  t.ok(engine.server.stats.queuedBytes < 12 * 1024 * 1024);
  let received = 0;
  socket.on('data', (chunk) => {
    received += chunk.length;
  });
  socket.resume();
  await waitFor('all answers', () => received > requests * 4 * data.length);
  t.notOk(isClosed());
  t.equal(engine.server.stats.linksCut, 0);
});

t.test('a history of many megabytes comes in parts', async (t) => {
  const engine = await startMemoryEngine(t);
  const [a, b] = [await engine.client(), await engine.client()];
  for (let index = 0; index < 20; index += 1) {
    await a.broker.publish('kept', { data: Buffer.alloc(1_000_000, index) }, KEPT);
  }
  const { publications, top } = await b.broker.history('kept', ALL);
  t.equal(top.offset, 20);
  t.equal(publications.length, 20);
  t.ok(publications.every(({ data }, index) => data.length === 1_000_000 && data[999_999] === index));
});

t.test('an answer beyond all measure fails, the link stays', async (t) => {
  const engine = await startMemoryEngine(t);
  const a = await engine.client();
  const data = Buffer.alloc(4 * 1024 * 1024);
  for (let index = 0; index < 10; index += 1) await a.broker.publish('kept', { data }, KEPT);
  await t.rejects(a.broker.history('kept', ALL), { code: 'HOLDFAST_ENGINE', message: /too large/ });
  t.equal((await a.broker.history('kept', { ...ALL, limit: 2 })).publications.length, 2);
  t.equal(a.engineClient.stats.interruptions, 0);
});

t.test('a publication larger than a frame is refused before it is sent', async (t) => {
  const engine = await startMemoryEngine(t);
  const a = await engine.client();
  const data = Buffer.alloc(MAX_FRAME_BYTES);
  await t.rejects(async () => a.broker.publish('room', { data }, PLAIN), HoldfastError);
  await t.rejects(async () => a.broker.publish('room', { data }, KEPT), HoldfastError);
  await a.broker.subscribe('room');
  await a.broker.publish('room', { data: Buffer.from('x') }, PLAIN);
  await a.events.untilText('room', 'x');
  t.same(a.events.texts('room'), ['x']);
});

t.test('an exclusive holder that does not let go is cut', async (t) => {
  const engine = await startMemoryEngine(t);
  const { socket, isClosed } = open(t, engine.path);
  socket.write(
    frames((writer) => (hello(writer), writer.begin(FrameType.subscribe, 2).string('solo').u8(1).end())),
  );
  await waitFor('the holder', () => engine.server.stats.channels === 1);
  const a = await engine.client();
  await t.rejects(within('a rejection', a.broker.subscribe('solo')), UnavailableError);
  const attempt = a.broker.subscribe('solo');
  await engine.elapse(5000);
  attempt.catch(() => undefined);
  await waitFor('the holder to be cut', isClosed);
  await waitFor('the subscription', async () =>
    a.broker.subscribe('solo').then(
      () => true,
      () => false,
    ),
  );
  await a.broker.publish('solo', { data: Buffer.from('x') }, PLAIN);
  await a.events.untilText('solo', 'x');
});

t.test('an engine that takes links and never answers', async (t) => {
  const path = join(await tempDir(t), 'silent.sock');
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => sockets.add(socket.on('error', () => undefined).resume()));
  await new Promise<void>((resolve) => silent.listen(path, resolve));
  t.teardown(() => {
    silent.close();
    for (const socket of sockets) socket.destroy();
  });
  const client = new MemoryEngineClient({
    clock: systemClock,
    random: Math.random,
    path,
    node: 'raw-node-0123456789',
    listener: new Recording(),
  });
  await t.rejects(within('a rejection', client.connect(300)), UnavailableError);
  await client.close();
});

t.test('an engine that stops answering and reading: requests fail in time, memory is bounded', async (t) => {
  const path = join(await tempDir(t), 'stalled.sock');
  const sockets = new Set<Socket>();
  const stalled = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    // Answers the hello and reads no more.
    socket.once('data', () => {
      socket.pause();
      socket.write(frames((writer) => writer.begin(FrameType.answer, 1).end()));
    });
  });
  await new Promise<void>((resolve) => stalled.listen(path, resolve));
  t.teardown(() => {
    stalled.close();
    for (const socket of sockets) socket.destroy();
  });
  const client = new MemoryEngineClient({
    clock: systemClock,
    random: Math.random,
    path,
    node: 'raw-node-0123456789',
    listener: new Recording(),
    maxQueuedBytes: 1024 * 1024,
  });
  t.teardown(() => client.close());
  await client.connect();
  const attempts: readonly Promise<unknown>[] = [
    client.broker.subscribe('room'),
    client.broker.history('room', ALL),
    Promise.resolve(client.broker.publish('room', { data: Buffer.from('x') }, KEPT)),
    client.presence.add('room', { user: 'u', client: 'c' }),
    client.nodes.survey('x', 1, 100),
    client.ping(),
  ];
  for (const attempt of attempts) await t.rejects(within('a rejection', attempt), UnavailableError);
  t.equal(client.stats.channels, 0);
  t.equal(client.stats.presenceEntries, 0);
  const refused = await waitFor('a publish to be refused', () =>
    Promise.resolve(client.broker.publish('room', { data: Buffer.alloc(50_000) }, PLAIN)).then(
      () => false,
      (error: unknown) => error,
    ),
  );
  t.ok(refused instanceof UnavailableError);
  t.ok(client.stats.queuedBytes < 2 * 1024 * 1024);
  t.ok(client.stats.failedRequests >= attempts.length);
});

t.test('an engine that answers nonsense is linked anew', async (t) => {
  const path = join(await tempDir(t), 'nonsense.sock');
  let links = 0;
  const mad = createServer((socket) => {
    links += 1;
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')));
  });
  await new Promise<void>((resolve) => mad.listen(path, resolve));
  t.teardown(() => mad.close());
  const client = new MemoryEngineClient({
    clock: systemClock,
    random: () => 0,
    path,
    node: 'raw-node-0123456789',
    listener: new Recording(),
  });
  const connecting = t.rejects(client.connect(), UnavailableError);
  await waitFor('another attempt', () => links > 2);
  await client.close();
  await connecting;
});

t.test('the socket is private, a stale one is replaced, and nothing is left behind', async (t) => {
  const engine = await startMemoryEngine(t);
  t.equal((await stat(engine.path)).mode & 0o777, 0o600);
  await engine.server.close();
  await engine.server.close();
  await t.rejects(stat(engine.path), { code: 'ENOENT' });
  await writeFile(engine.path, '');
  await engine.start();
  await engine.client();
  await engine.stop();
  await rm(engine.path, { force: true });
});

t.test('an engine that cannot listen says so', async (t) => {
  const engine = await startMemoryEngine(t);
  const other = await startMemoryEngine(t, { path: join(engine.path, 'not-a-directory.sock') }).catch(
    (error: unknown) => error,
  );
  t.ok(other instanceof Error);
});

t.test('a listener that throws costs its own delivery only', async (t) => {
  const engine = await startMemoryEngine(t);
  const a = await engine.client();
  const record = a.events.onPublication.bind(a.events);
  a.events.onPublication = (...delivery) => {
    record(...delivery);
    throw new Error('a bug in the listener');
  };
  a.events.onJoin = () => {
    throw new Error('a bug in the listener');
  };
  await a.broker.subscribe('room');
  await a.broker.publishJoin('room', { user: 'u', client: 'c' });
  for (let index = 0; index < 20; index += 1) {
    await a.broker.publish('room', { data: Buffer.from(String(index)) }, PLAIN);
  }
  await a.events.until('room', 20);
  t.equal(a.engineClient.stats.interruptions, 0);
});

t.test('ping measures the way there and back', async (t) => {
  const engine = await startMemoryEngine(t);
  const a = await engine.client();
  t.ok((await a.engineClient.ping()) > 0);
  await a.close();
  await t.rejects(a.engineClient.ping(), UnavailableError);
});

t.test('ten thousand channels survive an interruption', async (t) => {
  const engine = await startMemoryEngine(t);
  const a = await engine.client();
  const channels = Array.from({ length: 10_000 }, (_, index) => `channel-${String(index)}`);
  await Promise.all(channels.map((channel) => a.broker.subscribe(channel)));
  await Promise.all(
    channels.slice(0, 1000).map((channel) => a.presence.add(channel, { user: 'u', client: channel })),
  );
  await engine.stop();
  await engine.start();
  await a.events.untilInterrupted();
  t.equal(engine.server.stats.channels, 10_000);
  t.equal(engine.server.stats.presenceEntries, 1000);
  await a.broker.publish('channel-9999', { data: Buffer.from('x') }, PLAIN);
  await a.events.untilText('channel-9999', 'x');
});
