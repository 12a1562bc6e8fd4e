// What comes is brought to the listener in order and without gaps, or the listener is told.
import t, { type Test } from 'tap';
import type { HistoryResult } from '../../../../src/engine/broker.ts';
import { Channels } from '../../../../src/engine/redis/channels.ts';
import type { ChannelEntry } from '../../../../src/engine/redis/channel-entry.ts';
import type { ChannelMessage } from '../../../../src/engine/redis/messages.ts';
import { Recording } from '../../../contract/engine-under-test.ts';
import { waitFor } from '../../../helpers/wait-for.ts';

const EPOCH = 'e1';

function stored(offset: number, epoch = EPOCH, bytes = 10): ChannelMessage {
  const publication = { data: Buffer.from(`${epoch} ${offset}`), offset, time: 0 };
  return { news: { kind: 'publication', publication, epoch }, origin: undefined, bytes };
}

function plain(number: number, node = 'other'): ChannelMessage {
  const publication = { data: Buffer.from(`${node} ${number}`), offset: 0, time: 0 };
  const origin = { node, number, mayBeMissing: false };
  return { news: { kind: 'publication', publication, epoch: '' }, origin, bytes: 10 };
}

/** A stream in Redis, as far as it is kept. */
class FakeStream {
  epoch = EPOCH;
  offsets: number[] = [];
  top = 0;
  reads = 0;
  failures = 0;
  /** The next read waits for it. */
  gate: Promise<unknown> = Promise.resolve();

  keep(from: number, to: number): void {
    this.offsets = Array.from({ length: to - from + 1 }, (_, index) => from + index);
    this.top = to;
  }

  async read(since: number, limit: number): Promise<HistoryResult> {
    this.reads += 1;
    await this.gate;
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('away');
    }
    const found = this.offsets.filter((offset) => offset > since).slice(0, limit);
    return {
      publications: found.map((offset) => ({
        data: Buffer.from(`${this.epoch} ${offset}`),
        offset,
        time: 0,
      })),
      top: { offset: this.top, epoch: this.epoch },
    };
  }
}

function setUp(t: Test) {
  const stream = new FakeStream();
  const events = new Recording();
  const channels = new Channels({
    node: 'me',
    listener: events,
    logger: undefined,
    read: (_channel, since, limit) => stream.read(since, limit),
  });
  t.teardown(() => channels.close());
  const entry: ChannelEntry = channels.add('room');
  entry.state = 'live';
  const take = (...messages: readonly ChannelMessage[]): void => {
    for (const message of messages) channels.onMessage('room', message);
  };
  const isTold = (): boolean => events.all.some(({ kind }) => kind === 'interruption');
  return { stream, events, channels, entry, take, isTold, texts: () => events.texts('room') };
}

const offsets = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `${EPOCH} ${from + index}`);

t.test('in order they pass, without a look at the stream', async (t) => {
  const { take, texts, stream } = setUp(t);
  take(stored(4), stored(5), stored(6));
  t.same(texts(), offsets(4, 6));
  t.equal(stream.reads, 0);
});

t.test('a gap is read from the stream before anything goes on', async (t) => {
  const { take, texts, stream, channels, events } = setUp(t);
  stream.keep(1, 6);
  take(stored(1), stored(4), stored(5), stored(6));
  t.same(texts(), offsets(1, 1), 'what came after the gap waits');
  t.equal(channels.heldBytes, 30);
  await events.until('room', 6);
  take(stored(7));
  t.same(texts(), offsets(1, 7), 'nothing twice');
  t.match(channels.counters, { gaps: 1, repaired: 5, repairs: 1, interruptions: 0 });
  t.equal(channels.heldBytes, 0);
});

t.test('a gap behind a gap, and one of more than a page', async (t) => {
  const { take, texts, stream, events, channels } = setUp(t);
  stream.keep(1, 2);
  take(stored(1), stored(3), stored(1200));
  stream.keep(1, 1200);
  await events.until('room', 1200);
  t.same(texts(), offsets(1, 1200));
  t.ok(channels.counters.gaps >= 1);
  t.ok(stream.reads >= 3, 'in pages');
});

t.test('what was trimmed shows as a gap to subscribers, not to us', async (t) => {
  const { take, texts, stream, events } = setUp(t);
  stream.keep(5, 8);
  take(stored(1), stored(8));
  await events.until('room', 5);
  t.same(texts(), [...offsets(1, 1), ...offsets(5, 8)]);
});

t.test('a stream that is empty, or of another epoch: subscribers are told', async (t) => {
  for (const epoch of [EPOCH, 'e2']) {
    const { take, texts, stream, channels, isTold } = setUp(t);
    stream.epoch = epoch;
    stream.top = 9;
    take(stored(1), stored(9));
    await waitFor('it to be told', isTold);
    t.same(texts(), [...offsets(1, 1), ...offsets(9, 9)]);
    t.equal(channels.counters.interruptions, 1);
  }
});

t.test('a stream that cannot be read is tried again', async (t) => {
  const { take, texts, stream, events, isTold } = setUp(t);
  stream.keep(1, 3);
  stream.failures = 2;
  take(stored(1), stored(3));
  await events.until('room', 3);
  t.same(texts(), offsets(1, 3));
  t.notOk(isTold());
  t.equal(stream.reads, 3);
});

t.test('a new epoch goes on at once', async (t) => {
  const { take, texts, stream } = setUp(t);
  take(stored(5), stored(1, 'e2'), stored(2, 'e2'));
  t.same(texts(), ['e1 5', 'e2 1', 'e2 2']);
  t.equal(stream.reads, 0);
});

t.test('a stream that went back without a new epoch: delivered, and told', async (t) => {
  const { take, texts, isTold } = setUp(t);
  take(stored(5), stored(3));
  t.same(texts(), ['e1 5', 'e1 3']);
  t.ok(isTold());
});

t.test('what was on its way when following began is passed on, and moves nothing back', async (t) => {
  const { take, texts, channels, stream } = setUp(t);
  channels.began('room', { offset: 5, epoch: EPOCH });
  take(stored(4), stored(5), stored(6));
  t.same(texts(), offsets(4, 6));
  t.equal(stream.reads, 0);
});

t.test('after an outage the stream is read, and what came meanwhile waits', async (t) => {
  const { take, texts, stream, channels, events, isTold } = setUp(t);
  take(stored(1));
  channels.lost('room');
  take(stored(4));
  stream.keep(1, 4);
  t.same(texts(), offsets(1, 1));
  channels.back('room');
  await events.until('room', 4);
  t.same(texts(), offsets(1, 4));
  t.notOk(isTold());
  t.match(channels.counters, { gaps: 0, repairs: 1, repaired: 3 });
});

t.test('after an outage a channel of which nothing is known is told', async (t) => {
  const { channels, isTold, stream } = setUp(t);
  channels.lost('room');
  channels.back('room');
  await waitFor('it to be told', isTold);
  t.equal(stream.reads, 0);
});

t.test('lost again during the repair: the second one counts', async (t) => {
  const { take, texts, stream, channels, events } = setUp(t);
  take(stored(1));
  let open: (() => void) | undefined;
  stream.gate = new Promise<void>((resolve) => (open = resolve));
  channels.lost('room');
  channels.back('room');
  channels.lost('room');
  stream.keep(1, 3);
  channels.back('room');
  open?.();
  await events.until('room', 3);
  t.same(texts(), offsets(1, 3));
});

t.test('what is held is bounded', async (t) => {
  const { take, texts, channels, isTold } = setUp(t);
  take(stored(1));
  channels.lost('room');
  for (let offset = 2; offset < 40; offset += 1) take(stored(offset, EPOCH, 1024 * 1024));
  t.ok(channels.heldBytes <= 33 * 1024 * 1024);
  t.same(texts(), offsets(1, 1));
  channels.back('room');
  await waitFor('it to be told', isTold);
});

t.test('a channel that is left during a repair gets nothing more', async (t) => {
  const { take, texts, stream, channels, entry } = setUp(t);
  stream.keep(1, 3);
  take(stored(1), stored(3));
  channels.remove(entry);
  t.equal(channels.heldBytes, 0);
  await waitFor('the read', () => stream.reads === 1);
  await new Promise((resolve) => setImmediate(resolve));
  t.same(texts(), offsets(1, 1));
  t.equal(channels.size, 0);
});

t.test('before the subscription holds, what comes belongs to an earlier one', async (t) => {
  const { take, texts, entry } = setUp(t);
  entry.state = 'subscribing';
  take(stored(1), plain(1));
  t.same(texts(), []);
});

t.test('what was delivered here without Redis does not come again', async (t) => {
  const { take, texts, channels, entry, events } = setUp(t);
  const own = plain(7, 'me');
  if (own.origin === undefined) throw new Error('without an origin');
  channels.deliverLocally(entry, own.origin, own.news);
  await events.until('room', 1);
  take(own, plain(8, 'me'));
  t.same(texts(), ['me 7', 'me 8']);
  t.equal(channels.counters.deliveredLocally, 1);
});

t.test('a listener that fails costs its own delivery only', async (t) => {
  const errors: unknown[] = [];
  const events = new Recording();
  const channels = new Channels({
    node: 'me',
    listener: {
      onPublication: (channel, publication, epoch) => {
        if (publication.offset === 2) throw new Error('a fault');
        events.onPublication(channel, publication, epoch);
      },
      onJoin: () => undefined,
      onLeave: () => undefined,
      onInterruption: () => errors.push('interruption'),
    },
    logger: undefined,
    read: () => Promise.reject(new Error('nobody reads')),
  });
  t.teardown(() => channels.close());
  channels.add('room').state = 'live';
  for (const offset of [1, 2, 3]) channels.onMessage('room', stored(offset));
  t.same(events.texts('room'), ['e1 1', 'e1 3']);
  t.same(errors, []);
});
