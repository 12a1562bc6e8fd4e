import t from 'tap';
import { decideRecovery, recoveryFilter } from '../../../src/hub/recovery.ts';
import type { Publication } from '../../../src/protocol/publication.ts';

const META_MS = 1_000;

function kept(...offsets: number[]): Publication[] {
  return offsets.map((offset) => ({ data: Buffer.from(String(offset)), offset, time: 1 }));
}

t.test('what is read from history', async (t) => {
  const since = { offset: 3, epoch: 'e' };
  const common = { historyMetaTtlMs: META_MS };
  t.strictSame(recoveryFilter(undefined, 300, META_MS), { limit: 0, reverse: false, ...common });
  t.strictSame(recoveryFilter({ since, mode: 'stream' }, 300, META_MS), {
    limit: 300,
    since,
    reverse: false,
    ...common,
  });
  t.strictSame(recoveryFilter({ since, mode: 'cache' }, 300, META_MS), {
    limit: 1,
    reverse: true,
    ...common,
  });
});

// since (offset, epoch) · top offset in epoch 'e' · what history gave · recovered?
const STREAM: [
  name: string,
  offset: number,
  epoch: string,
  top: number,
  found: number[],
  recovered: boolean,
][] = [
  ['nothing missed', 5, 'e', 5, [], true],
  ['nothing ever published', 0, 'e', 0, [], true],
  ['some missed', 3, 'e', 5, [4, 5], true],
  ['all of them missed', 0, 'e', 3, [1, 2, 3], true],
  ['an empty epoch is any', 3, '', 5, [4, 5], true],
  ['another epoch', 3, 'old', 5, [4, 5], false],
  ['another epoch, though nothing is missing', 5, 'old', 5, [], false],
  ['the oldest is trimmed', 2, 'e', 5, [4, 5], false],
  ['the newest is gone', 3, 'e', 5, [4], false],
  ['all are gone', 3, 'e', 5, [], false],
  ['one in the middle is gone', 2, 'e', 5, [3, 5], false],
  ['as many as missing, but not the right ones', 3, 'e', 5, [5, 6], false],
  ['a position from the future', 9, 'e', 5, [], false],
  ['exactly as many as allowed', 0, 'e', 4, [1, 2, 3, 4], true],
  ['more than allowed', 0, 'e', 5, [1, 2, 3, 4], false],
];

t.test('stream recovery', async (t) => {
  for (const [name, offset, epoch, topOffset, found, recovered] of STREAM) {
    const top = { offset: topOffset, epoch: 'e' };
    const publications = kept(...found);
    const decision = decideRecovery({ since: { offset, epoch }, mode: 'stream' }, { publications, top }, 4);
    t.strictSame(
      decision,
      recovered
        ? { recovered, publications, position: { offset, epoch: 'e' } }
        : { recovered, publications: [], position: top },
      name,
    );
  }
});

t.test('cache recovery brings the newest value, unless it is known', async (t) => {
  const top = { offset: 7, epoch: 'e' };
  const [newest] = kept(7);
  const cases: [
    name: string,
    since: { offset: number; epoch: string },
    found: Publication[],
    expected: object,
  ][] = [
    [
      'unknown',
      { offset: 0, epoch: '' },
      kept(7),
      { recovered: true, publications: [newest], position: top },
    ],
    ['older', { offset: 5, epoch: 'e' }, kept(7), { recovered: true, publications: [newest], position: top }],
    ['known', { offset: 7, epoch: 'e' }, kept(7), { recovered: true, publications: [], position: top }],
    [
      'the same offset of another epoch',
      { offset: 7, epoch: 'old' },
      kept(7),
      { recovered: true, publications: [newest], position: top },
    ],
    ['no value', { offset: 7, epoch: 'e' }, [], { recovered: false, publications: [], position: top }],
  ];
  for (const [name, since, publications, expected] of cases) {
    t.strictSame(decideRecovery({ since, mode: 'cache' }, { publications, top }, 300), expected, name);
  }
});
