// The official client, unmodified, in both of its builds, against a gateway of two workers.
import t from 'tap';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { startGateway } from '../helpers/gateway.ts';
import { waitFor } from '../helpers/wait-for.ts';

const FAST_RECONNECT = { minReconnectDelay: 20, maxReconnectDelay: 200 };

const gateway = await startGateway(t, {
  config: {
    client: { insecure: true },
    channel: {
      without_namespace: { presence: true, join_leave: true, force_push_join_leave: true },
      namespaces: [
        {
          name: 'kept',
          history_size: 100,
          history_ttl: '60s',
          force_recovery: true,
          allowed_delta_types: ['fossil'],
        },
      ],
    },
  },
});

for (const protobuf of [false, true]) {
  const build = protobuf ? 'Protobuf' : 'JSON';
  const open = (): Promise<OfficialClient> =>
    new OfficialClient(t, gateway.wsUrl, { protobuf, options: FAST_RECONNECT }).connect();
  const channelOf = (name: string): string => `${name}-${build}`;
  // Its Protobuf build carries bytes.
  const payload = (value: unknown): unknown => (protobuf ? Buffer.from(JSON.stringify(value)) : value);
  const read = (data: unknown): unknown =>
    protobuf && data instanceof Uint8Array ? JSON.parse(Buffer.from(data).toString()) : data;

  t.test(`${build}: talks, joins, leaves, presence`, async (t) => {
    const channel = channelOf('room');
    const [anna, bert] = [await open(), await open()];
    const annas = await anna.subscribe(channel);
    const berts = await bert.subscribe(channel);
    // Her own join, then his.
    await annas.next('join');
    await annas.next('join');
    for (let n = 1; n <= 20; n += 1) await anna.client.publish(channel, payload({ n }));
    await waitFor('all publications', () => berts.publications.length === 20);
    t.same(
      berts.publications.map(read),
      Array.from({ length: 20 }, (_, index) => ({ n: index + 1 })),
    );
    const presence = await anna.client.presence(channel);
    t.equal(Object.keys(presence.clients).length, 2);
    t.hasStrict(await bert.client.presenceStats(channel), { numClients: 2 });
    bert.client.disconnect();
    await annas.next('leave');
    t.hasStrict(await anna.client.presenceStats(channel), { numClients: 1 });
  });

  t.test(`${build}: history, and recovery of what was missed`, async (t) => {
    const channel = `kept:${channelOf('news')}`;
    const client = await open();
    const subscription = await client.subscribe(channel);
    await gateway.api('publish', { channel, data: { n: 1 } });
    await subscription.next('publication');
    // Away without a word, while more is published.
    client.client.disconnect();
    await client.next('disconnected');
    for (let n = 2; n <= 10; n += 1) await gateway.api('publish', { channel, data: { n } });
    client.client.connect();
    t.hasStrict(await subscription.next('subscribed'), { recoverable: true });
    await waitFor('what was missed', () => subscription.publications.length === 10);
    t.same(
      subscription.publications.map(read),
      Array.from({ length: 10 }, (_, index) => ({ n: index + 1 })),
    );
    const { publications, offset } = await client.client.history(channel, { limit: 3, reverse: true });
    t.equal(offset, 10);
    t.same(
      publications.map(({ data }) => read(data)),
      [{ n: 10 }, { n: 9 }, { n: 8 }],
    );
  });

  t.test(`${build}: is told of what the back end does`, async (t) => {
    const channel = channelOf('told');
    const client = await open();
    const subscription = await client.subscribe(channel);
    await gateway.api('broadcast', { channels: [channel, 'other'], data: 'to many' });
    await subscription.next('publication');
    t.same(subscription.publications.map(read), ['to many']);
    const to = { user: '', client: client.id };
    await gateway.api('unsubscribe', { ...to, channel });
    t.hasStrict(await subscription.next('unsubscribed'), { code: 2000 });
    subscription.subscription.subscribe();
    await subscription.next('subscribed');

    await gateway.api('disconnect', { ...to, disconnect: { code: 4001, reason: 'come back' } });
    t.hasStrict(await client.next('connecting'), { code: 4001, reason: 'come back' });
    await client.next('connected');
    await subscription.next('subscribed');

    await gateway.api('disconnect', { user: '', client: client.id });
    t.hasStrict(await client.next('disconnected'), { code: 3503 });
  });

  t.test(`${build}: follows a document by deltas, also over an interruption`, async (t) => {
    const channel = `kept:${channelOf('document')}`;
    const client = await open();
    const subscription = await client.subscribe(channel, { delta: 'fossil' });
    const seen = async (count: number): Promise<void> => {
      await waitFor(`${count} versions`, () => subscription.publications.length === count);
    };
    const publish = (n: number, delta = true): Promise<unknown> =>
      gateway.api('publish', { channel, data: version(n), delta });
    for (let n = 1; n <= 5; n += 1) await publish(n);
    await seen(5);
    await publish(6, false);
    await Promise.all([7, 8, 9].map((n) => publish(n)));
    await seen(9);
    client.client.disconnect();
    await client.next('disconnected');
    for (const n of [10, 11]) await publish(n);
    client.client.connect();
    await seen(11);
    await publish(12);
    await seen(12);
    const versions = subscription.publications.map(read);
    t.same(new Set(versions), new Set(Array.from({ length: 12 }, (_, index) => version(index + 1))));
    t.match(subscription.subscription.deltaStats(), { numPublications: 12, numDeltaPayloads: 8 });
    t.equal(client.count('error'), 0);
  });

  t.test(`${build}: errors arrive as errors`, async (t) => {
    const client = await open();
    await t.rejects(client.client.rpc('nothing', payload({})), { code: 108 });
    await t.rejects(client.client.history(channelOf('room'), { limit: 1 }), { code: 108 });
    const subscription = client.newSubscription('unknown:news');
    subscription.subscription.subscribe();
    t.hasStrict(await subscription.next('unsubscribed'), { code: 102 });
  });
}

function version(n: number): unknown {
  return { n, text: 'Zażółć gęślą jaźń 😀 '.repeat(20), end: `é${n % 3}` };
}
