import t from 'tap';
import { asError, ConfigError, messageOf } from '../../../src/util/errors.ts';

t.test('of an error its message is told, of anything else what it reads like', async (t) => {
  t.equal(messageOf(new ConfigError('no such file')), 'no such file');
  t.equal(messageOf('a word'), 'a word');
  t.equal(messageOf(undefined), 'undefined');
});

t.test('an error stays what it is, anything else becomes one', async (t) => {
  const error = new ConfigError('no such file');
  t.equal(asError(error), error);
  t.match(asError('a word'), { name: 'Error', message: 'a word' });
});
