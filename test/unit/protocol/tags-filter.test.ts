import t from 'tap';
import { InvalidTagsFilterError, parseTagsFilter } from '../../../src/protocol/tags-filter.ts';

const tags = { lang: 'en', price: '10.50', empty: '', word: 'three' };

const leaf = (cmp: string, val: string, key = 'lang') => ({ key, cmp, val });

const cases: readonly (readonly [filter: object, matches: boolean])[] = [
  [leaf('eq', 'en'), true],
  [leaf('eq', 'de'), false],
  [leaf('eq', 'en', 'absent'), false],
  [leaf('neq', 'en'), false],
  [leaf('neq', 'de'), true],
  [leaf('neq', 'en', 'absent'), true],
  [{ key: 'lang', cmp: 'in', vals: ['de', 'en'] }, true],
  [{ key: 'lang', cmp: 'in', vals: ['de', 'fr'] }, false],
  [{ key: 'absent', cmp: 'in', vals: ['', 'undefined'] }, false],
  [{ key: 'lang', cmp: 'nin', vals: ['de', 'en'] }, false],
  [{ key: 'lang', cmp: 'nin', vals: ['de'] }, true],
  [{ key: 'absent', cmp: 'nin', vals: ['de', ''] }, true],
  [{ key: 'empty', cmp: 'ex' }, true],
  [{ key: 'absent', cmp: 'ex' }, false],
  [{ key: 'toString', cmp: 'ex' }, false],
  [{ key: '__proto__', cmp: 'ex' }, false],
  [{ key: 'absent', cmp: 'nex' }, true],
  [{ key: 'empty', cmp: 'nex' }, false],
  [leaf('sw', 'e'), true],
  [leaf('sw', 'n'), false],
  [leaf('ew', 'n'), true],
  [leaf('ew', 'e'), false],
  [leaf('ct', 'hre', 'word'), true],
  [leaf('ct', 'x', 'word'), false],
  [leaf('ct', 'x', 'absent'), false],
  [leaf('gt', '9.9', 'price'), true],
  [leaf('gt', '10.5', 'price'), false],
  [leaf('gte', '10.5', 'price'), true],
  [leaf('gte', '10.500000000000000000001', 'price'), false],
  [leaf('lt', '10.500000000000000000001', 'price'), true],
  [leaf('lt', '9', 'price'), false],
  [leaf('lte', '+10.5', 'price'), true],
  [leaf('lte', '-10.5', 'price'), false],
  [leaf('gt', '1', 'word'), false],
  [leaf('lt', '1', 'word'), false],
  [leaf('lt', 'ten', 'price'), false],
  [leaf('gt', '1e0', 'price'), false],
  [leaf('gt', '-1', 'empty'), false],
  [leaf('gt', '-1', 'absent'), false],
  [leaf('lt', '9'.repeat(201), 'price'), false],
  [{ op: 'and', nodes: [leaf('eq', 'en'), leaf('gt', '1', 'price')] }, true],
  [{ op: 'and', nodes: [leaf('eq', 'en'), leaf('gt', '100', 'price')] }, false],
  [{ op: 'or', nodes: [leaf('eq', 'de'), leaf('gt', '1', 'price')] }, true],
  [{ op: 'or', nodes: [leaf('eq', 'de'), leaf('gt', '100', 'price')] }, false],
  [{ op: 'not', nodes: [leaf('eq', 'de')] }, true],
  [{ op: 'not', nodes: [{ op: 'or', nodes: [leaf('eq', 'de'), leaf('eq', 'en')] }] }, false],
  // As the Protobuf codec gives it, with every field there.
  [{ op: '', key: 'lang', cmp: 'eq', val: 'en', vals: [], nodes: [] }, true],
  [{ op: null, key: 'lang', cmp: 'eq', val: 'en', vals: null, future: 1 }, true],
];

t.test('comparisons and operations', (t) => {
  for (const [filter, matches] of cases) {
    const parsed = parseTagsFilter(filter);
    const name = JSON.stringify(filter).slice(0, 100);
    t.equal(parsed.matches(tags), matches, name);
    const moved: unknown = JSON.parse(JSON.stringify(parsed.source));
    t.equal(parseTagsFilter(moved).matches(tags), matches, `${name} from a session`);
  }
  t.end();
});

t.test('a publication without tags', (t) => {
  t.equal(parseTagsFilter(leaf('eq', 'en')).matches(undefined), false);
  t.equal(parseTagsFilter(leaf('neq', 'en')).matches(undefined), true);
  t.equal(parseTagsFilter({ key: 'a', cmp: 'nex' }).matches(undefined), true);
  t.end();
});

const nested = (depth: number): object =>
  depth === 1 ? leaf('eq', 'en') : { op: 'not', nodes: [nested(depth - 1)] };

t.test('what is refused', (t) => {
  const bad: readonly unknown[] = [
    null,
    'x',
    1,
    [],
    {},
    { key: 'a' },
    { cmp: 'eq', val: 'x' },
    { key: 1, cmp: 'eq', val: 'x' },
    leaf('like', 'x'),
    leaf('constructor', 'x'),
    leaf('eq', ''),
    { key: 'a', cmp: 'eq', vals: ['x'] },
    { key: 'a', cmp: 'eq', val: 'x', vals: ['x'] },
    { key: 'a', cmp: 'eq', val: 1 },
    { key: 'a', cmp: 'in' },
    { key: 'a', cmp: 'in', vals: [] },
    { key: 'a', cmp: 'in', vals: [1] },
    { key: 'a', cmp: 'in', vals: 'x' },
    { key: 'a', cmp: 'in', val: 'x', vals: ['x'] },
    { key: 'a', cmp: 'ex', val: 'x' },
    { key: 'a', cmp: 'nex', vals: ['x'] },
    { op: 'xor', nodes: [leaf('eq', 'x')] },
    { op: 1, nodes: [leaf('eq', 'x')] },
    { op: 'and' },
    { op: 'and', nodes: [] },
    { op: 'or', nodes: {} },
    { op: 'or', nodes: [null] },
    { op: 'not', nodes: [] },
    { op: 'not', nodes: [leaf('eq', 'x'), leaf('eq', 'y')] },
    nested(33),
    nested(3000),
    { op: 'or', nodes: Array.from({ length: 512 }, () => leaf('eq', 'x')) },
    { key: 'a', cmp: 'in', vals: Array.from({ length: 4097 }, String) },
    {
      op: 'or',
      nodes: Array.from({ length: 5 }, () => ({
        key: 'a',
        cmp: 'in',
        vals: Array.from({ length: 1000 }, String),
      })),
    },
  ];
  for (const [index, filter] of bad.entries()) {
    t.throws(() => parseTagsFilter(filter), InvalidTagsFilterError, `number ${index}`);
  }
  t.type(parseTagsFilter(nested(32)).matches, 'function');
  t.type(
    parseTagsFilter({ op: 'or', nodes: Array.from({ length: 511 }, () => leaf('eq', 'x')) }).source,
    Object,
  );
  t.end();
});
