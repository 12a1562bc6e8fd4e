// What a worker publishes while a stored publication of its own is on its way: it is held here, and never overtakes.
// Against a peer that speaks the engine's protocol and answers when the test says so.
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { MemoryEngineClient } from '../../../src/engine/memory/engine-client.ts';
import { FrameDecoder } from '../../../src/engine/memory/frame-decoder.ts';
import { FrameReader } from '../../../src/engine/frame-reader.ts';
import { FrameWriter } from '../../../src/engine/frame-writer.ts';
import { FrameType, MAX_FRAME_BYTES } from '../../../src/engine/memory/wire.ts';
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

  /** A stored publication: delivered, and then answered. */
  land(id: number, offset: number, text: string): void {
    this.send((writer) => {
      writer.begin(FrameType.delivery, 0).string('room').f64(offset).f64(0).string('e').u8(0).u8(0);
      writer.raw(Buffer.from(text)).end();
      writer.begin(FrameType.answer, id).f64(offset).string('e').u8(0).end();
    });
  }

  /** A publication of another worker. */
  pass(text: string): void {
    this.send((writer) => {
      const frame = writer.begin(FrameType.plain, 0).string('room').f64(1).f64(1).f64(0);
      frame.u8(0).raw(Buffer.from(text));
      writer.end();
    });
  }

  texts(): readonly string[] {
    return this.seen.map(({ text }) => text);
  }

  /** The id of the publication, as soon as it is there. */
  async idOf(text: string): Promise<number> {
    const request = await waitFor(`'${text}' at the engine`, () =>
      this.seen.find((each) => each.text === text),
    );
    return request.id;
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

type State = 'shared' | 'exclusive';

const STATES: readonly State[] = ['shared', 'exclusive'];

/** A client that is subscribed to one channel. */
async function setUp(
  scope: Scope,
  state: State,
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
  await client.broker.subscribe('room');
  if (state === 'exclusive') {
    fake.send((writer) => writer.begin(FrameType.offer, 0).string('room').end());
    await waitFor('exclusivity', () => client.stats.exclusiveChannels === 1);
  }
  return { fake, client, events };
}

const draft = (text: string): { data: Buffer } => ({ data: Buffer.from(text) });

for (const state of STATES) {
  /** What the engine is told of plain publications, in this state. */
  const told = (...texts: readonly string[]): readonly string[] => (state === 'shared' ? texts : []);

  t.test(`${state}: held until the stored one has come back, then delivered here`, async (t) => {
    const { fake, client, events } = await setUp(t, state);
    await client.broker.publish('room', draft('be0'), PLAIN);
    const storing = Promise.resolve(client.broker.publish('room', draft('st1'), KEPT));
    await client.broker.publish('room', draft('he2'), PLAIN);
    await client.broker.publishJoin('room', { user: 'u', client: 'he3' });
    await client.broker.publishLeave('room', { user: 'u', client: 'he4' });
    const id = await fake.idOf('st1');
    fake.pass('ot5');
    await events.untilText('room', 'ot5');
    t.same(events.texts('room'), ['be0', 'ot5'], 'nobody else waits for it');
    fake.land(id, 1, 'st1');
    await storing;
    await events.until('room', 6);
    t.same(events.texts('room'), ['be0', 'ot5', 'st1', 'he2', 'he3', 'he4']);
    await client.broker.publish('room', draft('af6'), PLAIN);
    await events.untilText('room', 'af6');
    await client.broker.publish('other', draft('end'), PLAIN);
    await fake.idOf('end');
    const plain = fake.texts().filter((text) => text !== 'st1');
    t.same(plain, [...told('be0', 'he2', 'he3', 'he4', 'af6'), 'end'], 'sent to the others once, at once');
  });

  t.test(`${state}: each waits for the stored ones before it, not for those after it`, async (t) => {
    const { fake, client, events } = await setUp(t, state);
    const storing: Promise<unknown>[] = [];
    for (const round of [0, 1, 2]) {
      storing.push(Promise.resolve(client.broker.publish('room', draft(`st${String(round)}`), KEPT)));
      await client.broker.publish('room', draft(`he${String(round)}`), PLAIN);
    }
    const ids = [await fake.idOf('st0'), await fake.idOf('st1'), await fake.idOf('st2')];
    fake.land(ids[0] ?? 0, 1, 'st0');
    await events.until('room', 2);
    t.same(events.texts('room'), ['st0', 'he0']);
    // Both in one read of the worker.
    fake.land(ids[1] ?? 0, 2, 'st1');
    fake.land(ids[2] ?? 0, 3, 'st2');
    await Promise.all(storing);
    await events.until('room', 6);
    t.same(events.texts('room'), ['st0', 'he0', 'st1', 'he1', 'st2', 'he2']);
  });

  t.test(`${state}: an answer of another worker does not overtake what it answers to`, async (t) => {
    const { fake, client, events } = await setUp(t, state);
    const storing = Promise.resolve(client.broker.publish('room', draft('st0'), KEPT));
    await client.broker.publish('room', draft('he1'), PLAIN);
    const id = await fake.idOf('st0');
    fake.land(id, 1, 'st0');
    fake.pass('an2');
    await storing;
    await events.until('room', 3);
    t.same(events.texts('room'), ['st0', 'he1', 'an2']);
  });

  t.test(`${state}: one that cannot be sent holds nothing and lets nothing go`, async (t) => {
    const { fake, client, events } = await setUp(t, state);
    const large = { data: Buffer.alloc(MAX_FRAME_BYTES) };
    await t.rejects(async () => client.broker.publish('room', large, KEPT), { code: 'HOLDFAST_TOO_LARGE' });
    await client.broker.publish('room', draft('fr0'), PLAIN);
    await events.untilText('room', 'fr0');
    const storing = Promise.resolve(client.broker.publish('room', draft('st1'), KEPT));
    await client.broker.publish('room', draft('he2'), PLAIN);
    await t.rejects(async () => client.broker.publish('room', large, KEPT), { code: 'HOLDFAST_TOO_LARGE' });
    const id = await fake.idOf('st1');
    fake.pass('ot3');
    await events.untilText('room', 'ot3');
    t.same(events.texts('room'), ['fr0', 'ot3']);
    fake.land(id, 1, 'st1');
    await storing;
    await events.until('room', 4);
    t.same(events.texts('room'), ['fr0', 'ot3', 'st1', 'he2']);
  });

  t.test(`${state}: when the answer does not come, what is held is delivered here`, async (t) => {
    const { fake, client, events } = await setUp(t, state);
    const storing = Promise.resolve(client.broker.publish('room', draft('st0'), KEPT));
    await client.broker.publish('room', draft('he1'), PLAIN);
    await t.rejects(within('a rejection', storing), UnavailableError);
    await events.untilText('room', 'he1');
    await client.broker.publish('room', draft('af2'), PLAIN);
    await events.untilText('room', 'af2');
    t.same(events.texts('room'), ['he1', 'af2']);
    await client.broker.publish('other', draft('end'), PLAIN);
    await fake.idOf('end');
    t.same(fake.texts(), ['st0', ...told('he1', 'af2'), 'end']);
    t.equal(client.stats.exclusiveChannels, state === 'exclusive' ? 1 : 0);
  });

  t.test(`${state}: when the link breaks, what is held is delivered here`, async (t) => {
    const { client, events } = await setUp(t, state);
    const storing = t.rejects(
      async () => client.broker.publish('room', draft('st0'), KEPT),
      UnavailableError,
    );
    await client.broker.publish('room', draft('he1'), PLAIN);
    await client.close();
    await storing;
    t.same(events.texts('room'), ['he1']);
  });

  t.test(`${state}: a nonsensical answer breaks the link and nothing stays held`, async (t) => {
    const { fake, client, events } = await setUp(t, state);
    const storing = Promise.resolve(client.broker.publish('room', draft('st0'), KEPT));
    await client.broker.publish('room', draft('he1'), PLAIN);
    const id = await fake.idOf('st0');
    fake.send((writer) => writer.begin(FrameType.answer, id).u8(1).end());
    await t.rejects(storing, UnavailableError);
    await events.untilInterrupted();
    await client.broker.publish('room', draft('af2'), PLAIN);
    await events.untilText('room', 'af2');
    t.same(
      events.all.map(({ kind, text }) => (kind === 'interruption' ? kind : text)),
      ['he1', 'interruption', 'af2'],
    );
  });

  t.test(`${state}: not more is held than makes sense`, async (t) => {
    const { client } = await setUp(t, state);
    const storing = t.rejects(
      async () => client.broker.publish('room', draft('st0'), KEPT),
      UnavailableError,
    );
    for (let held = 0; held < 10_000; held += 1) void client.broker.publish('room', draft('x'), PLAIN);
    await t.rejects(async () => client.broker.publish('room', draft('x'), PLAIN), UnavailableError);
    await t.rejects(client.broker.publishJoin('room', { user: 'u', client: 'c' }), UnavailableError);
    await client.close();
    await storing;
  });
}

t.test('told to share: what is held stays here, and what follows goes to the others too', async (t) => {
  const { fake, client, events } = await setUp(t, 'exclusive');
  await client.broker.publish('room', draft('lo0'), PLAIN);
  const storing = Promise.resolve(client.broker.publish('room', draft('st1'), KEPT));
  await client.broker.publish('room', draft('he2'), PLAIN);
  fake.send((writer) => writer.begin(FrameType.share, 0).string('room').u32(GRANT).end());
  await waitFor('the confirmation', () => fake.seen.some(({ type }) => type === FrameType.shared));
  t.equal(client.stats.exclusiveChannels, 0);
  await client.broker.publishLeave('room', { user: 'u', client: 'he3' });
  await fake.idOf('he3');
  t.same(
    fake.seen.map(({ type }) => type),
    [FrameType.publish, FrameType.shared, FrameType.leave],
  );
  t.same(events.texts('room'), ['lo0']);
  fake.land(await fake.idOf('st1'), 1, 'st1');
  await storing;
  await events.until('room', 4);
  t.same(events.texts('room'), ['lo0', 'st1', 'he2', 'he3']);
});
