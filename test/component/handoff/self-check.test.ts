import t from 'tap';
import { selfCheck } from '../../../src/handoff/self-check.ts';

t.test('this Node lets connections be moved', async (t) => {
  t.equal(await selfCheck(), '');
  t.equal(await selfCheck(), '', 'and leaves nothing behind that would be in the way');
});
