import t from 'tap';
import { missingBetween, Numbering, publisherOf } from '../../../src/engine/numbering.ts';

t.test('numbers of a channel follow each other', async (t) => {
  const numbering = new Numbering();
  t.same([numbering.next('a'), numbering.next('b'), numbering.next('a')], [1, 1, 2]);
  t.equal(missingBetween(1, 2), 0);
  t.equal(missingBetween(1, 5), 3);
  t.equal(missingBetween(5, 5), 0, 'a repeat is no gap');
});

t.test('a forgotten channel begins above what it had, and that is no gap', async (t) => {
  const numbering = new Numbering();
  const before = [numbering.next('old'), numbering.next('old')].at(-1) ?? 0;
  for (let each = 0; each < 150_000; each++) numbering.next(`other-${each}`);
  const after = numbering.next('old');
  t.ok(after > before + 1);
  t.equal(missingBetween(before, after), 0);
});

t.test('a publisher is its node', async (t) => {
  t.equal(publisherOf('a'), publisherOf('a'));
  t.not(publisherOf('a'), publisherOf('b'));
  t.ok(Number.isSafeInteger(publisherOf('a')));
});
