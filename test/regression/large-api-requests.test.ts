// A broadcast of more than the engine's queue takes failed for most of its channels, and a large parallel batch entirely.
import t from 'tap';
import { serverApi } from '../helpers/server-api.ts';

t.test('a broadcast of 40 MB in sum reaches all its channels', async (t) => {
  const channel = { without_namespace: { history_size: 1, history_ttl: '60s' } };
  const api = await serverApi(t, { channel });
  const channels = Array.from({ length: 400 }, (_, n) => `c${n}`);
  const answer = await api.call('broadcast', { channels, data: 'x'.repeat(100_000) });
  t.equal(answer.status, 200);
  t.equal(answer.text.match(/"offset":1,/g)?.length, channels.length);
  t.notMatch(answer.text, '"error"');
});

t.test('a parallel batch of 130,000 commands is answered', async (t) => {
  const api = await serverApi(t);
  const commands = Array.from({ length: 130_000 }, () => '{}').join();
  const answer = await api.call('batch', `{"parallel":true,"commands":[${commands}]}`);
  t.equal(answer.text.match(/"code":107,/g)?.length, 130_000);
});
