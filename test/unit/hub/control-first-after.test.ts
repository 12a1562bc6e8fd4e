import t from 'tap';
import { firstAfter } from '../../../src/hub/first-after.ts';
import { seeded } from '../../helpers/random.ts';

function heavy(key: string): string {
  for (let n = 0; n < 200; n += 1) Math.random();
  return key;
}

const itself = (key: string): string => key;

t.test('pages of a shuffled list make up the whole list in order', async (t) => {
  const random = seeded(3);
  const names = Array.from({ length: 1000 }, (_, n) => `n${n}`).toSorted(() => random() - 0.5);
  for (const limit of [1, 7, 100, 999, 1000, 5000]) {
    const pages: string[] = [];
    let after = '';
    for (;;) {
      const page = await firstAfter(names, { keyOf: itself, after, limit });
      pages.push(...page);
      if (page.length < limit) break;
      after = page.at(-1) ?? '';
      if (limit === 1 && pages.length === 20) break;
    }
    t.strictSame(pages, names.toSorted().slice(0, pages.length), `pages of ${limit}`);
    t.equal(pages.length, limit === 1 ? 20 : 1000);
  }
});

t.test('no limit: all, in no order', async (t) => {
  const all = await firstAfter(['b', 'c', 'a'], { keyOf: itself, after: '', limit: 0 });
  t.strictSame(all, ['b', 'c', 'a']);
  t.strictSame(await firstAfter(['b', 'c', 'a'], { keyOf: itself, after: 'a', limit: 0 }), ['b', 'c']);
});

t.test('what has no key is left out, and one key counts once', async (t) => {
  const items = [
    { key: 'a', n: 1 },
    { key: undefined, n: 2 },
    { key: 'a', n: 3 },
  ];
  t.strictSame(await firstAfter(items, { keyOf: ({ key }) => key, after: '', limit: 5 }), [
    { key: 'a', n: 3 },
  ]);
});

t.test('other work goes on while a long list is read, and the list may change', async (t) => {
  const live = new Set(Array.from({ length: 50_000 }, (_, n) => `n${n}`));
  let turns = 0;
  const others = setInterval(() => {
    turns += 1;
    live.delete(`n${turns}`);
    live.add(`new${turns}`);
  }, 1);
  const all = await firstAfter(live, { keyOf: heavy, after: '', limit: 0 });
  clearInterval(others);
  t.ok(turns > 0);
  t.ok(all.length >= 50_000);
});
