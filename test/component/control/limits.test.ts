// Limits on what clients may do in a time, and on what a user may have at a time.
import { deserialize, serialize } from 'node:v8';
import t from 'tap';
import { connectionToken, Core, type CoreOptions } from '../../helpers/core-harness.ts';
import { isJson, type Json } from '../../helpers/server-frames.ts';
import { twoWorkers } from '../../helpers/two-workers.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const OPEN_CHANNELS = {
  without_namespace: {
    allow_subscribe_for_client: true,
    allow_publish_for_client: true,
    presence: true,
    allow_presence_for_client: true,
  },
};

function withRates(rate_limit: Json, client: Json = {}): CoreOptions {
  return { client: { ping_interval: '24h', rate_limit, ...client }, channel: OPEN_CHANNELS };
}

/** Codes of the error replies (0 for a result) to `count` commands sent at once. */
async function codes(send: (n: number) => Promise<Json>, count: number): Promise<number[]> {
  const replies = await Promise.all(Array.from({ length: count }, (_, n) => send(n)));
  return replies.map(({ error }) => (isJson(error) ? Number(error['code']) : 0));
}

t.test('commands of one kind: a burst, then a rate', async (t) => {
  const core = await Core.start(t, withRates({ connection: [{ command: 'publish', rate: 2, burst: 3 }] }));
  const client = await core.user('u');
  const publish = (): Promise<Json> => client.command('publish', { channel: 'a', data: 1 });
  t.strictSame(await codes(publish, 5), [0, 0, 0, 111, 111]);
  t.match(await publish(), { error: { code: 111, message: 'too many requests', temporary: true } });
  core.clock.advance(500);
  t.strictSame(await codes(publish, 2), [0, 111]);
  t.strictSame(await codes((n) => client.command('subscribe', { channel: `c${n}` }), 20), Array(20).fill(0));
  t.equal(core.hot.commands.cell('publish', '111').value, 4);

  const other = await core.user('u');
  t.match(await other.command('publish', { channel: 'a', data: 1 }), { publish: {} }, 'another connection');
});

t.test('a default for each kind that has no entry, with a budget of its own', async (t) => {
  const core = await Core.start(
    t,
    withRates({
      connection: [
        { command: 'default', rate: 1, interval: '10s' },
        { command: 'presence', rate: 5 },
      ],
    }),
  );
  const client = await core.user('u');
  const publish = (): Promise<Json> => client.command('publish', { channel: 'a', data: 1 });
  t.strictSame(await codes(publish, 2), [0, 111]);
  t.strictSame(await codes(() => client.command('presence', { channel: 'a' }), 6), [0, 0, 0, 0, 0, 111]);
  t.match(await client.command('subscribe', { channel: 'a' }), { subscribe: {} });
  t.match(await client.command('unsubscribe', { channel: 'a' }), { unsubscribe: {} });
  t.match(await client.command('unsubscribe', { channel: 'a' }), { error: { code: 111 } });
  core.clock.advance(9_900);
  t.strictSame(await codes(publish, 1), [111]);
  core.clock.advance(100);
  t.strictSame(await codes(publish, 1), [0]);
});

t.test('all connections of a user together', async (t) => {
  const core = await Core.start(t, withRates({ user: [{ command: 'publish', rate: 4 }] }));
  const one = await core.user('u');
  const two = await core.user('u');
  const other = await core.user('v');
  const publish = (client: typeof one) => (): Promise<Json> =>
    client.command('publish', { channel: 'a', data: 1 });
  t.strictSame(await codes(publish(one), 3), [0, 0, 0]);
  t.strictSame(await codes(publish(two), 3), [0, 111, 111]);
  t.strictSame(await codes(publish(one), 1), [111]);
  t.strictSame(await codes(publish(other), 5), [0, 0, 0, 0, 111]);
  core.clock.advance(500);
  t.strictSame(await codes(publish(two), 3), [0, 0, 111]);
});

t.test('who goes on and on is closed', async (t) => {
  const core = await Core.start(
    t,
    withRates({ connection: [{ command: 'publish', rate: 1, interval: '1h' }], max_refusals: 3 }),
  );
  const client = await core.user('u');
  const publish = (): Promise<Json> => client.command('publish', { channel: 'a', data: 1 });
  t.strictSame(await codes(publish, 4), [0, 111, 111, 111]);
  core.clock.advance(60_000);
  t.strictSame(await codes(publish, 3), [111, 111, 111], 'a new minute');
  client.send({ id: 99, publish: { channel: 'a', data: 1 } });
  t.equal(await client.closed(), 'too_many_errors');
});

t.test('commands without a reply are refused, too', async (t) => {
  const messages: string[] = [];
  const core = await Core.start(t, {
    ...withRates({ connection: [{ command: 'send', rate: 2 }], max_refusals: 1 }),
    application: {
      message: async (_subject, data) => {
        messages.push(data.toString());
        return { kind: 'yes', answer: undefined };
      },
    },
  });
  const client = await core.user('u');
  client.send({ send: { data: 1 } }, { send: { data: 2 } }, { send: { data: 3 } });
  await waitFor('two messages', () => messages.length === 2);
  t.notOk(client.connection.isClosed);
  client.send({ send: { data: 4 } });
  t.equal(await client.closed(), 'too_many_errors');
  t.strictSame(messages, ['1', '2']);
});

t.test('limits move with the connection, and are nothing when off', async (t) => {
  const core = await Core.start(t, withRates({ connection: [{ command: 'publish', rate: 9 }] }));
  const client = await core.user('u');
  await client.result('publish', { channel: 'a', data: 1 });
  const copy: unknown = deserialize(serialize(client.connection.snapshot()));
  t.match(copy, { session: { rates: { ofConnection: { publish: { tokens: 8 } }, refused: 0 } } });

  const free = await Core.start(t, withRates({}));
  t.equal(free.commands.commandLimits, undefined);
  t.equal(free.commands.userConnections, undefined);
  t.equal(free.commands.userSubscriptions, undefined);
  const unlimited = await free.user('u');
  await unlimited.result('publish', { channel: 'a', data: 1 });
  t.equal(unlimited.connection.session.rates, undefined);
});

t.test('connections of a user over all workers', async (t) => {
  const options = withRates({}, { user_connection_limit: 2 });
  const one = await Core.start(t, options);
  const two = await Core.start(t, { ...options, engine: one.engine });
  const first = await one.user('u');
  await two.user('u');
  for (const core of [one, two]) {
    const third = core.client();
    third.send({ id: 1, connect: { token: await connectionToken('u') } });
    t.equal(await third.closed(), 'connection_limit');
  }
  await one.user('v');
  await one.connected({ token: await connectionToken('') });
  await two.connected({ token: await connectionToken('') });
  await two.connected({ token: await connectionToken('') });
  t.pass('anonymous users have no number');

  first.vanish();
  await waitFor('the place to be free', async () => {
    const { clients } = await one.presence.stats('\u0001connections:u');
    return clients === 1;
  });
  await two.user('u');
});

t.test('many who come at once for the last places: never too many, and not nobody', async (t) => {
  const core = await Core.start(t, withRates({}, { user_connection_limit: 3 }));
  const token = await connectionToken('u');
  const clients = Array.from({ length: 12 }, () => core.client());
  for (const client of clients) client.send({ id: 1, connect: { token } });
  await waitFor('all of them to be decided', () =>
    clients.every(({ connection }) => connection.isLive || connection.isClosed),
  );
  const live = clients.filter(({ connection }) => connection.isLive).length;
  t.equal(live, 3);
  t.equal((await core.presence.stats('\u0001connections:u')).clients, 3);
  for (const client of clients) client.vanish();
  await waitFor('the entries to go', () => core.engine.server.stats.presenceEntries === 0);
});

t.test('one that closes while its place is claimed holds none', async (t) => {
  const core = await Core.start(t, withRates({}, { user_connection_limit: 1, user_channel_limit: 1 }));
  const token = await connectionToken('u');
  for (let n = 0; n < 20; n += 1) {
    const client = core.client();
    client.send({ id: 1, connect: { token } }, { id: 2, subscribe: { channel: 'a' } });
    for (let turns = 0; turns < n; turns += 1) await new Promise(setImmediate);
    client.vanish();
  }
  await waitFor('the entries to go', () => core.engine.server.stats.presenceEntries === 0);
  await core.user('u');
});

t.test('without the engine, the connections of this worker are counted', async (t) => {
  const core = await Core.start(t, withRates({}, { user_connection_limit: 1 }));
  const first = await core.user('u');
  await core.engine.server.close();
  const second = core.client();
  second.send({ id: 1, connect: { token: await connectionToken('u') } });
  t.equal(await second.closed(), 'connection_limit');
  first.vanish();
  await core.user('u');
});

t.test('subscriptions of a user over all connections', async (t) => {
  const options = withRates({}, { user_channel_limit: 3 });
  const one = await Core.start(t, options);
  const two = await Core.start(t, { ...options, engine: one.engine });
  const first = await one.user('u', { channels: ['by-the-server'] });
  const second = await two.user('u');
  await first.subscribe('a');
  await first.subscribe('b');
  await second.subscribe('a');
  t.match(await second.command('subscribe', { channel: 'c' }), { error: { code: 106 } });
  t.match(await first.command('subscribe', { channel: 'a' }), { error: { code: 105 } });
  await first.result('unsubscribe', { channel: 'b' });
  await waitFor('the place to be free', async () => {
    const reply = await second.command('subscribe', { channel: 'c' });
    return reply['subscribe'] !== undefined;
  });
  t.match(await first.command('subscribe', { channel: 'b' }), { error: { code: 106 } });
  t.match(await first.command('subscribe', { channel: 'by-the-server' }), { error: { code: 105 } });
  const stats = async (): Promise<number> => (await one.presence.stats('\u0001subscriptions:u')).clients;
  t.equal(await stats(), 3);
  second.vanish();
  await waitFor('the places of a connection to be free', async () => (await stats()) === 1);
  first.vanish();
  await waitFor('all places to be free', async () => (await stats()) === 0);
});

t.test('nobody can look into the engine of limits', async (t) => {
  const core = await Core.start(t, {
    client: { insecure: true },
    channel: { without_namespace: { channel_regex: '.*', presence: true } },
  });
  const client = await core.user('u');
  t.match(await client.command('presence', { channel: '\u0001connections:u' }), { error: { code: 107 } });
  t.match(await client.command('presence', { channel: 'ü\u0001' }), { presence: {} });
});

t.test('limits on the whole program, seen by official clients', async (t) => {
  const host = await twoWorkers(t, {
    client: {
      user_connection_limit: 2,
      rate_limit: { connection: [{ command: 'publish', rate: 2, interval: '1h' }], bytes_per_second: 5_000 },
    },
  });
  const [one] = await host.pair('u');
  const third = await host.refused('u');
  t.match(await third.next('disconnected'), { code: 3504, reason: 'connection limit' });
  await host.client('v');

  const subscription = await one.subscribe('a');
  await subscription.subscription.publish(1);
  await subscription.subscription.publish(2);
  await t.rejects(subscription.subscription.publish(3), { code: 111 });

  const beganMs = performance.now();
  for (let n = 0; n < 3; n += 1) await one.client.rpc('nothing', 'x'.repeat(5_000)).catch(() => undefined);
  t.ok(performance.now() - beganMs > 500, 'three seconds worth of bytes are not read at once');
  t.equal(one.count('disconnected'), 0);
});
