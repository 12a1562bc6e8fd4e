import t from 'tap';
import { TokenCache } from '../../../src/auth/token-cache.ts';

t.test('keeps the most recently used, up to its bound', (t) => {
  const cache = new TokenCache<number>(2);
  cache.set('a', 1);
  cache.set('b', 2);
  t.equal(cache.get('a'), 1);
  cache.set('c', 3);
  t.equal(cache.size, 2);
  t.equal(cache.get('b'), undefined, 'the one not used for longest went');
  t.equal(cache.get('a'), 1);
  t.equal(cache.get('c'), 3);
  cache.set('c', 4);
  t.equal(cache.get('c'), 4);
  t.equal(cache.size, 2);
  cache.delete('c');
  t.equal(cache.get('c'), undefined);
  t.end();
});

t.test('long tokens are not kept', (t) => {
  const cache = new TokenCache<number>(2);
  cache.set('x'.repeat(4097), 1);
  t.equal(cache.size, 0);
  t.equal(cache.get('x'.repeat(4097)), undefined);
  t.end();
});
