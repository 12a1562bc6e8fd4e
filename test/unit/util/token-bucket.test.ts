import t from 'tap';
import { TokenBucket } from '../../../src/util/token-bucket.ts';

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
