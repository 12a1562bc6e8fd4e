import t from 'tap';
import { Flusher } from '../../../src/connection/flusher.ts';
import type { Subscription } from '../../../src/connection/subscription.ts';
import type { Batch } from '../../../src/hub/batch.ts';
import { HubChannel } from '../../../src/hub/channel.ts';
import { FanOut } from '../../../src/hub/fan-out.ts';
import { serveBatch } from '../../../src/hub/serving.ts';
import { jsonCodec } from '../../../src/protocol/json-codec.ts';
import { protobufCodec } from '../../../src/protocol/protobuf-codec.ts';
import { FakeTransport } from '../../helpers/fake-transport.ts';
import { LoneConnections, wire } from '../../helpers/lone-connection.ts';
import { published, subscription } from '../../helpers/subscriptions.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const codecs = { json: jsonCodec, protobuf: protobufCodec };

class Stage {
  readonly all = new LoneConnections();
  readonly flusher = new Flusher();
  readonly order: Subscription[] = [];
  serve: (which: Subscription, batch: Batch) => void = (which) => this.order.push(which);
  readonly fanOut = new FanOut({
    flusher: this.flusher,
    codecs,
    serve: (which, batch) => this.serve(which, batch),
    onPassDone: () => undefined,
  });

  channel(name: string, members: number): HubChannel {
    const channel = new HubChannel(name);
    // Where nothing is written one connection can stand for all.
    const connection = this.all.live();
    for (let n = 0; n < members; n += 1) channel.members.add(subscription(connection, { channel: name }));
    return channel;
  }

  publish(channel: HubChannel, data: unknown): void {
    const before = channel.pendingBytes;
    channel.add(published(data));
    this.fanOut.addPendingBytes(channel.pendingBytes - before);
    this.fanOut.enqueue(channel);
  }
}

function spin(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

t.test('a large channel does not hold up a small one', async (t) => {
  const stage = new Stage();
  const large = stage.channel('large', 5_000);
  const small = stage.channel('small', 1);
  const [last] = small.members;
  stage.publish(large, 1);
  stage.publish(small, 1);
  await waitFor('all deliveries', () => stage.order.length === 5_001);
  const place = last === undefined ? -1 : stage.order.indexOf(last);
  t.ok(place >= 0 && place <= 128, `the small channel came after ${place} deliveries of the large one`);
  t.strictSame(
    stage.order.filter((each) => each !== last),
    [...large.members],
    'whose order stayed',
  );
  t.equal(stage.fanOut.addPendingBytes(0), 0);
  t.notOk(large.queued || small.queued);
});

t.test('what is published while a large channel is being delivered does not wait for it', async (t) => {
  const stage = new Stage();
  const large = stage.channel('large', 2_000);
  const small = stage.channel('small', 1);
  const [last] = small.members;
  const { serve } = stage;
  stage.serve = (which, batch) => {
    spin(0.05);
    serve(which, batch);
  };
  stage.publish(large, 1);
  await waitFor('a slice', () => stage.order.length > 0);
  const before = stage.order.length;
  t.ok(before < 2_000, 'there is more to deliver');
  stage.publish(small, 1);
  await waitFor('all deliveries', () => stage.order.length === 2_001);
  t.equal(last === undefined ? -1 : stage.order.indexOf(last), before);
});

t.test('what comes of serving a channel is delivered, too', async (t) => {
  const stage = new Stage();
  const first = stage.channel('first', 1);
  const second = stage.channel('second', 1);
  const { serve } = stage;
  stage.serve = (which, batch) => {
    serve(which, batch);
    if (first.members.has(which)) stage.publish(second, 1);
  };
  stage.publish(first, 1);
  await waitFor('both deliveries', () => stage.order.length === 2);
  t.notOk(first.queued || second.queued);
});

t.test('small channels without end do not keep a large one waiting', async (t) => {
  const stage = new Stage();
  const large = stage.channel('large', 1_000);
  const small = Array.from({ length: 128 }, (_, n) => stage.channel(`small ${n}`, 1));
  let served = 0;
  stage.serve = (which) => {
    if (large.members.has(which)) served += 1;
    // More than a slice holds.
    else spin(0.05);
  };
  let refilling: NodeJS.Immediate | undefined;
  const refill = (): void => {
    for (const channel of small) if (!channel.queued) stage.publish(channel, 1);
    refilling = setImmediate(refill);
  };
  t.teardown(() => clearImmediate(refilling));
  refill();
  stage.publish(large, 1);
  await waitFor('the large one', () => served === 1_000);
  t.ok(
    small.some((channel) => channel.queued || channel.sequence > 1),
    'the small ones had more to deliver',
  );
});

t.test('many large channels take turns', async (t) => {
  const stage = new Stage();
  const channels = Array.from({ length: 4 }, (_, n) => stage.channel(`c${n}`, 1_000));
  for (const channel of channels) stage.publish(channel, 1);
  await waitFor('all deliveries', () => stage.order.length === 4_000);
  const firsts = channels.map((channel) => stage.order.findIndex((each) => channel.members.has(each)));
  t.ok(Math.max(...firsts) <= 4 * 64, `first deliveries at ${firsts.join(', ')}`);
});

t.test('other work of the event loop gets its turn between slices', async (t) => {
  const stage = new Stage();
  const turns: number[] = [];
  stage.serve = (which) => {
    spin(0.1);
    stage.order.push(which);
  };
  let ended = false;
  const otherWork = (): void => {
    turns.push(stage.order.length);
    if (!ended) setImmediate(otherWork);
  };
  setImmediate(otherWork);
  stage.publish(stage.channel('large', 1_000), 1);
  await waitFor('all deliveries', () => stage.order.length === 1_000);
  ended = true;
  const slices = turns.map((sofar, index) => sofar - (turns[index - 1] ?? 0));
  t.ok(Math.max(...slices) <= 64, `${Math.max(...slices)} deliveries of 0.1 ms in one go`);
});

t.test(
  'what comes in one turn leaves in one frame and one write, later things follow in order',
  async (t) => {
    const stage = new Stage();
    stage.serve = (which, batch) =>
      serveBatch({ codecs, counters: { delivered: 0 }, onInsufficientState: () => undefined }, which, batch);
    const all = new LoneConnections({ flusher: stage.flusher });
    const connection = all.live(new FakeTransport());
    const transport = wire(connection);
    const writesBefore = transport.writes.length;
    const channel = new HubChannel('ch');
    channel.members.add(subscription(connection));
    for (const n of [1, 2, 3]) stage.publish(channel, n);
    await waitFor('the first three', () => transport.pushes.length === 3);
    t.equal(transport.writes.length, writesBefore + 1);
    t.equal(transport.frames.at(-1)?.length, 3);
    for (const n of [4, 5]) stage.publish(channel, n);
    await waitFor('the others', () => transport.pushes.length === 5);
    t.strictSame(
      transport.pushes.map(({ pub }) => Object(pub).data),
      [1, 2, 3, 4, 5],
    );
  },
);

t.test('what is published while it is being delivered comes afterwards', async (t) => {
  const stage = new Stage();
  const channel = stage.channel('c', 200);
  const seen = new Map<Subscription, unknown[]>();
  let published2 = false;
  stage.serve = (which, batch) => {
    const data = batch.items.map(
      ({ event }) => event.kind === 'publication' && event.publication.data.toString(),
    );
    seen.set(which, [...(seen.get(which) ?? []), ...data]);
    if (published2 || seen.size < 100) return;
    published2 = true;
    stage.publish(channel, 2);
  };
  stage.publish(channel, 1);
  await waitFor('both', () => [...seen.values()].filter(({ length }) => length === 2).length === 200);
  t.ok([...seen.values()].every((data) => data.join() === '1,2'));
  t.equal(stage.fanOut.addPendingBytes(0), 0);
});
