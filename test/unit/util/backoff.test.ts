import t from 'tap';
import { backoffMs } from '../../../src/util/backoff.ts';

const policy = { minMs: 100, maxMs: 5000 };

t.test('the ceiling doubles with every attempt, up to the limit', async (t) => {
  const ceilings = [0, 1, 2, 3, 4, 5, 6, 7, 1000].map((attempt) => backoffMs(policy, attempt, 0.999_999));
  t.same(ceilings, [99, 199, 399, 799, 1599, 3199, 4999, 4999, 4999]);
});

t.test('the delay is anywhere below the ceiling', async (t) => {
  t.equal(backoffMs(policy, 3, 0), 0);
  t.equal(backoffMs(policy, 3, 0.5), 400);
});
