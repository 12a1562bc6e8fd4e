// Exclusive channels: a worker alone with a channel does not ask the engine, and nobody can tell by what comes and in which
// order.
import t from 'tap';
import type { PublishOptions } from '../../../src/engine/broker.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { PLAIN } from '../../contract/broker-contract.ts';
import { type MemoryEngineTestClient, startMemoryEngine } from '../../contract/memory-engine.ts';

const KEPT: PublishOptions = { historySize: 10, historyTtlMs: 60_000, historyMetaTtlMs: 60_000 };

async function publish(
  { broker }: MemoryEngineTestClient,
  channel: string,
  text: string,
  options = PLAIN,
): Promise<void> {
  await broker.publish(channel, { data: Buffer.from(text) }, options);
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Publishes until the worker needs the engine no more. */
async function becomeExclusive(client: MemoryEngineTestClient, channel: string): Promise<void> {
  await waitFor('exclusivity', async () => {
    await publish(client, channel, 'warm');
    return client.engineClient.stats.exclusiveChannels > 0;
  });
}

t.test('a worker alone with a channel stops asking the engine', async (t) => {
  const engine = await startMemoryEngine(t);
  const a = await engine.client();
  await a.broker.subscribe('solo');
  await becomeExclusive(a, 'solo');
  const { published } = engine.server.stats;
  const { publishedLocally } = a.engineClient.stats;
  const before = a.events.of('solo').length;
  for (let index = 0; index < 100; index += 1) await publish(a, 'solo', String(index));
  await a.broker.publishJoin('solo', { user: 'u', client: 'j' });
  await a.broker.publishLeave('solo', { user: 'u', client: 'l' });
  const events = await a.events.until('solo', before + 102);
  t.same(
    events.slice(before).map(({ text }) => text),
    [...Array.from({ length: 100 }, (_, index) => String(index)), 'j', 'l'],
  );
  t.equal(engine.server.stats.published, published, 'the engine has not seen them');
  t.equal(a.engineClient.stats.publishedLocally, publishedLocally + 100);
});

t.test('what is published into an exclusive channel from elsewhere arrives too', async (t) => {
  const engine = await startMemoryEngine(t);
  const [a, b] = [await engine.client(), await engine.client()];
  await a.broker.subscribe('solo');
  await becomeExclusive(a, 'solo');
  await publish(b, 'solo', 'from b');
  await a.events.untilText('solo', 'from b');
  await b.broker.publishJoin('solo', { user: 'u', client: 'join of b' });
  await a.events.untilText('solo', 'join of b');
  await publish(b, 'solo', 'kept by b', KEPT);
  await a.events.untilText('solo', 'kept by b');
  t.equal(a.engineClient.stats.exclusiveChannels, 1);
});

t.test('a second subscriber ends it, and its leaving lets it begin again', async (t) => {
  const engine = await startMemoryEngine(t);
  const [a, b] = [await engine.client(), await engine.client()];
  await a.broker.subscribe('solo');
  for (let round = 0; round < 5; round += 1) {
    await becomeExclusive(a, 'solo');
    await b.broker.subscribe('solo');
    t.equal(a.engineClient.stats.exclusiveChannels, 0);
    await publish(a, 'solo', `shared ${String(round)}`);
    await b.events.untilText('solo', `shared ${String(round)}`);
    await b.broker.unsubscribe('solo');
  }
  await b.broker.subscribe('solo');
  await a.broker.unsubscribe('solo');
  await becomeExclusive(b, 'solo');
});

t.test('a second subscriber gets in when the holder ends', async (t) => {
  const engine = await startMemoryEngine(t);
  const [a, b] = [await engine.client(), await engine.client()];
  await a.broker.subscribe('solo');
  await becomeExclusive(a, 'solo');
  const subscribing = b.broker.subscribe('solo');
  await a.close();
  await subscribing;
  await publish(b, 'solo', 'alone');
  await b.events.untilText('solo', 'alone');
});

t.test('a link that breaks ends exclusivity', async (t) => {
  const engine = await startMemoryEngine(t);
  const [a, b] = [await engine.client(), await engine.client()];
  await a.broker.subscribe('solo');
  await becomeExclusive(a, 'solo');
  await engine.stop();
  await waitFor('the link to be down', () => !a.engineClient.stats.up);
  t.equal(a.engineClient.stats.exclusiveChannels, 0);
  await t.rejects(publish(a, 'solo', 'lost'));
  await engine.start();
  await b.events.untilInterrupted();
  await b.broker.subscribe('solo');
  await a.events.untilInterrupted();
  await publish(a, 'solo', 'seen by both');
  await a.events.untilText('solo', 'seen by both');
  await b.events.untilText('solo', 'seen by both');
});

t.test(
  'visitors under load from several publishers: the order of each, no gap from the first to the last',
  async (t) => {
    const engine = await startMemoryEngine(t);
    const home = await engine.client();
    const visitors = [await engine.client(), await engine.client()];
    const stranger = await engine.client();
    await home.broker.subscribe('busy');
    const count = 3000;
    const progress = { sent: 0, done: false };
    const publishing = (async () => {
      while (progress.sent < count) {
        const options = progress.sent % 97 === 0 ? KEPT : PLAIN;
        // Not awaited one by one: several are on their way at once.
        void publish(home, 'busy', `h${String(progress.sent)}`, options);
        progress.sent += 1;
        if (progress.sent % 5 === 0) await turn();
        if (progress.sent % 500 === 0)
          await waitFor('a pause', () => home.engineClient.stats.pendingRequests === 0);
      }
      progress.done = true;
    })();
    const disturbing = (async () => {
      for (let index = 0; !progress.done; index += 1) {
        await publish(stranger, 'busy', `s${String(index)}`);
        for (let turns = 0; turns < 20; turns += 1) await turn();
      }
    })();
    const visits: { texts: readonly string[]; from: number; to: number }[] = [];
    const visiting = visitors.map(async (visitor, index) => {
      while (!progress.done) {
        for (let turns = 0; turns < 30 + 40 * index; turns += 1) await turn();
        const start = visitor.events.all.length;
        await visitor.broker.subscribe('busy');
        const from = progress.sent;
        for (let turns = 0; turns < 10; turns += 1) await turn();
        const to = progress.sent - 1;
        const last = `h${String(to)}`;
        await waitFor('the last one of the visit', () =>
          to < from ? true : visitor.events.all.slice(start).some(({ text }) => text === last),
        );
        await visitor.broker.unsubscribe('busy');
        visits.push({ texts: visitor.events.all.slice(start).map(({ text }) => text), from, to });
      }
    });
    await Promise.all([publishing, disturbing, ...visiting]);
    await home.events.untilText('busy', `h${String(count - 1)}`);
    const order = home.events.texts('busy');
    t.equal(new Set(order).size, order.length, 'nothing twice');
    t.same(
      order.filter((text) => text.startsWith('h')),
      Array.from({ length: count }, (_, index) => `h${String(index)}`),
    );
    t.ok(home.engineClient.stats.publishedLocally > 100, 'many went without the engine');
    t.ok(home.engineClient.stats.publishedLocally < count - 100, 'many went through it');
    const disturbances = order.filter((text) => text.startsWith('s'));
    t.same(
      disturbances,
      disturbances.map((_, index) => `s${String(index)}`),
    );
    t.ok(visits.length > 5, `${String(visits.length)} visits`);
    for (const { texts, from, to } of visits) {
      for (const publisher of ['h', 's']) {
        const seen = texts.filter((text) => text.startsWith(publisher));
        const firstNumber = Number(seen[0]?.slice(1) ?? 0);
        const expected = seen.map((_, index) => `${publisher}${String(firstNumber + index)}`);
        t.same(seen, expected, 'a piece of what it published');
      }
      for (let number = from; number <= to; number += 1) {
        if (!texts.includes(`h${String(number)}`)) t.fail(`h${String(number)} missed after subscribing`);
      }
    }
  },
);
