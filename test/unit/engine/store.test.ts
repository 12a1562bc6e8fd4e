// All streams together: what is due goes without being asked for, and counters agree with what is there.
import t from 'tap';
import { ExpiryBuckets } from '../../../src/engine/memory/expiry-buckets.ts';
import { IdempotencyCache } from '../../../src/engine/memory/idempotency.ts';
import { MemoryStore, type StoreOptions } from '../../../src/engine/memory/store.ts';

class ManualClock {
  nowMs = 5000;
  monotonicMs(): number {
    return this.nowMs;
  }
  wallMs(): number {
    return 1_700_000_000_000 + this.nowMs;
  }
}

const OPTIONS: StoreOptions = {
  historySize: 3,
  historyTtlMs: 2000,
  historyMetaTtlMs: 60_000,
  version: 0,
  versionEpoch: '',
  idempotencyKey: '',
  idempotencyTtlMs: 0,
};
const ALL = { limit: -1, sinceOffset: undefined, reverse: false };

function setUp(
  maxIdempotencyKeys?: number,
  maxHistoryBytes?: number,
): { clock: ManualClock; store: MemoryStore } {
  const clock = new ManualClock();
  let epochs = 0;
  const newEpoch = (): string => {
    epochs += 1;
    return `e${String(epochs)}`;
  };
  return { clock, store: new MemoryStore({ clock, newEpoch, maxIdempotencyKeys, maxHistoryBytes }) };
}

t.test('sweeping forgets what is due, and the counters go with it', (t) => {
  const { clock, store } = setUp();
  for (let channel = 0; channel < 100; channel += 1) {
    for (let index = 0; index < 5; index += 1)
      store.publish(`c${String(channel)}`, Buffer.alloc(10), OPTIONS);
  }
  t.equal(store.streams, 100);
  t.equal(store.publications, 300);
  t.equal(store.bytes, 3000);
  clock.nowMs += 1500;
  store.publish('c0', Buffer.alloc(20), OPTIONS);
  store.sweep();
  t.equal(store.publications, 300);
  clock.nowMs += 1500;
  store.sweep();
  t.equal(store.publications, 3, 'only the channel that was used again');
  t.equal(store.bytes, 40);
  clock.nowMs += 2000;
  store.sweep();
  t.equal(store.publications, 0);
  t.equal(store.bytes, 0);
  t.equal(store.streams, 100, 'positions are still there');
  clock.nowMs += 60_000;
  store.sweep();
  t.equal(store.streams, 0);
  t.end();
});

t.test('what is due is not seen even when nobody swept', (t) => {
  const { clock, store } = setUp();
  const { position } = store.publish('c', Buffer.from('1'), OPTIONS);
  clock.nowMs += 2000;
  t.same(store.history('c', ALL, 60_000), { publications: [], top: position });
  clock.nowMs += 60_000;
  const renewed = store.history('c', ALL, 60_000);
  t.not(renewed.top.epoch, position.epoch);
  t.equal(renewed.top.offset, 0);
  t.equal(store.streams, 1);
  t.end();
});

t.test('a stream lives as long as it is used, through many sweeps', (t) => {
  const { clock, store } = setUp();
  const { position } = store.publish('c', Buffer.from('1'), OPTIONS);
  for (let second = 0; second < 300; second += 1) {
    clock.nowMs += 1000;
    store.sweep();
    if (second % 50 === 0) store.history('c', { ...ALL, limit: 0 }, 60_000);
  }
  t.equal(store.streams, 1);
  t.equal(store.publish('c', Buffer.from('2'), OPTIONS).position.epoch, position.epoch);
  clock.nowMs += 61_000 + 2000;
  store.sweep();
  store.sweep();
  t.equal(store.streams, 0);
  t.end();
});

t.test('hands out the publication before, while it is kept', (t) => {
  const { clock, store } = setUp();
  t.equal(store.publish('c', Buffer.from('1'), OPTIONS).previous, undefined);
  t.equal(store.publish('c', Buffer.from('2'), OPTIONS).previous?.body.toString(), '1');
  clock.nowMs += 2000;
  t.equal(store.publish('c', Buffer.from('3'), OPTIONS).previous, undefined);
  store.removeHistory('c');
  t.equal(store.publish('c', Buffer.from('4'), OPTIONS).previous, undefined);
  t.end();
});

t.test('a suppressed publish leaves nothing behind', (t) => {
  const { store } = setUp();
  const keyed = { ...OPTIONS, idempotencyKey: 'k' };
  store.publish('c', Buffer.from('1'), { ...keyed, version: 2 });
  t.equal(store.publish('c', Buffer.from('2'), keyed).suppressed, 'idempotency');
  const stale = store.publish('c', Buffer.from('3'), { ...OPTIONS, version: 1, idempotencyKey: 'other' });
  t.same(stale, { position: { offset: 1, epoch: 'e1' }, suppressed: 'version' });
  t.equal(store.publications, 1);
  const retried = store.publish('c', Buffer.from('4'), { ...OPTIONS, version: 3, idempotencyKey: 'other' });
  t.equal(retried.suppressed, false, 'a key whose publish was dropped is free');
  t.end();
});

t.test('idempotency keys are bounded and go with time', (t) => {
  const { clock, store } = setUp(10);
  for (let index = 0; index < 25; index += 1) {
    store.publish('c', Buffer.from('x'), { ...OPTIONS, historySize: 0, idempotencyKey: String(index) });
  }
  t.equal(store.idempotencyKeys, 10);
  clock.nowMs += 299_000;
  store.sweep();
  t.equal(store.idempotencyKeys, 10, 'five minutes by default');
  clock.nowMs += 1000;
  store.sweep();
  t.equal(store.idempotencyKeys, 0);
  t.end();
});

t.test('idempotency: channel and key are kept apart, a result set again moves to the end', (t) => {
  const cache = new IdempotencyCache(2);
  cache.set('a', 'bc', { offset: 1, epoch: '' }, 100);
  t.equal(cache.get('ab', 'c', 0), undefined);
  t.equal(cache.get('a', 'bc', 99)?.offset, 1);
  t.equal(cache.get('a', 'bc', 100), undefined);
  cache.set('b', 'x', { offset: 2, epoch: '' }, 100);
  cache.set('a', 'bc', { offset: 3, epoch: '' }, 200);
  cache.set('c', 'x', { offset: 4, epoch: '' }, 200);
  t.equal(cache.get('b', 'x', 0), undefined, 'the oldest went');
  t.equal(cache.get('a', 'bc', 0)?.offset, 3);
  cache.expire(150);
  t.equal(cache.size, 2);
  cache.expire(200);
  t.equal(cache.size, 0);
  t.end();
});

t.test('buckets find every item in the second after its deadline, and hold it once', (t) => {
  const buckets = new ExpiryBuckets<string>(0);
  buckets.add('soon', 1500);
  buckets.add('later', 10_000);
  buckets.add('soon', 9000);
  buckets.add('later', 3000);
  buckets.add('past', -5);
  t.equal(buckets.size, 3);
  t.same(buckets.takeDue(0), ['past']);
  t.same(buckets.takeDue(1999), []);
  t.same(buckets.takeDue(2000), ['soon'], 'moving away does not move the item');
  t.same(buckets.takeDue(2999), []);
  t.same(buckets.takeDue(3000), ['later'], 'coming nearer does');
  buckets.add('late', 1);
  t.same(buckets.takeDue(3999), [], 'a bucket that was emptied is not used again');
  t.same(buckets.takeDue(4000), ['late']);
  buckets.add('far', 1e9);
  buckets.add('gone', 1e9);
  buckets.delete('gone');
  buckets.delete('never there');
  t.same(buckets.takeDue(2e9), ['far'], 'after a long pause');
  t.equal(buckets.size, 0);
  t.end();
});

t.test('a limit on memory: who was published to longest ago loses first, and positions stay', async (t) => {
  const { store } = setUp(undefined, 200_000);
  const publish = (channel: string): void => {
    store.publish(channel, Buffer.alloc(4_000), OPTIONS);
  };
  publish('first');
  publish('busy');
  const { top } = store.history('first', ALL, 60_000);
  for (let channel = 0; channel < 100; channel += 1) {
    publish(`c${String(channel)}`);
    publish('busy');
    t.ok(store.historyBytes <= 200_000);
    t.equal(store.history('busy', ALL, 60_000).publications.length > 0, true);
  }
  t.ok(store.evicted > 60);
  t.equal(store.publications, publicationsIn(store), 'counted right');
  t.same(store.history('c99', ALL, 60_000).publications.length, 1);
  t.same(store.history('c50', ALL, 60_000).publications.length, 0);
  t.same(store.history('c50', ALL, 60_000).top.offset, 1, 'the next one is not taken for the first');
  t.same(top.offset, 1);
});

t.test('positions alone may be too many: those not used for longest are forgotten', async (t) => {
  const { store } = setUp(undefined, 20_000);
  const { epoch } = store.history('used', ALL, 60_000).top;
  for (let channel = 0; channel < 100; channel += 1) {
    store.history(`c${String(channel)}`, ALL, 60_000);
    t.equal(store.history('used', ALL, 60_000).top.epoch, epoch);
  }
  t.ok(store.historyBytes <= 20_000);
});

t.test('one channel alone keeps its latest', async (t) => {
  const { store } = setUp(undefined, 20_000);
  store.history('other', ALL, 60_000);
  for (let count = 0; count < 100; count += 1)
    store.publish('one', Buffer.alloc(1_000), { ...OPTIONS, historySize: 1_000 });
  t.ok(store.historyBytes <= 20_000);
  const { publications } = store.history('one', ALL, 60_000);
  t.ok(publications.length > 5);
  t.equal(publications.at(-1)?.offset, 100);
  t.equal(store.streams, 2, 'nobody is forgotten for it');
  store.publish('one', Buffer.alloc(50_000), OPTIONS);
  t.equal(store.history('one', ALL, 60_000).publications.length, 1, 'larger than all: kept alone');
});

function publicationsIn(store: MemoryStore): number {
  const channels = [...Array.from({ length: 100 }, (_, channel) => `c${String(channel)}`), 'busy', 'first'];
  return channels.reduce((sum, name) => sum + store.history(name, ALL, 60_000).publications.length, 0);
}
