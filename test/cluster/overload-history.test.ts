// A flood of publications into channels with history, in a primary with little memory: it keeps what is newest, everybody who
// is there hears everything, and who would recover from what is gone is told so.
import t from 'tap';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { startGateway } from '../helpers/gateway.ts';
import { waitFor } from '../helpers/wait-for.ts';

const LIMIT_BYTES = 12 * 1024 * 1024;
const MESSAGE_BYTES = 65_536;
const CHANNELS = 60;
const WAVES = 8;
const PATIENCE_MS = 60_000;

t.test('histories take no more than they may', async (t) => {
  const gateway = await startGateway(t, {
    workers: 1,
    // Of the primary, too: all that is published would not fit into it.
    env: { NODE_OPTIONS: '--max-old-space-size=64' },
    config: {
      engine: { memory: { max_history_memory: LIMIT_BYTES } },
      channel: { without_namespace: { history_size: 100, history_ttl: '1h', force_recovery: true } },
    },
  });
  const reader = await new OfficialClient(t, gateway.wsUrl).connect();
  const heard = await reader.subscribe('live');
  const leaver = await new OfficialClient(t, gateway.wsUrl).connect();
  const early = await leaver.subscribe('early');
  const late = await leaver.subscribe('late');
  await gateway.api('publish', { channel: 'early', data: 'before' });
  await early.next('publication');
  leaver.client.disconnect();
  await gateway.api('publish', { channel: 'early', data: 'missed' });

  const data = 'x'.repeat(MESSAGE_BYTES);
  for (let wave = 0; wave < WAVES; wave += 1) {
    const channels = Array.from({ length: CHANNELS }, (_, index) => `flood-${index}`);
    const answers = await Promise.all(channels.map((channel) => gateway.api('publish', { channel, data })));
    t.notMatch(JSON.stringify(answers), '"error"', 'nobody is refused');
    await gateway.api('publish', { channel: 'live', data: wave });
    t.ok((await gateway.metric('engine_history_bytes')) <= LIMIT_BYTES);
  }
  await gateway.api('publish', { channel: 'late', data: 'missed, and kept' });
  t.ok((await gateway.metric('engine_history_evicted_total')) > CHANNELS * (WAVES - 4));
  await waitFor(
    'a line that says so',
    () => gateway.logged('histories were cut short for want of memory').length > 0,
  );
  await waitFor('all of them', () => heard.publications.length === WAVES, PATIENCE_MS);
  t.same(
    heard.publications,
    Array.from({ length: WAVES }, (_, wave) => wave),
  );
  t.equal(reader.count('connecting'), 1);

  leaver.client.connect();
  t.match(await early.next('subscribed'), { wasRecovering: true, recovered: false });
  t.match(await late.next('subscribed'), { wasRecovering: true, recovered: true });
  t.same(late.publications, ['missed, and kept']);
  t.equal(gateway.child.exit, undefined);
});
