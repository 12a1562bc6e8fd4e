// One stream: positions, size, reading, expiry, versions.
import t from 'tap';
import { type AppendOptions, Stream } from '../../../src/engine/memory/stream.ts';

const OPTIONS: AppendOptions = {
  historySize: 5,
  historyTtlMs: 1000,
  historyMetaTtlMs: 10_000,
  version: 0,
  versionEpoch: '',
};

function filled(count: number, historySize = 5): Stream {
  const stream = new Stream('e');
  for (let offset = 1; offset <= count; offset += 1) {
    stream.append(Buffer.from(String(offset)), offset, { ...OPTIONS, historySize }, 0);
  }
  return stream;
}

const offsets = (stream: Stream, limit: number, sinceOffset?: number, reverse = false): number[] =>
  stream.read({ limit, sinceOffset, reverse }).map(({ offset }) => offset);

t.test('reads agree with a list of everything, for every filter', (t) => {
  for (const count of [0, 1, 4, 5, 6, 12, 200]) {
    const stream = filled(count);
    const kept = Array.from(
      { length: Math.min(count, 5) },
      (_, index) => count - Math.min(count, 5) + index + 1,
    );
    t.equal(stream.top, count);
    t.equal(stream.length, kept.length);
    for (const limit of [-1, 0, 1, 3, 5, 99]) {
      const cut = (list: number[]): number[] => (limit < 0 ? list : list.slice(0, limit));
      t.same(offsets(stream, limit), cut(kept));
      t.same(offsets(stream, limit, undefined, true), cut(kept.toReversed()));
      for (const since of [0, 1, count - 6, count - 5, count - 2, count - 1, count, count + 1, 1e9]) {
        if (since < 0) continue;
        const newer = kept.filter((offset) => offset > since);
        const older = kept.filter((offset) => offset < since).toReversed();
        t.same(offsets(stream, limit, since), cut(newer), `${String(count)} > ${String(since)}`);
        t.same(offsets(stream, limit, since, true), cut(older), `${String(count)} < ${String(since)}`);
      }
    }
  }
  t.end();
});

t.test('counts the bytes that are kept', (t) => {
  const stream = new Stream('e');
  for (let length = 1; length <= 100; length += 1) stream.append(Buffer.alloc(length), 0, OPTIONS, 0);
  t.equal(stream.bytes, 96 + 97 + 98 + 99 + 100);
  stream.append(Buffer.alloc(1), 0, { ...OPTIONS, historySize: 2 }, 0);
  t.equal(stream.bytes, 101, 'a smaller size drops more than one');
  stream.clear();
  t.equal(stream.bytes, 0);
  t.equal(stream.length, 0);
  t.equal(stream.last(), undefined);
  t.equal(stream.top, 101);
  t.end();
});

t.test('knows the last publication', (t) => {
  const stream = filled(7);
  t.equal(stream.last()?.offset, 7);
  t.equal(stream.last()?.body.toString(), '7');
  t.end();
});

t.test('publications expire together, after the last one came; the position outlives them', (t) => {
  const stream = new Stream('e');
  stream.append(Buffer.from('a'), 0, OPTIONS, 0);
  t.equal(stream.nextExpiryMs, 1000);
  stream.append(Buffer.from('b'), 0, OPTIONS, 900);
  t.equal(stream.nextExpiryMs, 1900);
  t.notOk(stream.expire(1899));
  t.equal(stream.length, 2);
  t.notOk(stream.expire(1900));
  t.equal(stream.length, 0);
  t.equal(stream.nextExpiryMs, 10_900, 'then the position is next');
  stream.touch(10_000, 5000);
  t.notOk(stream.expire(14_999));
  t.ok(stream.expire(15_000));
  t.end();
});

t.test('the position does not go before the publications', (t) => {
  const stream = new Stream('e');
  stream.append(Buffer.from('a'), 0, { ...OPTIONS, historyMetaTtlMs: 10 }, 0);
  t.notOk(stream.expire(999));
  t.equal(stream.length, 1);
  t.ok(stream.expire(1000));
  t.end();
});

t.test('takes newer versions only, per version epoch', (t) => {
  const stream = new Stream('e');
  const append = (version: number, versionEpoch = ''): number | undefined =>
    stream.append(Buffer.from('x'), 0, { ...OPTIONS, version, versionEpoch }, 0)?.offset;
  t.equal(append(5), 1);
  t.equal(append(5), undefined);
  t.equal(append(4), undefined);
  t.equal(append(0), 2, 'without a version nothing is compared');
  t.equal(append(5), undefined);
  t.equal(append(6), 3);
  t.equal(append(1, 'b'), 4);
  t.equal(append(1, 'b'), undefined);
  t.equal(append(7), 5, 'going back to an epoch starts it anew');
  t.equal(stream.top, 5);
  t.end();
});
