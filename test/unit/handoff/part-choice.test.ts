import t from 'tap';
import { costsOf, LoadBudget } from '../../../src/handoff/part-choice.ts';

const about = (value: number): number => Math.round(value * 1000) / 1000;

t.test('costs add up to one, and follow traffic as far as it counts', async (t) => {
  const bytes = [0, 0, 800, 99_000];
  for (const byCount of [0, 0.3, 1]) {
    t.equal(about(costsOf(bytes, byCount).reduce((sum, cost) => sum + cost, 0)), 1);
  }
  t.same(costsOf(bytes, 1).map(about), [0.25, 0.25, 0.25, 0.25], 'only the number counts');
  const [quiet = 1, , some = 0, most = 0] = costsOf(bytes, 0);
  t.ok(quiet < 0.01 && some > quiet && most > 0.95);
});

t.test('a second of silence makes nobody free of charge', async (t) => {
  const costs = costsOf([0, 30, 0, 0], 0.2);
  t.ok(Math.max(...costs) < 1.2 * Math.min(...costs), costs.join(' '));
});

t.test('a budget is given out up to its end, but for what would only move the load elsewhere', async (t) => {
  const half = new LoadBudget(0.5);
  const taken = Array.from({ length: 200 }, () => half.take(1 / 200)).filter(Boolean);
  t.equal(taken.length, 100);
  const budget = new LoadBudget(0.2);
  t.notOk(budget.take(0.9), 'the one that is the load stays');
  t.ok(budget.take(0.15));
  t.notOk(budget.fits(0.15));
  t.ok(budget.take(0.07), 'nearly');
  t.notOk(budget.fits(0.001), 'nothing is left');
  budget.giveBack(0.07);
  t.ok(budget.take(0.05), 'it stayed');
});
