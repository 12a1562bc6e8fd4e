import t from 'tap';
import { ApiErrors, ApiFailure } from '../../../src/api/api-errors.ts';
import { serverApi } from '../../helpers/server-api.ts';

const channel = { without_namespace: { history_size: 10, history_ttl: '60s' } };

t.test('a batch runs its commands in order and answers without a result around', async (t) => {
  const api = await serverApi(t, { channel });
  for (const parallel of [false, true]) {
    const name = `news${parallel}`;
    const answer = await api.call(
      'batch',
      `{"parallel":${parallel},"commands":[
        {"publish":{"channel":"${name}","data":12345678901234567890}},
        {"publish":{"channel":"nowhere:x","data":1}},
        {"broadcast":{"channels":["${name}b"],"data":{"a":1}}},
        {"nothing":{}},
        {},
        {"publish":{},"history":{}},
        {"batch":{"commands":[]}},
        {"publish":null},
        {"history":{"channel":"${name}c"}}
      ]}`,
    );
    t.equal(answer.status, 200);
    t.match(answer.json, {
      replies: [
        { publish: { offset: 1 } },
        { error: { code: 102 } },
        { broadcast: { responses: [{ result: { offset: 1 } }] } },
        { error: { code: 107 } },
        { error: { code: 107 } },
        { error: { code: 107 } },
        { error: { code: 107 } },
        { error: { code: 107 } },
        { history: { publications: [], offset: 0 } },
      ],
    });
    t.notMatch(answer.text, '"result":{"replies"');
    t.match((await api.call('history', { channel: name, limit: 1 })).text, '"data":12345678901234567890,');
  }
  t.equal((await api.call('batch', { commands: [] })).text, '{"replies":[]}');
});

t.test('one after the other means that a command sees what the one before it did', async (t) => {
  const api = await serverApi(t, { channel });
  const commands = Array.from({ length: 20 }, (_, n) => ({ publish: { channel: 'seq', data: n } }));
  const answer = await api.call('batch', { commands: [...commands, { history: { channel: 'seq' } }] });
  t.match(answer.json, { replies: { 0: { publish: { offset: 1 } }, 20: { history: { offset: 20 } } } });
});

t.test('rpc calls what the application registered', async (t) => {
  const rpc = new Map([
    ['echo', async (params: Buffer | undefined) => params],
    [
      'conflict',
      async () => {
        throw new ApiFailure(ApiErrors.conflict, 'taken');
      },
    ],
    [
      'broken',
      async () => {
        throw new Error('secret detail');
      },
    ],
  ]);
  const api = await serverApi(t, { rpc });
  t.equal((await api.call('rpc', '{"method":"echo","params":[1.0]}')).text, '{"result":{"data":[1.0]}}');
  t.equal((await api.call('rpc', { method: 'echo' })).text, '{"result":{}}');
  t.match((await api.call('rpc', { method: 'conflict' })).json, { error: { code: 113, message: /taken/ } });
  const broken = await api.call('rpc', { method: 'broken' });
  t.strictSame(broken.json, { error: { code: 100, message: 'internal server error' } });
  t.match(api.lines.join(''), 'api call failed');
});
