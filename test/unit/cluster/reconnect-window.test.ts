// The arithmetic of a drain: how long, how many at a time, by which worker, and what the others take.
import t from 'tap';
import { nextSlice, shareOut } from '../../../src/cluster/drain/drain-slices.ts';
import type { CollectedAnswer } from '../../../src/cluster/ipc.ts';
import { rateOfOthers, reconnectWindow } from '../../../src/cluster/drain/reconnect-window.ts';
import { RestRate } from '../../../src/cluster/drain/rest-rate.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

t.test('the window is clients ÷ rate, unless it is cut or chosen', async (t) => {
  const free = { clients: 900, acceptRate: 10, limitMs: null, chosenMs: null };
  t.strictSame(reconnectWindow(free), { neededMs: 90_000, windowMs: 90_000, limitMs: null, chosenMs: null });
  t.strictSame(
    reconnectWindow({ ...free, limitMs: 30_000 }),
    { neededMs: 90_000, windowMs: 30_000, limitMs: 30_000, chosenMs: null },
    'needs 90 s, has 30 s',
  );
  t.match(reconnectWindow({ ...free, limitMs: 120_000 }), { windowMs: 90_000, limitMs: null });
  t.match(reconnectWindow({ ...free, chosenMs: 5000 }), { neededMs: 90_000, windowMs: 5000, limitMs: null });
  t.match(reconnectWindow({ ...free, chosenMs: 300_000, limitMs: 30_000 }), {
    windowMs: 30_000,
    limitMs: 30_000,
  });
  t.match(reconnectWindow({ ...free, clients: 0 }), { neededMs: 0, windowMs: 0 });
});

t.test('every other host counts once, whichever of its workers say so', async (t) => {
  const rates = [
    { host: 'own', acceptRate: 1000 },
    { host: 'a', acceptRate: 200 },
    { host: 'a', acceptRate: 200 },
    { host: 'b', acceptRate: 50 },
    { host: 'leaving', acceptRate: 0 },
  ];
  t.equal(rateOfOthers(rates, 'own'), 250);
  t.equal(rateOfOthers([], 'own'), 0);
});

t.test('slices add up to the pace', async (t) => {
  let [remaining, owed] = [100, 0];
  const counts: number[] = [];
  for (let tick = 0; tick < 50; tick += 1) {
    const slice = nextSlice({ remaining, perSecond: 13, elapsedMs: 100, owed, leftMs: null });
    remaining -= slice.count;
    ({ owed } = slice);
    counts.push(slice.count);
  }
  t.equal(100 - remaining, 65, 'thirteen a second for five seconds');
  t.ok(
    counts.every((count) => count === 1 || count === 2),
    'evenly',
  );
});

t.test('slower than a stall, faster than the pace when time presses', async (t) => {
  const slice = { remaining: 1000, perSecond: 10, elapsedMs: 100, owed: 0, leftMs: null };
  t.match(nextSlice({ ...slice, elapsedMs: 60_000 }), { count: 5, perSecond: 10 }, 'nothing is made up for');
  t.match(nextSlice({ ...slice, leftMs: 10_000 }), { count: 10, perSecond: 100 });
  t.match(nextSlice({ ...slice, leftMs: 600_000 }), { count: 1, perSecond: 10 });
  t.match(nextSlice({ ...slice, leftMs: 0 }), { count: 1000 });
  t.match(nextSlice({ ...slice, remaining: 0 }), { count: 0 });
});

t.test('workers close in proportion to what they have', async (t) => {
  t.strictSame(shareOut(10, [300, 200, 0, 500]), [3, 2, 0, 5]);
  t.strictSame(shareOut(10, [0, 0]), [0, 0]);
  for (const [count, has] of [
    [1, [1, 1, 1]],
    [7, [5, 1, 9]],
    [99, [1, 2, 3]],
  ] as const) {
    const shares = shareOut(count, has);
    const total = has.reduce<number>((sum, each) => sum + each, 0);
    t.equal(
      shares.reduce((sum, share) => sum + share, 0),
      Math.min(count, total),
    );
    t.ok(
      shares.every((share, index) => share >= 0 && share <= (has[index] ?? 0)),
      'nobody more than it has',
    );
  }
});

t.test('asks one worker what others take, not too often, and takes its own rate without them', async (t) => {
  const clock = new FakeClock();
  const fleet = { host: 'b', acceptRate: 40 };
  let rates: unknown = [fleet, null, 'nonsense', { host: 'own', acceptRate: 7 }];
  let asked = 0;
  let asker: number | undefined;
  const rate = new RestRate({
    clock,
    host: 'own',
    ownRate: () => 7,
    asker: () => asker,
    ask: (question) => {
      asked += 1;
      t.same(question, { asker: 12 });
      const answers: CollectedAnswer[] = [
        { from: 'worker-1', pid: 11, value: null },
        { from: 'worker-2', pid: 12, value: rates },
      ];
      return asked === 3 ? Promise.reject(new Error('no answer')) : Promise.resolve(answers);
    },
  });
  await rate.refresh(0);
  t.same(rate.current, { acceptRate: 7, from: 'this-host' }, 'nobody to ask yet');
  asker = 12;
  await Promise.all([rate.refresh(0), rate.refresh(0)]);
  t.equal(asked, 1);
  t.same(rate.current, { acceptRate: 40, from: 'other-hosts' });
  rates = [fleet, { host: 'c', acceptRate: 2 }];
  clock.advance(4000);
  await rate.refresh(5000);
  t.equal(asked, 1, 'what is known is fresh');
  clock.advance(2000);
  await rate.refresh(5000);
  t.same(rate.current, { acceptRate: 42, from: 'other-hosts' });
  await rate.refresh(0);
  t.same(rate.current, { acceptRate: 42, from: 'other-hosts' }, 'without an answer the last one counts');
  rates = [];
  await rate.refresh(0);
  t.same(rate.current, { acceptRate: 7, from: 'this-host' }, 'all others have gone');
});
