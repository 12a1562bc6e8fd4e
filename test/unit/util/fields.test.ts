import t from 'tap';
import { isFields } from '../../../src/util/fields.ts';

t.test('an object with named members, and nothing else', async (t) => {
  t.ok(isFields({}));
  t.ok(isFields({ a: 1 }));
  for (const other of [null, undefined, 'a', 1, [], () => ({})]) t.notOk(isFields(other));
});
