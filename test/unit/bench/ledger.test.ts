import t from 'tap';
import { Ledger, emptyTally } from '../../bench/load/ledger.ts';
import { encodePayload, findMark, keyAt, sequenceAt, streamKey, timeUsAt } from '../../bench/load/payload.ts';

const KEY = streamKey(2, 7);

function after(sequences: readonly number[], key = KEY): { lost: number } & ReturnType<typeof emptyTally> {
  const tally = emptyTally();
  const ledger = new Ledger(tally, [7]);
  for (const sequence of sequences) ledger.record(key, sequence);
  return { ...tally, lost: ledger.lost(new Map([[KEY, 5]])) };
}

void t.test('every fault is told from the others', async (t) => {
  const good = { delivered: 5, repeated: 0, reordered: 0, stray: 0, lost: 0 };
  t.same(after([1, 2, 3, 4, 5]), good);
  t.same(after([1, 2, 4, 5]), { ...good, delivered: 4, lost: 1 }, 'lost in the middle');
  t.same(after([2, 3, 4, 5]), { ...good, delivered: 4, lost: 1 }, 'lost at the start');
  t.same(after([1, 2, 3, 4]), { ...good, delivered: 4, lost: 1 }, 'lost at the end');
  t.same(after([]), { ...good, delivered: 0, lost: 5 }, 'nothing came');
  t.same(after([1, 2, 2, 3, 4, 5]), { ...good, repeated: 1 });
  t.same(after([1, 3, 2, 4, 5]), { ...good, reordered: 1 });
  t.same(after([1, 3, 2, 2, 4, 5]), { ...good, reordered: 1, repeated: 1 });
  t.same(after([1, Number.NaN, 2, 3, 4, 5]), { ...good, stray: 1 }, 'damaged');
  t.same(after([1], streamKey(2, 8)), { ...good, delivered: 0, stray: 1, lost: 5 }, 'of another channel');
});

void t.test('a big hole is remembered within bounds', async (t) => {
  const tally = emptyTally();
  const ledger = new Ledger(tally, [7]);
  ledger.record(KEY, 50_000);
  ledger.record(KEY, 40_000);
  t.equal(tally.repeated, 1, 'beyond the bound a late one is not told from a repeat');
  t.equal(ledger.lost(new Map([[KEY, 50_000]])), 49_999);
});

void t.test('a payload has its size and its fields', async (t) => {
  const text = encodePayload(streamKey(12, 345), 6789, 123_456_789_012.7, 100);
  t.equal(Buffer.byteLength(text), 100);
  t.same(Object.keys(JSON.parse(text)), ['k', 'pad']);
  const bytes = Buffer.from(`{"push":{"channel":"c000345","pub":{"data":${text}}}}`);
  const mark = findMark(bytes, 0, bytes.length);
  t.equal(keyAt(bytes, mark), streamKey(12, 345));
  t.equal(sequenceAt(bytes, mark), 6789);
  t.equal(timeUsAt(bytes, mark), 123_456_789_012);
  t.equal(findMark(Buffer.from('{"id":1,"connect":{}}'), 0, 21), -1);
  t.throws(() => encodePayload(KEY, 123_456_789, 0, 100), 'a number too wide');
});
