import t from 'tap';
import { moveFigures, Progress } from '../../../src/cluster/control/progress.ts';

t.test('how fast connections move, and how long the rest takes', async (t) => {
  t.same(moveFigures(300, 100, 2000), { moved: 300, left: 100, perSecond: 150, leftMs: 667 });
  t.same(moveFigures(0, 100, 2000), { moved: 0, left: 100, perSecond: 0, leftMs: null }, 'none moved yet');
  t.same(moveFigures(0, 100, 0), { moved: 0, left: 100, perSecond: 0, leftMs: null }, 'no time passed yet');
});

t.test('every change is told, with all that is known', async (t) => {
  const told: unknown[] = [];
  const begin = { state: 'starting', ...moveFigures(0, 4, 0) };
  const progress = new Progress(begin, (report) => told.push(report));
  t.equal(progress.report, begin, 'the beginning is told by whoever begins');
  progress.tellMoves(2, 2, 1000);
  progress.tell({ state: 'done', left: 0 });
  t.same(told, [
    { state: 'starting', moved: 2, left: 2, perSecond: 2, leftMs: 1000 },
    { state: 'done', moved: 2, left: 0, perSecond: 2, leftMs: 1000 },
  ]);
  t.equal(progress.report, told.at(-1));
});
