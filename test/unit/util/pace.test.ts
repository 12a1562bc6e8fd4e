import t from 'tap';
import { nextPace, type Pace, type PacePolicy, startPace } from '../../../src/util/pace.ts';

const POLICY: PacePolicy = { minPerSecond: 100, maxPerSecond: 10_000, lateMs: 80, onTimeMs: 40 };

function after(readings: readonly number[], begunPerSecond = 2_000, from: Pace = startPace(POLICY)): Pace {
  return readings.reduce((pace, lagMs) => nextPace(pace, { lagMs, begunPerSecond }, POLICY), from);
}

t.test('it begins where it is no limit, and stays there as long as nobody is late', async (t) => {
  t.equal(startPace(POLICY).perSecond, 10_000);
  t.equal(after([0, 10, 39, 79, 0]).perSecond, 10_000);
});

t.test('one late reading may be anything', async (t) => {
  t.equal(after([500]).perSecond, 10_000);
  t.equal(after([500, 0, 500, 60, 500]).perSecond, 10_000);
});

t.test('late twice: slower than what it did, then slower still, down to a floor', async (t) => {
  t.equal(after([100, 100]).perSecond, 1_500);
  t.equal(after([100, 100, 100]).perSecond, 1_125);
  t.equal(after(Array.from({ length: 40 }, () => 1_000)).perSecond, POLICY.minPerSecond);
});

t.test('when nothing was begun, something else makes it late', async (t) => {
  t.equal(after([1_000, 1_000, 1_000, 1_000], 0).perSecond, 10_000);
});

t.test('it stays in between, and comes back step by step', async (t) => {
  const slow: Pace = { perSecond: 1_000, late: 0 };
  t.equal(after([60, 60], 1_000, slow).perSecond, 1_000);
  t.equal(after([10], 1_000, slow).perSecond, 1_200);
  t.equal(
    after(
      Array.from({ length: 30 }, () => 0),
      1_000,
      slow,
    ).perSecond,
    POLICY.maxPerSecond,
  );
});
