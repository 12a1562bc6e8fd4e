// A Redis that does not keep up costs a worker its limit in bytes: publishers are told, at once beyond it and within a
// second before, and it all passes when Redis goes on.
import t from 'tap';
import { UnavailableError } from '../../../src/util/errors.ts';
import { pause } from '../../../src/util/pause.ts';
import { startRedisEngine } from '../../contract/redis-engine.ts';
import { waitFor, within } from '../../helpers/wait-for.ts';

const KEPT = { historySize: 10, historyTtlMs: 60_000, historyMetaTtlMs: 600_000 };
const PLAIN = { historySize: 0, historyTtlMs: 0, historyMetaTtlMs: 0 };
const MESSAGE_BYTES = 100_000;
const MAX_QUEUED_BYTES = 1_000_000;

for (const [kind, options] of [
  ['with history', KEPT],
  ['without history', PLAIN],
] as const) {
  t.test(`publications ${kind}`, async (t) => {
    const engine = await startRedisEngine(t);
    const [server] = engine.servers;
    if (server === undefined) throw new Error('there is no server');
    const { broker, engineClient } = await engine.client({ maxQueuedBytes: MAX_QUEUED_BYTES });
    const data = Buffer.alloc(MESSAGE_BYTES);
    server.child.signal('SIGSTOP');
    const failures: string[] = [];
    const attempts = Array.from({ length: 50 }, () =>
      Promise.resolve(broker.publish('room', { data }, options)).catch((error: unknown) => {
        if (!(error instanceof UnavailableError)) throw error;
        failures.push(error.message);
      }),
    );
    const { queuedBytes } = engineClient.stats;
    t.ok(queuedBytes > MAX_QUEUED_BYTES - MESSAGE_BYTES, `${queuedBytes} bytes wait`);
    t.ok(queuedBytes < MAX_QUEUED_BYTES + 2 * MESSAGE_BYTES, 'the limit and what was under way');
    await waitFor('refusals', () => failures.length >= 35);
    t.same(new Set(failures), new Set(['Redis does not keep up with what it is asked']), 'at once');
    await within('the rest', Promise.all(attempts));
    if (options === KEPT) {
      t.equal(failures.length, 50);
      t.ok(failures.includes('Redis does not answer'));
    }
    await waitFor(
      'those that were on their way to be given up',
      () => engineClient.stats.unsent === 50 - failures.length,
    );
    await t.rejects(
      async () => broker.publish('room', { data }, KEPT),
      UnavailableError,
      'nothing more is queued',
    );
    t.ok(engineClient.stats.queuedBytes < MAX_QUEUED_BYTES + 2 * MESSAGE_BYTES, 'given up, not forgotten');
    t.ok(engineClient.stats.failedCalls > 0);

    server.child.signal('SIGCONT');
    await waitFor('Redis to take publications again', () =>
      Promise.resolve(broker.publish('room', { data }, options)).then(
        () => true,
        () => false,
      ),
    );
    await waitFor('the queue to be empty', () => engineClient.stats.queuedBytes === 0);
  });
}

t.test('what is published in one turn of the event loop leaves together', async (t) => {
  const engine = await startRedisEngine(t);
  const [server] = engine.servers;
  if (server === undefined) throw new Error('there is no server');
  const { broker } = await engine.client();
  const reads = async (): Promise<number> =>
    Number(/total_reads_processed:(\d+)/.exec(await server.admin.info('stats'))?.[1]);
  const before = await reads();
  const data = Buffer.from('small');
  await Promise.all(
    Array.from({ length: 1000 }, async (_, index) => broker.publish(`room${index}`, { data }, KEPT)),
  );
  const count = (await reads()) - before;
  t.ok(count < 200, `Redis read ${count} times for 1000 publications`);
});

t.test('what was on its way when Redis stopped reaches those who are here, and everybody once', async (t) => {
  const engine = await startRedisEngine(t);
  const [server] = engine.servers;
  if (server === undefined) throw new Error('there is no server');
  const [a, b] = [await engine.client(), await engine.client()];
  await Promise.all([a.broker.subscribe('room'), b.broker.subscribe('room')]);
  const publish = async (text: string): Promise<unknown> =>
    a.broker.publish('room', { data: Buffer.from(text) }, PLAIN);
  await publish('before');
  await a.events.until('room', 1);
  server.child.signal('SIGSTOP');
  for (const text of ['1', '2', '3']) await publish(text);
  await a.events.until('room', 4);
  // By now Redis is known to be away.
  await publish('4');
  await a.events.until('room', 5);
  server.child.signal('SIGCONT');
  await b.events.untilText('room', '3');
  await waitFor('Redis to be back', () => a.engineClient.stats.pendingCalls === 0 && a.engineClient.stats.up);
  await publish('after');
  await a.events.untilText('room', 'after');
  await b.events.untilText('room', 'after');
  t.same(a.events.texts('room'), ['before', '1', '2', '3', '4', 'after']);
  t.same(b.events.texts('room'), ['before', '1', '2', '3', 'after'], '4 was not for others');
  t.equal(a.engineClient.stats.unsent, 3);
});

t.test(
  'what is published one after the other while Redis stops reaches those who are here, in order',
  async (t) => {
    const engine = await startRedisEngine(t);
    const [server] = engine.servers;
    if (server === undefined) throw new Error('there is no server');
    const a = await engine.client();
    await a.broker.subscribe('room');
    server.child.signal('SIGSTOP');
    const texts: string[] = [];
    // Some are on their way when the first is given up, others are refused after it.
    while (a.engineClient.stats.unsent === 0 || texts.length < 15) {
      texts.push(String(texts.length + 1));
      await a.broker.publish('room', { data: Buffer.from(texts.at(-1) ?? '') }, PLAIN);
      await pause(100);
    }
    await a.events.until('room', texts.length);
    server.child.signal('SIGCONT');
    await waitFor(
      'Redis to be back',
      () => a.engineClient.stats.pendingCalls === 0 && a.engineClient.stats.up,
    );
    await a.broker.publish('room', { data: Buffer.from('after') }, PLAIN);
    await a.events.untilText('room', 'after');
    t.same(a.events.texts('room'), [...texts, 'after']);
  },
);

t.test('what was on its way when Redis died reaches those who are here', async (t) => {
  const engine = await startRedisEngine(t);
  const [a] = [await engine.client()];
  await a.broker.subscribe('room');
  const publishing = engine.stop();
  let sent = 0;
  await waitFor('Redis to be gone', async () => {
    sent += 1;
    await a.broker.publish('room', { data: Buffer.from(String(sent)) }, PLAIN);
    return !a.engineClient.stats.up;
  });
  await publishing;
  await a.events.untilText('room', String(sent));
  t.same(
    a.events.texts('room'),
    Array.from({ length: sent }, (_, index) => String(index + 1)),
    `all ${sent}, in order, once`,
  );
});

t.test('a channel that is left while Redis stops is left when it goes on', async (t) => {
  const engine = await startRedisEngine(t);
  const [server] = engine.servers;
  if (server === undefined) throw new Error('there is no server');
  const a = await engine.client();
  await a.broker.subscribe('room');
  await a.broker.subscribe('stays');
  const followed = async (): Promise<readonly unknown[]> => {
    const names = await server.admin.call('PUBSUB', 'CHANNELS', '*:c:*');
    return Array.isArray(names) ? names.map(String).toSorted() : [];
  };
  t.same(await followed(), ['test:c:{room}', 'test:c:{stays}']);
  server.child.signal('SIGSTOP');
  await t.rejects(a.broker.subscribe('late'), UnavailableError);
  // By now calls are refused.
  await a.broker.unsubscribe('room');
  await t.rejects(a.broker.subscribe('refused'), UnavailableError);
  server.child.signal('SIGCONT');
  await waitFor('the channel to be left', async () => (await followed()).join() === 'test:c:{stays}');
  await a.broker.subscribe('room');
  t.same(await followed(), ['test:c:{room}', 'test:c:{stays}']);
});
