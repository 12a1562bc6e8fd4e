// A client that asks for what a namespace does not keep was told that it may not (103). SDKs and their users know 108.
import t from 'tap';
import { Core } from '../helpers/core-harness.ts';

t.test('what is switched off is not available, whoever asks', async (t) => {
  const core = await Core.start(t, {
    client: { allow_anonymous_connect_without_token: true },
    channel: {
      namespaces: [{ name: 'kept', presence: true, history_size: 10, history_ttl: '60s' }],
    },
  });
  for (const client of [await core.connected(), await core.user('ann')]) {
    for (const read of ['presence', 'presence_stats', 'history']) {
      t.equal(await client.outcome(read, { channel: 'news' }), 108, `${read}, switched off`);
      t.equal(await client.outcome(read, { channel: 'kept:news' }), 103, `${read}, not allowed`);
      t.equal(await client.outcome(read, { channel: 'nowhere:news' }), 102, `${read}, no such namespace`);
    }
  }
});
