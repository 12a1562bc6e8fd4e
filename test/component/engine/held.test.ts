// An exclusive channel while a stored publication is on its way: what follows it is held, and never overtakes. Against a
// peer that speaks the engine's protocol and answers when the test says so.
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { MemoryEngineClient } from '../../../src/engine/memory/engine-client.ts';
import { FrameDecoder } from '../../../src/engine/memory/frame-decoder.ts';
import { FrameReader } from '../../../src/engine/frame-reader.ts';
import { FrameWriter } from '../../../src/engine/frame-writer.ts';
import { FrameType } from '../../../src/engine/memory/wire.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { UnavailableError } from '../../../src/util/errors.ts';
import type { Scope } from '../../helpers/scope.ts';
import { tempDir } from '../../helpers/temp-dir.ts';
import { waitFor, within } from '../../helpers/wait-for.ts';
import { PLAIN } from '../../contract/broker-contract.ts';
import { Recording } from '../../contract/engine-under-test.ts';

const KEPT = { historySize: 10, historyTtlMs: 60_000, historyMetaTtlMs: 60_000 };
const GRANT = 9;

/** Answers hello and subscribe, grants what is asked for, and keeps everything else for the test. */
class FakeEngine {
  /** Types of the frames that were not answered, with their last field as text. */
  readonly seen: { type: number; id: number; text: string }[] = [];
  #socket: Socket | undefined;

  serve(socket: Socket): void {
    this.#socket = socket;
    const frame = new FrameReader();
    const decoder = new FrameDecoder(frame);
    socket
      .on('error', () => undefined)
      .on('data', (chunk) => {
        decoder.push(chunk);
        while (decoder.next()) this.#take(frame);
      });
  }

  send(write: (writer: FrameWriter) => void): void {
    const writer = new FrameWriter();
    write(writer);
    this.#socket?.write(Buffer.concat(writer.take()));
  }

  #take(frame: FrameReader): void {
    const { type, id } = frame;
    if (type === FrameType.hello) {
      this.send((writer) => writer.begin(FrameType.answer, id).end());
    } else if (type === FrameType.subscribe) {
      frame.string();
      const grant = frame.u8() === 0 ? 0 : GRANT;
      this.send((writer) => writer.begin(FrameType.answer, id).u32(grant).end());
    } else {
      const text = frame.rest().toString('latin1').slice(-3).replaceAll('\0', '');
      this.seen.push({ type, id, text });
    }
  }
}

async function setUp(
  scope: Scope,
): Promise<{ fake: FakeEngine; client: MemoryEngineClient; events: Recording }> {
  const path = join(await tempDir(scope), 'fake.sock');
  const fake = new FakeEngine();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    fake.serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  scope.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const events = new Recording();
  const client = new MemoryEngineClient({
    clock: systemClock,
    random: Math.random,
    path,
    node: 'raw-node-0123456789',
    listener: events,
  });
  scope.teardown(() => client.close());
  await client.connect();
  await client.broker.subscribe('solo');
  fake.send((writer) => writer.begin(FrameType.offer, 0).string('solo').end());
  await waitFor('exclusivity', () => client.stats.exclusiveChannels === 1);
  return { fake, client, events };
}

const draft = (text: string): { data: Buffer } => ({ data: Buffer.from(text) });

t.test('held until the stored one has come back, then delivered here', async (t) => {
  const { fake, client, events } = await setUp(t);
  const storing = client.broker.publish('solo', draft('st0'), KEPT);
  await client.broker.publish('solo', draft('he1'), PLAIN);
  await client.broker.publishJoin('solo', { user: 'u', client: 'he2' });
  const request = await waitFor('the stored one at the engine', () => fake.seen[0]);
  t.same(events.texts('solo'), []);
  fake.send((writer) => {
    writer.begin(FrameType.delivery, 0).string('solo').f64(1).f64(0).string('e').u8(0).u8(0);
    writer.raw(Buffer.from('st0')).end();
    writer.begin(FrameType.answer, request.id).f64(1).string('e').u8(0).end();
  });
  await storing;
  await events.until('solo', 3);
  t.same(events.texts('solo'), ['st0', 'he1', 'he2']);
  t.same(fake.seen.slice(1), [], 'the engine saw nothing else');
});

t.test('told to share, what is held follows the stored one, and the confirmation follows both', async (t) => {
  const { fake, client, events } = await setUp(t);
  await client.broker.publish('solo', draft('lo0'), PLAIN);
  const storing = t.rejects(client.broker.publish('solo', draft('st1'), KEPT), UnavailableError);
  await client.broker.publish('solo', draft('he2'), PLAIN);
  await client.broker.publishLeave('solo', { user: 'u', client: 'he3' });
  fake.send((writer) => writer.begin(FrameType.share, 0).string('solo').u32(GRANT).end());
  await waitFor('the confirmation', () => fake.seen.some(({ type }) => type === FrameType.shared));
  t.same(
    fake.seen.map(({ type }) => type),
    [FrameType.publish, FrameType.plain, FrameType.leave, FrameType.shared],
  );
  t.same(
    fake.seen.slice(0, 3).map(({ text }) => text),
    ['st1', 'he2', 'he3'],
  );
  t.same(events.texts('solo'), ['lo0'], 'what was published before was delivered before');
  await client.close();
  await storing;
});

t.test('a second stored one does not overtake what is held', async (t) => {
  const { fake, client } = await setUp(t);
  const first = t.rejects(client.broker.publish('solo', draft('st0'), KEPT), UnavailableError);
  await client.broker.publish('solo', draft('he1'), PLAIN);
  const second = t.rejects(client.broker.publish('solo', draft('st2'), KEPT), UnavailableError);
  await waitFor('all three at the engine', () => fake.seen.length === 3);
  t.same(
    fake.seen.map(({ text }) => text),
    ['st0', 'he1', 'st2'],
  );
  await client.close();
  await Promise.all([first, second]);
});

t.test(
  'when the answer does not come, what is held goes through the engine, and so does all that follows',
  async (t) => {
    const { fake, client, events } = await setUp(t);
    const storing = client.broker.publish('solo', draft('st0'), KEPT);
    await client.broker.publish('solo', draft('he1'), PLAIN);
    await t.rejects(within('a rejection', storing), UnavailableError);
    await client.broker.publish('solo', draft('af2'), PLAIN);
    await waitFor('all three at the engine', () => fake.seen.length === 3);
    t.same(
      fake.seen.map(({ text }) => text),
      ['st0', 'he1', 'af2'],
    );
    t.equal(client.stats.exclusiveChannels, 0);
    t.same(events.texts('solo'), []);
  },
);

t.test('when the link breaks, what is held is delivered here', async (t) => {
  const { client, events } = await setUp(t);
  const storing = t.rejects(client.broker.publish('solo', draft('st0'), KEPT), UnavailableError);
  await client.broker.publish('solo', draft('he1'), PLAIN);
  await client.close();
  await storing;
  t.same(events.texts('solo'), ['he1']);
});

t.test('not more is held than makes sense', async (t) => {
  const { client } = await setUp(t);
  const storing = t.rejects(client.broker.publish('solo', draft('st0'), KEPT), UnavailableError);
  for (let held = 0; held < 10_000; held += 1) void client.broker.publish('solo', draft('x'), PLAIN);
  await t.rejects(client.broker.publish('solo', draft('x'), PLAIN), UnavailableError);
  await t.rejects(client.broker.publishJoin('solo', { user: 'u', client: 'c' }), UnavailableError);
  await client.close();
  await storing;
});
