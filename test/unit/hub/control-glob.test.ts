import t from 'tap';
import { globMatcher, MAX_GLOB_LENGTH } from '../../../src/hub/glob.ts';
import { seeded } from '../../helpers/random.ts';

t.test('what matches what', async (t) => {
  const cases: [pattern: string, matching: string[], others: string[]][] = [
    ['', ['', 'anything'], []],
    ['*', ['', 'a', 'a:b'], []],
    ['**', ['', 'abc'], []],
    ['news', ['news'], ['', 'new', 'newss', 'xnews']],
    ['news:*', ['news:', 'news:a', 'news:a:b'], ['news', 'xnews:a']],
    ['*:42', [':42', 'a:42', 'a:42:42'], ['a:421', '42']],
    ['a*b*c', ['abc', 'aXbXc', 'abbcc', 'abcbc'], ['ab', 'acb', 'abcd']],
    ['?', ['a', '*'], ['', 'ab']],
    ['a?c', ['abc', 'a?c'], ['ac', 'abbc']],
    ['*?', ['a', 'ab'], ['']],
    ['a\\*', ['a*'], ['a', 'ab']],
    ['a\\?\\\\', ['a?\\'], ['ab\\']],
    ['a\\', ['a\\'], ['a']],
    ['a.c', ['a.c'], ['abc']],
    ['[ab]+$(x)', ['[ab]+$(x)'], ['a']],
    ['#*', ['#42'], ['42']],
    ['ü*', ['über'], ['uber']],
  ];
  for (const [pattern, matching, others] of cases) {
    const matches = globMatcher(pattern);
    for (const name of matching) t.ok(matches(name), `${pattern} matches ${name}`);
    for (const name of others) t.notOk(matches(name), `${pattern} does not match ${name}`);
  }
});

/** As slow and as plain as it can be. */
function plain(pattern: string, name: string): boolean {
  if (pattern === '') return name === '';
  const [first = ''] = pattern;
  const rest = pattern.slice(1);
  if (first === '*') return plain(rest, name) || (name !== '' && plain(pattern, name.slice(1)));
  return name !== '' && (first === '?' || first === name[0]) && plain(rest, name.slice(1));
}

t.test('the same as the plain definition, over lengths that cross the words of the bit set', async (t) => {
  const random = seeded(7);
  const text = (alphabet: string, length: number): string =>
    Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)] ?? '').join('');
  let matched = 0;
  for (let round = 0; round < 4000; round += 1) {
    const pattern = text('aab?*', 1 + Math.floor(random() * 7));
    const name = text('aab', Math.floor(random() * 9));
    const prefix = 'x'.repeat(Math.floor(random() * 70));
    const expected = plain(pattern, name);
    matched += expected ? 1 : 0;
    if (globMatcher(prefix + pattern)(prefix + name) !== expected) t.fail(`${pattern} on ${name}`);
  }
  t.ok(matched > 400, `${matched} matches among them`);
});

t.test('a matcher can be used again', async (t) => {
  const matches = globMatcher('a*');
  t.strictSame(['b', 'ab', '', 'a'].map(matches), [false, true, false, true]);
});

t.test('a pattern that makes others try for ever', async (t) => {
  const matches = globMatcher('*a'.repeat(100));
  t.notOk(matches('a'.repeat(MAX_GLOB_LENGTH - 1) + 'b'));
  t.ok(matches('a'.repeat(MAX_GLOB_LENGTH)));
});
