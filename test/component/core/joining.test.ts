import t from 'tap';
import type { Broker } from '../../../src/engine/broker.ts';
import type { PresenceStore } from '../../../src/engine/presence-store.ts';
import { UnavailableError } from '../../../src/util/errors.ts';
import { Core, type CoreOptions } from '../../helpers/core-harness.ts';
import { deferred } from '../../helpers/deferred.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const OPEN = { allow_subscribe_for_client: true, allow_subscribe_for_anonymous: true };
const STREAM = { ...OPEN, history_size: 100, history_ttl: '300s', force_recovery: true };
const ANONYMOUS = { allow_anonymous_connect_without_token: true };
const options: CoreOptions = {
  client: ANONYMOUS,
  channel: {
    without_namespace: { ...OPEN, presence: true, join_leave: true, force_push_join_leave: true },
    namespaces: [
      { name: 'stream', ...STREAM },
      { name: 'full', ...STREAM, presence: true, join_leave: true },
    ],
  },
};

const NOTHING = { open: 0, connections: 0, users: 0, channels: 0, subscriptions: 0, queuedBytes: 0 };

const away = (): Promise<never> => Promise.reject(new UnavailableError('engine is away'));

/** A point at which the engine's answers can be held back. */
class Gate {
  readonly reached = deferred<void>();
  readonly #open = deferred<void>();
  isArmed = false;

  open(): void {
    this.isArmed = false;
    this.#open.resolve();
  }

  async pass<T>(work: Promise<T>): Promise<T> {
    const result = await work;
    if (!this.isArmed) return result;
    this.reached.resolve();
    await this.#open.promise;
    return result;
  }
}

function gated(method: 'subscribe' | 'history' | 'presence', gate: Gate): Partial<CoreOptions> {
  if (method === 'presence') {
    return {
      wrapPresence: (real): PresenceStore => ({
        add: (channel, info) => gate.pass(real.add(channel, info)),
        remove: (channel, client) => real.remove(channel, client),
        handOver: (channel, client) => real.handOver(channel, client),
        get: (channel) => real.get(channel),
        stats: (channel) => real.stats(channel),
      }),
    };
  }
  return {
    wrapBroker: (real): Broker => ({
      subscribe: (channel) =>
        method === 'subscribe' ? gate.pass(real.subscribe(channel)) : real.subscribe(channel),
      unsubscribe: (channel) => real.unsubscribe(channel),
      publish: (...args) => real.publish(...args),
      publishJoin: (...args) => real.publishJoin(...args),
      publishLeave: (...args) => real.publishLeave(...args),
      history: (...args) => (method === 'history' ? gate.pass(real.history(...args)) : real.history(...args)),
      removeHistory: (channel) => real.removeHistory(channel),
    }),
  };
}

t.test('what is published while history is read arrives once, after the reply', async (t) => {
  const gate = new Gate();
  const core = await Core.start(t, { ...options, ...gated('history', gate) });
  const client = await core.connected();
  const channel = 'stream:a';
  for (const n of [1, 2, 3]) await core.publish(channel, n);
  gate.isArmed = true;
  client.send({ id: 2, subscribe: { channel, recover: true, offset: 1 } });
  await gate.reached.promise;
  for (const n of [4, 5, 6]) await core.publish(channel, n);
  await waitFor('the publications to be here', () => core.hub.channel(channel)?.sequence === 3);
  gate.open();
  const { subscribe } = await client.reply(2);
  t.match(subscribe, {
    recovered: true,
    offset: 1,
    publications: [
      { data: 2, offset: 2 },
      { data: 3, offset: 3 },
    ],
  });
  await core.publish(channel, 7);
  t.strictSame(await client.receives(channel, 4), [4, 5, 6, 7]);
  const kinds = client.transport.messages.map((message) => ('push' in message ? 'push' : 'reply'));
  t.strictSame(kinds, ['reply', 'reply', 'push', 'push', 'push', 'push']);
});

t.test('what arrives before history was read is not repeated', async (t) => {
  const gate = new Gate();
  const core = await Core.start(t, { ...options, ...gated('subscribe', gate) });
  const client = await core.connected();
  const channel = 'stream:a';
  await core.publish(channel, 1);
  gate.isArmed = true;
  client.send({ id: 2, subscribe: { channel, recover: true, offset: 0 } });
  await gate.reached.promise;
  for (const n of [2, 3]) await core.publish(channel, n);
  await waitFor('the publications to be here', () => core.hub.channel(channel)?.sequence === 2);
  gate.open();
  const { subscribe } = await client.reply(2);
  t.match(subscribe, { recovered: true, publications: [{ data: 1 }, { data: 2 }, { data: 3 }] });
  await core.publish(channel, 4);
  t.strictSame(await client.receives(channel, 1), [4]);
});

t.test('in channels without history what arrives while joining comes after the reply', async (t) => {
  const gate = new Gate();
  const core = await Core.start(t, { ...options, ...gated('presence', gate) });
  const client = await core.connected();
  gate.isArmed = true;
  client.send({ id: 2, subscribe: { channel: 'plain' } });
  await gate.reached.promise;
  await core.publish('plain', 1);
  await waitFor('the publication to be here', () => core.hub.channel('plain')?.sequence === 1);
  gate.open();
  await client.reply(2);
  t.strictSame(await client.receives('plain', 1), [1]);
});

t.test('two joiners of one channel each get their own part', async (t) => {
  const gate = new Gate();
  const core = await Core.start(t, { ...options, ...gated('history', gate) });
  const [first, second] = [await core.connected(), await core.connected()];
  const channel = 'stream:a';
  await core.publish(channel, 1);
  gate.isArmed = true;
  first.send({ id: 2, subscribe: { channel } });
  await gate.reached.promise;
  await core.publish(channel, 2);
  await waitFor('the publication to be here', () => core.hub.channel(channel)?.sequence === 1);
  second.send({ id: 2, subscribe: { channel } });
  await core.publish(channel, 3);
  await waitFor('the publication to be here', () => core.hub.channel(channel)?.sequence === 2);
  gate.open();
  await Promise.all([first.reply(2), second.reply(2)]);
  await core.publish(channel, 4);
  t.strictSame(await first.receives(channel, 3), [2, 3, 4]);
  const [from] = await second.receives(channel, 1);
  const expected = from === 3 ? [3, 4] : [4];
  t.strictSame(await second.receives(channel, expected.length), expected);
});

t.test('a joiner gets its own join, the others get join and leave, the leaver no leave', async (t) => {
  const core = await Core.start(t, options);
  const [staying, going] = [await core.user('ann'), await core.user('bob')];
  await staying.subscribe('plain');
  await staying.push('its own join', ({ join }) => join !== undefined);
  await going.subscribe('plain');
  t.match(await going.push('its own join', ({ join }) => join !== undefined), {
    channel: 'plain',
    join: { info: { user: 'bob', client: going.connection.session.client } },
  });
  t.match(await staying.push('the join', ({ join }) => join !== undefined), {
    join: { info: { user: 'bob' } },
  });
  t.match(await staying.result('presence_stats', { channel: 'plain' }).catch(String), /permission denied/);
  await going.result('unsubscribe', { channel: 'plain' });
  t.match(await staying.push('the leave', ({ leave }) => leave !== undefined), {
    leave: { info: { user: 'bob' } },
  });
  t.notOk(going.transport.pushes.some(({ leave }) => leave !== undefined));
  t.strictSame(core.left, [{ channel: 'plain', code: 0 }]);
});

for (const method of ['subscribe', 'history', 'presence'] as const) {
  t.test(`a client that vanishes while joining leaves nothing behind: ${method}`, async (t) => {
    const gate = new Gate();
    const core = await Core.start(t, { ...options, ...gated(method, gate) });
    const client = await core.connected();
    gate.isArmed = true;
    client.send({ id: 2, subscribe: { channel: 'full:a' } });
    await gate.reached.promise;
    client.vanish();
    t.equal(core.hub.subscriptionCount, 0, 'at once');
    gate.open();
    await waitFor('the channel to be given up', () => core.hub.channelCount === 0);
    t.strictSame(core.registered, NOTHING);
    await waitFor('presence to be given up', () => core.engineClient.stats.presenceEntries === 0);
    t.strictSame(core.left, [], 'it never was there for others');
    t.strictSame(await core.presence.get('full:a'), []);
  });

  t.test(`unsubscribed by the server while joining: ${method}`, async (t) => {
    const gate = new Gate();
    const core = await Core.start(t, { ...options, ...gated(method, gate) });
    const client = await core.connected();
    gate.isArmed = true;
    client.send({ id: 2, subscribe: { channel: 'full:a' } });
    await gate.reached.promise;
    const [subscription] = client.connection.subscriptions.values();
    if (subscription === undefined) throw new Error('not enrolled');
    core.hub.unsubscribe(subscription, { code: 2000, reason: 'server unsubscribe' });
    gate.open();
    t.match(await client.reply(2), { error: { code: 103 } }, 'every command is answered');
    t.strictSame(await client.unsubscribed('full:a'), { code: 2000, reason: 'server unsubscribe' });
    await waitFor('the channel to be given up', () => core.hub.channelCount === 0);
    t.strictSame(await core.presence.get('full:a'), []);
    await client.subscribe('full:a');
    t.equal((await core.presence.get('full:a')).length, 1);
  });
}

t.test('a late clean-up does not hit the next subscription of the same name', async (t) => {
  const gate = new Gate();
  const core = await Core.start(t, {
    ...options,
    client: { ...ANONYMOUS, concurrency: 4 },
    ...gated('presence', gate),
  });
  const client = await core.connected();
  gate.isArmed = true;
  client.send({ id: 2, subscribe: { channel: 'full:a' } });
  await gate.reached.promise;
  const [subscription] = client.connection.subscriptions.values();
  if (subscription === undefined) throw new Error('not enrolled');
  core.hub.unsubscribe(subscription, { code: 2500, reason: 'insufficient state' });
  gate.isArmed = false;
  client.send({ id: 3, subscribe: { channel: 'full:a' } });
  await client.reply(3);
  gate.open();
  t.match(await client.reply(2), { error: { code: 103 } });
  t.equal((await core.presence.get('full:a')).length, 1, 'it is subscribed and seen');
  t.equal(core.hub.subscriptionCount, 1);
});

for (const method of ['subscribe', 'history', 'add'] as const) {
  t.test(`an engine that is away refuses and leaves nothing behind: ${method}`, async (t) => {
    let isAway = true;
    const core = await Core.start(t, {
      ...options,
      wrapBroker: (real): Broker => ({
        subscribe: (channel) => (isAway && method === 'subscribe' ? away() : real.subscribe(channel)),
        unsubscribe: (channel) => real.unsubscribe(channel),
        publish: (...args) => real.publish(...args),
        publishJoin: (...args) => real.publishJoin(...args),
        publishLeave: (...args) => real.publishLeave(...args),
        history: (...args) => (isAway && method === 'history' ? away() : real.history(...args)),
        removeHistory: (channel) => real.removeHistory(channel),
      }),
      wrapPresence: (real): PresenceStore => ({
        add: (...args) => (isAway && method === 'add' ? away() : real.add(...args)),
        remove: (...args) => real.remove(...args),
        handOver: (...args) => real.handOver(...args),
        get: (...args) => real.get(...args),
        stats: (...args) => real.stats(...args),
      }),
    });
    const client = await core.connected();
    const channel = 'full:a';
    t.match(await client.command('subscribe', { channel }), { error: { code: 100, temporary: true } });
    t.equal(core.hub.channelCount, 0);
    t.equal(core.hub.subscriptionCount, 0);
    isAway = false;
    await client.subscribe(channel);
    await core.publish(channel, 1);
    t.strictSame(await client.receives(channel, 1), [1]);
  });
}

t.test('who missed too much while joining is told to recover', async (t) => {
  const gate = new Gate();
  const core = await Core.start(t, { ...options, ...gated('history', gate) });
  const client = await core.connected();
  const channel = 'stream:a';
  gate.isArmed = true;
  client.send({ id: 2, subscribe: { channel } });
  await gate.reached.promise;
  const many = Array.from({ length: 4_200 }, (_, n) => core.publish(channel, n));
  await Promise.all(many);
  await waitFor('the publications to be here', () => core.hub.channel(channel)?.sequence === 4_200);
  gate.open();
  await client.reply(2);
  t.strictSame(await client.unsubscribed(channel), { code: 2500, reason: 'insufficient state' });
  t.equal(core.hub.subscriptionCount, 0);
});
