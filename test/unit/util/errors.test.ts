import t from 'tap';
import { asError, ConfigError, hasCode, messageOf } from '../../../src/util/errors.ts';

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

t.test('errors of the system are known by their code', async (t) => {
  const missing = Object.assign(new Error('no such file'), { code: 'ENOENT' });
  t.ok(hasCode(missing, 'ENOENT'));
  t.notOk(hasCode(missing, 'EPERM'));
  t.notOk(hasCode({ code: 'ENOENT' }, 'ENOENT'));
  t.notOk(hasCode(new Error('no such file'), 'ENOENT'));
});
