// The state of the store survives a move to another process, and damage is noticed.
import t from 'tap';
import { MemoryStore, type StoreOptions } from '../../../src/engine/memory/store.ts';
import { WireError } from '../../../src/engine/wire-error.ts';

class ManualClock {
  readonly #startMs: number;
  readonly #startWallMs: number;
  nowMs = 0;
  constructor(startMs: number, startWallMs: number) {
    this.#startMs = startMs;
    this.#startWallMs = startWallMs;
  }
  monotonicMs(): number {
    return this.#startMs + this.nowMs;
  }
  wallMs(): number {
    return this.#startWallMs + this.nowMs;
  }
}

const OPTIONS: StoreOptions = {
  historySize: 3,
  historyTtlMs: 10_000,
  historyMetaTtlMs: 60_000,
  version: 0,
  versionEpoch: '',
  idempotencyKey: '',
  idempotencyTtlMs: 0,
};
const ALL = { limit: -1, sinceOffset: undefined, reverse: false };

function storeAt(startMs: number, startWallMs: number): { clock: ManualClock; store: MemoryStore } {
  const clock = new ManualClock(startMs, startWallMs);
  let epochs = 0;
  const newEpoch = (): string => {
    epochs += 1;
    return `${String(startMs)}-${String(epochs)}`;
  };
  return { clock, store: new MemoryStore({ clock, newEpoch }) };
}

function filled(): MemoryStore {
  const { store } = storeAt(1000, 50_000);
  for (let index = 0; index < 5; index += 1) store.publish('a', Buffer.from(`a${String(index)}`), OPTIONS);
  store.publish('b', Buffer.alloc(2_000_000, 'b'), { ...OPTIONS, version: 7, versionEpoch: 'v' });
  store.publish('keyed', Buffer.from('k'), { ...OPTIONS, idempotencyKey: 'once' });
  store.history('empty', ALL, 60_000);
  return store;
}

t.test('streams, positions, versions and keys go over, lifetimes go on', (t) => {
  const source = filled();
  const { clock, store } = storeAt(777_000, 53_000);
  store.importState(source.exportState());
  for (const channel of ['a', 'b', 'keyed', 'empty']) {
    t.same(store.history(channel, ALL, 60_000), source.history(channel, ALL, 60_000), channel);
  }
  t.equal(store.streams, 4);
  t.equal(store.publications, source.publications);
  t.equal(store.bytes, source.bytes);
  t.equal(
    store.publish('b', Buffer.from('x'), { ...OPTIONS, version: 7, versionEpoch: 'v' }).suppressed,
    'version',
  );
  t.equal(
    store.publish('keyed', Buffer.from('x'), { ...OPTIONS, idempotencyKey: 'once' }).suppressed,
    'idempotency',
  );
  t.equal(store.publish('a', Buffer.from('a5'), OPTIONS).position.offset, 6);
  t.equal(store.publish('a', Buffer.from('a6'), OPTIONS).previous?.body.toString(), 'a5');
  clock.nowMs = 6999;
  t.equal(store.history('keyed', ALL, 60_000).publications.length, 1);
  clock.nowMs = 7000;
  t.equal(
    store.history('keyed', ALL, 60_000).publications.length,
    0,
    'three of its seconds passed on the way',
  );
  clock.nowMs = 200_000;
  store.sweep();
  t.equal(store.streams, 0);
  t.equal(store.bytes, 0);
  t.end();
});

t.test('what was there before is replaced, channel by channel', (t) => {
  const { store } = storeAt(5, 50_000);
  store.publish('a', Buffer.from('other'), OPTIONS);
  store.publish('mine', Buffer.from('1'), OPTIONS);
  store.importState(filled().exportState());
  t.equal(store.history('a', ALL, 60_000).top.offset, 5);
  t.equal(store.history('mine', ALL, 60_000).publications.length, 1);
  t.equal(store.publications, 3 + 1 + 1 + 1);
  t.end();
});

t.test('a wall clock that was set back prolongs nothing', (t) => {
  const { clock, store } = storeAt(5, 1);
  store.importState(filled().exportState());
  clock.nowMs = 9999;
  t.equal(store.history('a', ALL, 60_000).publications.length, 3);
  clock.nowMs = 10_000;
  t.equal(store.history('a', ALL, 60_000).publications.length, 0);
  t.end();
});

t.test('a state that is cut, doubled or damaged is refused as a whole', (t) => {
  const whole = Buffer.concat([...filled().exportState()]);
  const { store } = storeAt(5, 50_000);
  for (let cut = 0; cut < whole.length; cut += cut < 1000 || cut > 2_000_500 ? 7 : 10_007) {
    t.throws(() => store.importState([whole.subarray(0, cut)]), WireError, `cut at ${String(cut)}`);
  }
  t.throws(() => store.importState([whole, whole]), WireError);
  const versionAt = 8;
  const newer = Buffer.from(whole);
  newer[versionAt] = 2;
  t.throws(() => store.importState([newer]), { message: /version 2/ });
  t.equal(store.streams, 0);
  store.importState(
    Array.from(whole.subarray(0, 100), (byte) => Buffer.from([byte])).concat(whole.subarray(100)),
  );
  t.equal(store.streams, 4);
  t.end();
});

t.test('an empty store has a state too', (t) => {
  const { store } = storeAt(5, 50_000);
  store.importState(storeAt(1, 1).store.exportState());
  t.equal(store.streams, 0);
  t.end();
});
