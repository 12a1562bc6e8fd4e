import t from 'tap';
import type { Broker, BrokerListener } from '../../../src/engine/broker.ts';
import { PositionChecker } from '../../../src/hub/position-checker.ts';
import { UnavailableError } from '../../../src/util/errors.ts';
import { Core, type CoreOptions } from '../../helpers/core-harness.ts';
import type { Scope } from '../../helpers/scope.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const CHECK_DELAY_MS = 40_000;
const GRACE_MS = 2_000;

const options: CoreOptions = {
  client: { allow_anonymous_connect_without_token: true },
  channel: {
    without_namespace: {
      allow_subscribe_for_client: true,
      allow_subscribe_for_anonymous: true,
      history_size: 100,
      history_ttl: '300s',
      force_recovery: true,
    },
    namespaces: [{ name: 'plain', allow_subscribe_for_client: true, allow_subscribe_for_anonymous: true }],
  },
};

/** Lets publications disappear on their way from the engine. */
class Thief {
  steals = false;
  stolen = 0;

  readonly intercept = (hub: BrokerListener): BrokerListener => ({
    onPublication: (...args) => {
      if (this.steals) this.stolen += 1;
      else hub.onPublication(...args);
    },
    onJoin: (...args) => hub.onJoin(...args),
    onLeave: (...args) => hub.onLeave(...args),
    onInterruption: (channel) => hub.onInterruption(channel),
  });
}

interface Watched {
  readonly core: Core;
  readonly thief: Thief;
  readonly checker: PositionChecker;
  /** History reads of the checker. */
  readonly reads: string[];
  /** Reads that were sent and are not answered yet. */
  readonly pending: () => number;
  isAway: boolean;
  /** By so many the stream has gone back, under the same epoch. */
  lostOffsets: number;
}

async function watched(scope: Scope): Promise<Watched> {
  const thief = new Thief();
  const core = await Core.start(scope, { ...options, intercept: thief.intercept });
  const reads: string[] = [];
  let pending = 0;
  const broker: Pick<Broker, 'history'> = {
    history: async (channel, filter) => {
      reads.push(channel);
      if (all.isAway) throw new UnavailableError('engine is away');
      pending += 1;
      try {
        const result = await core.broker.history(channel, filter);
        const { offset, epoch } = result.top;
        return { ...result, top: { offset: offset - all.lostOffsets, epoch } };
      } finally {
        pending -= 1;
      }
    },
  };
  const checker = new PositionChecker({
    hub: core.hub,
    broker,
    checkDelayMs: CHECK_DELAY_MS,
    historyMetaTtlMs: () => 3_600_000,
    nowMs: () => core.clock.monotonicMs(),
  });
  const all = { core, thief, checker, reads, pending: () => pending, isAway: false, lostOffsets: 0 };
  return all;
}

/** Time passes, and the checker looks around as its timer would have it. */
async function sweepAfter(all: Watched, ms: number): Promise<void> {
  all.core.clock.advance(ms);
  all.checker.sweep();
  await waitFor('the answers', () => all.pending() === 0);
  await new Promise(setImmediate);
}

async function stealOne(all: Watched, channel: string): Promise<void> {
  const before = all.thief.stolen;
  all.thief.steals = true;
  await all.core.publish(channel, 'stolen');
  await waitFor('the theft', () => all.thief.stolen > before);
  all.thief.steals = false;
}

t.test(
  'a publication that got lost silently is found, and its subscribers are told to recover',
  async (t) => {
    const all = await watched(t);
    const { core, checker } = all;
    const client = await core.connected();
    await client.subscribe('news');
    await core.publish('news', 1);
    await client.receives('news', 1);
    checker.sweep();
    await stealOne(all, 'news');
    await sweepAfter(all, CHECK_DELAY_MS - 1_000);
    t.strictSame(all.reads, [], 'not before its time');
    await sweepAfter(all, 1_000);
    t.strictSame(all.reads, ['news']);
    await sweepAfter(all, GRACE_MS - 500);
    t.equal(client.connection.subscriptions.size, 1, 'perhaps it is only on its way');
    await sweepAfter(all, 500);
    t.strictSame(await client.unsubscribed('news'), { code: 2500, reason: 'insufficient state' });
    const { epoch } = await client.subscribe('news', { recover: true, offset: 1, epoch: '' });
    t.equal(core.hub.channel('news')?.positionedMembers, 1);
    t.match(epoch, /.+/);
  },
);

t.test('the next publication shows the gap at once', async (t) => {
  const all = await watched(t);
  const client = await all.core.connected();
  await client.subscribe('news');
  await stealOne(all, 'news');
  await all.core.publish('news', 2);
  t.strictSame(await client.unsubscribed('news'), { code: 2500, reason: 'insufficient state' });
  t.strictSame(client.received('news'), []);
});

t.test('server-side subscriptions end with their connection', async (t) => {
  const all = await watched(t);
  const client = await all.core.user('ann', { channels: ['news'] });
  t.equal(client.connection.subscriptions.size, 1);
  await stealOne(all, 'news');
  await all.core.publish('news', 2);
  t.equal(await client.closed(), 'insufficient_state');
});

t.test('a channel with traffic is not compared, a quiet one is, again and again', async (t) => {
  const all = await watched(t);
  const { core } = all;
  const client = await core.connected();
  for (const channel of ['busy', 'quiet', 'plain:x']) await client.subscribe(channel);
  all.checker.sweep();
  for (let n = 1; n <= 10; n += 1) {
    await core.publish('busy', n);
    await client.receives('busy', n);
    await sweepAfter(all, CHECK_DELAY_MS / 4);
  }
  t.strictSame(all.reads, ['quiet', 'quiet']);
  await sweepAfter(all, GRACE_MS);
  t.equal(client.connection.subscriptions.size, 3);
});

t.test('a sweep looks only at channels that are due', async (t) => {
  const all = await watched(t);
  const { core, checker } = all;
  const client = await core.connected();
  for (let n = 0; n < 50; n += 1) await client.subscribe(`c${n}`);
  core.clock.advance(CHECK_DELAY_MS / 2);
  for (let n = 50; n < 100; n += 1) await client.subscribe(`c${n}`);
  let looks = 0;
  for (const channel of core.hub.channels()) {
    const { lastPublicationMs } = channel;
    Object.defineProperty(channel, 'lastPublicationMs', {
      get: () => {
        looks += 1;
        return lastPublicationMs;
      },
    });
  }
  for (let n = 0; n < 100; n += 1) checker.sweep();
  t.equal(looks, 0);
  await sweepAfter(all, CHECK_DELAY_MS / 2);
  t.same([looks, all.reads.length], [50, 50]);
  for (let n = 50; n < 75; n += 1) await client.command('unsubscribe', { channel: `c${n}` });
  await sweepAfter(all, CHECK_DELAY_MS / 2);
  t.same([looks, all.reads.length], [75, 75], 'nor at those that nobody follows any more');
});

t.test('many that are due at once are compared in their turn', async (t) => {
  const all = await watched(t);
  const client = await all.core.connected();
  for (let n = 0; n < 120; n += 1) await client.subscribe(`c${n}`);
  await sweepAfter(all, CHECK_DELAY_MS);
  t.equal(new Set(all.reads).size, 120);
  t.equal(all.reads.length, 120);
});

t.test('who is up to date stays, who is behind goes', async (t) => {
  const all = await watched(t);
  const { core } = all;
  const behind = await core.connected();
  await behind.subscribe('news');
  all.checker.sweep();
  await stealOne(all, 'news');
  const fresh = await core.connected();
  await fresh.subscribe('news');
  await sweepAfter(all, CHECK_DELAY_MS);
  await sweepAfter(all, GRACE_MS);
  await behind.unsubscribed('news');
  t.equal(behind.connection.subscriptions.size, 0);
  t.equal(fresh.connection.subscriptions.size, 1);
});

t.test('what arrives within the time of grace is not lost', async (t) => {
  const all = await watched(t);
  const { core, thief } = all;
  const client = await core.connected();
  await client.subscribe('news');
  all.checker.sweep();
  thief.steals = true;
  await core.publish('news', 'late');
  await waitFor('the theft', () => thief.stolen === 1);
  thief.steals = false;
  await sweepAfter(all, CHECK_DELAY_MS);
  const { publications, top } = await core.broker.history('news', {
    limit: 1,
    reverse: false,
    historyMetaTtlMs: 1_000,
  });
  const [late] = publications;
  if (late === undefined) throw new Error('not kept');
  core.hub.onPublication('news', late, top.epoch);
  await client.receives('news', 1);
  await sweepAfter(all, GRACE_MS);
  t.equal(client.connection.subscriptions.size, 1);
});

t.test('after an interruption all are compared at once, a few at a time', async (t) => {
  const all = await watched(t);
  const { core, checker } = all;
  checker.start();
  t.teardown(() => checker.close());
  const client = await core.connected();
  for (let n = 0; n < 100; n += 1) await client.subscribe(`c${n}`);
  await stealOne(all, 'c50');
  core.hub.onInterruption();
  t.equal(all.reads.length, 64);
  await waitFor('the answers', () => all.pending() === 0);
  await sweepAfter(all, 0);
  t.equal(new Set(all.reads).size, 100);
  t.equal(all.reads.length, 100);
  await sweepAfter(all, GRACE_MS);
  await client.unsubscribed('c50');
  t.equal(client.connection.subscriptions.size, 99);
});

t.test('an engine that is away when asked is asked again', async (t) => {
  const all = await watched(t);
  const client = await all.core.connected();
  await client.subscribe('news');
  all.checker.sweep();
  await stealOne(all, 'news');
  all.isAway = true;
  await sweepAfter(all, CHECK_DELAY_MS);
  t.equal(all.reads.length, 1);
  all.isAway = false;
  await sweepAfter(all, 1_000);
  t.equal(all.reads.length, 2);
  await sweepAfter(all, GRACE_MS);
  await client.unsubscribed('news');
  t.equal(client.connection.subscriptions.size, 0);
});

t.test('a stream that has gone back is read twice, then those who are ahead of it are told', async (t) => {
  const all = await watched(t);
  const client = await all.core.connected();
  await client.subscribe('news');
  for (const n of [1, 2, 3]) await all.core.publish('news', n);
  await client.receives('news', 3);
  all.lostOffsets = 2;
  await sweepAfter(all, CHECK_DELAY_MS);
  t.equal(all.reads.length, 1);
  await sweepAfter(all, GRACE_MS);
  t.strictSame(await client.unsubscribed('news'), { code: 2500, reason: 'insufficient state' });
  t.equal(all.reads.length, 2);
});

t.test('an answer of the past tells nobody', async (t) => {
  const all = await watched(t);
  const client = await all.core.connected();
  await client.subscribe('news');
  for (const n of [1, 2, 3]) await all.core.publish('news', n);
  await client.receives('news', 3);
  all.lostOffsets = 2;
  await sweepAfter(all, CHECK_DELAY_MS);
  all.lostOffsets = 0;
  await sweepAfter(all, GRACE_MS);
  await sweepAfter(all, GRACE_MS);
  t.equal(all.reads.length, 2);
  t.equal(client.connection.subscriptions.size, 1);
});
