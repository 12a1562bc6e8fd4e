import t from 'tap';
import { initialWatch, lookAt } from '../../../src/cluster/moves/rebalance-watch.ts';
import type { PlannedMove } from '../../../src/cluster/moves/rebalance-plan.ts';

const MOVE: PlannedMove = {
  from: 1,
  to: 2,
  connections: 10,
  part: { load: 0.1, byCount: 1, first: 'idle' },
};

/** Whether each of these looks would run. */
function looks(imbalances: readonly number[]): readonly boolean[] {
  let watch = initialWatch;
  return imbalances.map((imbalance) => {
    const [next, isDue] = lookAt(watch, { imbalance, moves: imbalance > 0.1 ? [MOVE] : [] });
    watch = next;
    return isDue;
  });
}

t.test('a plan with moves is carried out, one without is not', async (t) => {
  t.same(looks([0.05, 0.5, 0.05, 0.4]), [false, true, false, true]);
});

t.test('one that helped is followed by another', async (t) => {
  t.same(looks([0.9, 0.5, 0.2, 0.05]), [true, true, true, false]);
});

t.test('one that did not help is tried again after longer and longer pauses', async (t) => {
  const due = looks(Array.from({ length: 400 }, () => 0.5)).flatMap((isDue, at) => (isDue ? [at] : []));
  const pauses = due.slice(1).map((at, index) => at - (due[index] ?? 0));
  t.same(pauses.slice(0, 7), [3, 5, 9, 17, 33, 33, 33]);
});

t.test('what helps at last ends the long pauses', async (t) => {
  const stubborn = Array.from({ length: 9 }, () => 0.5);
  t.same(looks([...stubborn, 0.05, 0.5]).slice(-2), [false, true]);
});
