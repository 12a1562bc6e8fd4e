import t from 'tap';
import { charge, fullBucket, takeToken, TokenBucket } from '../../../src/util/token-bucket.ts';

function takenAt(bucket: TokenBucket, nowMs: number, attempts: number): number {
  let taken = 0;
  for (let n = 0; n < attempts; n += 1) if (bucket.take(nowMs)) taken += 1;
  return taken;
}

t.test('a full bucket allows its burst and then the rate', async (t) => {
  const bucket = new TokenBucket(10, 5, 1_000);
  t.equal(takenAt(bucket, 1_000, 100), 5);
  t.equal(takenAt(bucket, 1_099, 100), 0);
  t.equal(takenAt(bucket, 1_100, 100), 1);
  t.equal(takenAt(bucket, 1_350, 100), 2, 'parts of tokens are kept');
  t.equal(takenAt(bucket, 1_400, 100), 1);
});

t.test('idle time fills it to the burst and no further', async (t) => {
  const bucket = new TokenBucket(10, 5, 0);
  takenAt(bucket, 0, 5);
  t.equal(takenAt(bucket, 3_600_000, 100), 5);
});

t.test('over any time it gives no more than burst and rate together', async (t) => {
  const bucket = new TokenBucket(7, 3, 0);
  let taken = 0;
  for (let nowMs = 0; nowMs <= 10_000; nowMs += 13) taken += takenAt(bucket, nowMs, 2);
  t.ok(taken <= 7 * 10 + 3, `${taken} taken`);
  t.ok(taken >= 7 * 10, `${taken} taken`);
});

t.test('what has happened already may be charged beyond what is there', async (t) => {
  const rate = { perSecond: 100, burst: 100 };
  const bucket = fullBucket(rate, 0);
  t.equal(charge(bucket, rate, 0, 100), 0);
  t.equal(charge(bucket, rate, 0, 50), 500);
  t.equal(charge(bucket, rate, 0, 50), 1000);
  t.notOk(takeToken(bucket, rate, 900));
  t.ok(takeToken(bucket, rate, 1010));
});

t.test('a state that was written down goes on elsewhere, also where the clock is behind', async (t) => {
  const rate = { perSecond: 1, burst: 2 };
  const bucket = fullBucket(rate, 5000);
  t.ok(takeToken(bucket, rate, 5000));
  const copy = structuredClone(bucket);
  t.ok(takeToken(copy, rate, 1000));
  t.notOk(takeToken(copy, rate, 1000));
  t.ok(takeToken(copy, rate, 2000));
});
