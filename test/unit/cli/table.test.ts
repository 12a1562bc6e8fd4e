import t from 'tap';
import { ageText, bytesText, tableLines } from '../../../src/cli/table.ts';

t.test('columns are as wide as their widest cell', async (t) => {
  const columns = [
    { title: 'n', align: 'right' },
    { title: 'name', align: 'left' },
    { title: '', align: 'left' },
  ] as const;
  t.same(
    tableLines(columns, [
      ['1', 'a', ''],
      ['22', 'longer', 'x'],
    ]),
    [' n  name', ' 1  a', '22  longer  x'],
  );
});

t.test('sizes and ages as people read them', async (t) => {
  const sizes: readonly (readonly [bytes: number, text: string])[] = [
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 kB'],
    [84_250_000, '84.3 MB'],
    [999_600, '1.0 MB'],
    [123_456_789, '123 MB'],
    [5e15, '5000 TB'],
  ];
  for (const [bytes, text] of sizes) t.equal(bytesText(bytes), text);
  const ages: readonly (readonly [ageMs: number, text: string])[] = [
    [0, '0s'],
    [999, '0s'],
    [61_000, '1m 1s'],
    [3_600_000, '1h 0m'],
    [90_061_000, '1d 1h'],
  ];
  for (const [ageMs, text] of ages) t.equal(ageText(ageMs), text);
});
