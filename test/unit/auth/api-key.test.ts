import t from 'tap';
import { ApiKeyCheck } from '../../../src/auth/api-key.ts';

const check = new ApiKeyCheck({ key: 'right', insecure: false });

t.test('each of the three places may carry the key', async (t) => {
  t.ok(check.permits({ 'x-api-key': 'right' }, ''));
  t.ok(check.permits({ authorization: 'apikey right' }, ''));
  t.ok(check.permits({ authorization: 'ApiKey right' }, ''), 'the scheme has no case');
  t.ok(check.permits({}, 'a=b&api_key=right'));
  t.ok(check.permits({}, '?api_key=right'));
});

t.test('anything else is refused', async (t) => {
  t.notOk(check.permits({}, ''));
  t.notOk(check.permits({ 'x-api-key': 'wrong' }, ''));
  t.notOk(check.permits({ 'x-api-key': 'righ' }, ''));
  t.notOk(check.permits({ 'x-api-key': '' }, ''));
  t.notOk(check.permits({ authorization: 'Bearer right' }, ''));
  t.notOk(check.permits({ authorization: 'apikey' }, ''));
  t.notOk(check.permits({ authorization: 'apikey right again' }, ''));
  t.notOk(check.permits({}, 'api_key=wrong'));
});

t.test('the first place that has a key counts', async (t) => {
  t.notOk(check.permits({ 'x-api-key': 'wrong', authorization: 'apikey right' }, 'api_key=right'));
  t.notOk(check.permits({ authorization: 'apikey wrong' }, 'api_key=right'));
  t.ok(check.permits({ authorization: 'Bearer something' }, 'api_key=right'), 'another scheme is no key');
});

t.test('without a key nobody may, unless everybody may', async (t) => {
  for (const key of [undefined, '']) {
    t.notOk(new ApiKeyCheck({ key, insecure: false }).permits({ 'x-api-key': '' }, ''));
    t.ok(new ApiKeyCheck({ key, insecure: true }).permits({}, ''));
  }
});
