// More payload bytes than a worker can have waiting for its subscribers.
import t from 'tap';
import { Core } from '../../helpers/core-harness.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const MIB = 1_048_576;

t.test('a backlog of 64 MiB is thrown away, and who is watched is told', async (t) => {
  const allowed = { allow_subscribe_for_client: true, allow_subscribe_for_anonymous: true };
  const kept = { ...allowed, history_size: 10, history_ttl: '60s', force_positioning: true };
  const core = await Core.start(t, {
    client: { allow_anonymous_connect_without_token: true, queue_max_size: 256 * MIB },
    channel: {
      namespaces: [
        { name: 'kept', ...kept },
        { name: 'plain', ...allowed },
      ],
    },
  });
  const client = await core.connected();
  const { epoch } = await client.subscribe('kept:a');
  for (const channel of ['plain:a', 'plain:b']) await client.subscribe(channel);
  const [data, small] = [Buffer.from(JSON.stringify('x'.repeat(MIB))), Buffer.from('"small"')];
  const dropped = core.hot.dropped.cell('fanout_overload');
  // All in one turn of the event loop, so that nothing has gone out yet.
  core.hub.onPublication('plain:b', { data: small, offset: 0, time: 1 }, '');
  for (let offset = 1; offset <= 40; offset += 1) {
    core.hub.onPublication('kept:a', { data, offset, time: 1 }, String(epoch));
  }
  t.equal(dropped.value, 0);
  for (let n = 0; n < 30; n += 1) core.hub.onPublication('plain:a', { data, offset: 0, time: 1 }, '');
  t.equal(dropped.value, 24, 'of the channel that passed the limit');
  core.hub.onPublication('plain:a', { data: small, offset: 0, time: 1 }, '');
  t.strictSame(await client.receives('plain:b', 1), ['small'], 'others are not concerned');
  await waitFor('all the rest', () => client.received('plain:a').at(-1) === 'small');
  t.equal(client.received('plain:a').length, 7);
  await client.receives('kept:a', 40);

  for (let offset = 41; offset <= 110; offset += 1) {
    core.hub.onPublication('kept:a', { data, offset, time: 1 }, String(epoch));
  }
  t.strictSame(await client.unsubscribed('kept:a'), { code: 2500, reason: 'insufficient state' });
  core.hub.onPublication('plain:a', { data: small, offset: 0, time: 1 }, '');
  await client.receives('plain:a', 8);
  t.equal(dropped.value, 24 + 64, 'and all is counted out again');
});
