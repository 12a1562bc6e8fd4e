import t from 'tap';
import { compareDecimals, parseDecimal } from '../../../src/protocol/decimal.ts';

t.test('order', (t) => {
  const ascending = [
    '-100000000000000000000000000000000000001',
    '-100000000000000000000000000000000000000.5',
    '-2',
    '-1.5',
    '-0.000000000000000000000000001',
    '0',
    '0.000000000000000000000000001',
    '0.1',
    '0.10000000000000000001',
    '1',
    '9007199254740992',
    '9007199254740993',
    '9007199254740993.1',
    '1'.repeat(200),
  ];
  for (const [left, a] of ascending.entries()) {
    for (const [right, b] of ascending.entries()) {
      const [first, second] = [parseDecimal(a), parseDecimal(b)];
      if (first === undefined || second === undefined) throw new Error('not a number');
      t.equal(Math.sign(compareDecimals(first, second)), Math.sign(left - right), `${a} and ${b}`);
    }
  }
  t.end();
});

t.test('equal in different spelling', (t) => {
  for (const [a, b] of [
    ['1', '1.0'],
    ['+1', '001'],
    ['-0', '0'],
    ['1.50', '1.50000000000000000000000'],
    ['-12345678901234567890.0', '-12345678901234567890'],
  ] as const) {
    const [first, second] = [parseDecimal(a), parseDecimal(b)];
    if (first === undefined || second === undefined) throw new Error('not a number');
    t.ok(compareDecimals(first, second) === 0, `${a} and ${b}`);
  }
  t.end();
});

t.test('no plain decimal number', (t) => {
  for (const text of [
    '',
    ' ',
    'x',
    '1e3',
    '0x10',
    '1.',
    '.5',
    '1_000',
    '--1',
    '1.2.3',
    'NaN',
    'Infinity',
    ' 1',
    '١',
  ]) {
    t.equal(parseDecimal(text), undefined, JSON.stringify(text));
  }
  t.equal(parseDecimal('1'.repeat(201)), undefined);
  t.end();
});
