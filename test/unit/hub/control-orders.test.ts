import t from 'tap';
import type { Connection } from '../../../src/connection/connection.ts';
import { Orders } from '../../../src/hub/control-orders.ts';
import { CloseCauses } from '../../../src/protocol/close-causes.ts';
import { deferred } from '../../helpers/deferred.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { FakeTransport } from '../../helpers/fake-transport.ts';
import { LoneConnections } from '../../helpers/lone-connection.ts';
import type { Scope } from '../../helpers/scope.ts';
import { waitFor } from '../../helpers/wait-for.ts';

function setUp(scope: Scope, count: number) {
  const all = new LoneConnections();
  const connections = Array.from({ length: count }, (_, n) =>
    all.live(new FakeTransport(), { client: `c${n}` }),
  );
  const clock = new FakeClock();
  const troubles: unknown[] = [];
  const orders = new Orders({ nowMs: () => clock.monotonicMs(), onTrouble: (error) => troubles.push(error) });
  scope.teardown(() => orders.close());
  const done: string[] = [];
  const act = (connection: Connection): void => void done.push(connection.session.client);
  return { connections, clock, orders, troubles, done, act };
}

t.test('without a pace they are done in order', async (t) => {
  const { connections, orders, done, act } = setUp(t, 5);
  orders.run({ connections, perSecond: 0, act });
  await waitFor('the end of the order', () => orders.size === 0);
  t.strictSame(done, ['c0', 'c1', 'c2', 'c3', 'c4']);
});

t.test('many are done in turns', async (t) => {
  const { connections, orders } = setUp(t, 10);
  const many = Array.from({ length: 2000 }, () => connections).flat();
  let done = 0;
  let others = 0;
  const interval = setInterval(() => {
    others += 1;
  }, 1);
  orders.run({
    connections: many,
    perSecond: 0,
    act: () => {
      done += 1;
      for (let n = 0; n < 2000; n += 1) Math.random();
    },
  });
  t.ok(done < many.length, 'not all in the first turn');
  await waitFor('the rest', () => done === many.length);
  clearInterval(interval);
  t.ok(others > 0, 'others had their turn meanwhile');
  t.equal(orders.size, 0);
});

t.test('a pace is kept', async (t) => {
  const { connections, clock, orders, done, act } = setUp(t, 50);
  orders.run({ connections, perSecond: 20, act });
  t.equal(done.length, 1);
  orders.advance();
  t.equal(done.length, 1);
  for (let ms = 0; ms < 1000; ms += 50) {
    clock.advance(50);
    orders.advance();
  }
  t.equal(done.length, 21);
  clock.advance(60_000);
  orders.advance();
  t.equal(done.length, 22, 'what was missed is not made up for in a burst');
});

t.test('the pace goes on by its own timer', async (t) => {
  const { connections, clock, orders, done, act } = setUp(t, 3);
  orders.run({ connections, perSecond: 10, act });
  for (const expected of [1, 2, 3]) {
    await waitFor(`connection ${expected}`, () => done.length === expected);
    clock.advance(100);
  }
  await waitFor('the end of the order', () => orders.size === 0);
});

t.test('connections that have ended are passed over and cost no pace', async (t) => {
  const { connections, clock, orders, done, act } = setUp(t, 10);
  orders.run({ connections, perSecond: 1, act });
  for (const connection of connections.slice(1, 9)) connection.close(CloseCauses.stale);
  clock.advance(1000);
  orders.advance();
  await waitFor('the end of the order', () => orders.size === 0);
  t.strictSame(done, ['c0', 'c9']);
});

t.test('actions that take their time are limited', async (t) => {
  const { connections, orders } = setUp(t, 100);
  const gates: ReturnType<typeof deferred<void>>[] = [];
  orders.run({
    connections,
    perSecond: 0,
    act: () => {
      const gate = deferred<void>();
      gates.push(gate);
      return gate.promise;
    },
  });
  await waitFor('as many as may be', () => gates.length === 64);
  gates[0]?.resolve();
  await waitFor('the next one', () => gates.length === 65);
  t.equal(orders.size, 1);
  for (const gate of gates) gate.resolve();
  await waitFor('all of them', () => gates.length === 100);
  for (const gate of gates) gate.resolve();
  await waitFor('the end of the order', () => orders.size === 0);
});

t.test('actions that only seem to wait do not keep others waiting', async (t) => {
  const { connections, orders } = setUp(t, 10);
  let done = 0;
  orders.run({
    connections: Array.from({ length: 1000 }, () => connections).flat(),
    perSecond: 0,
    act: async () => {
      await Promise.resolve();
      done += 1;
    },
  });
  let turns = 0;
  const others = setInterval(() => {
    turns += 1;
  }, 0);
  await waitFor('all of them', () => done === 10_000);
  clearInterval(others);
  t.ok(turns > 0, 'others had their turn meanwhile');
});

t.test('one that fails does not spoil the others', async (t) => {
  const { connections, orders, troubles } = setUp(t, 4);
  let calls = 0;
  orders.run({
    connections,
    perSecond: 0,
    act: (connection) => {
      calls += 1;
      if (connection.session.client === 'c1') throw new Error('one');
      return connection.session.client === 'c2' ? Promise.reject(new Error('two')) : undefined;
    },
  });
  await waitFor('all four', () => calls === 4);
  await waitFor('both failures', () => troubles.length === 2);
  await waitFor('the end of the order', () => orders.size === 0);
});

t.test('too many orders: the oldest loses its pace, none is lost', async (t) => {
  const { connections, orders, troubles, done, act } = setUp(t, 3);
  const [first, second, third] = connections;
  if (first === undefined || second === undefined || third === undefined) throw new Error('too few');
  for (let n = 0; n < 32; n += 1) orders.run({ connections: [first, second, third], perSecond: 1, act });
  t.equal(done.length, 32);
  orders.run({ connections: [first, second], perSecond: 1, act });
  // The two that were left of the oldest, and the first of the new one.
  await waitFor('the hurried order', () => done.length === 32 + 2 + 1);
  t.equal(orders.size, 32);
  t.match(troubles, [/oldest goes without its pace/]);
});

t.test('a drain gives up what is left, and later orders are carried out', async (t) => {
  const { connections, clock, orders, done, act } = setUp(t, 3);
  orders.run({ connections, perSecond: 1, act });
  orders.abandon();
  clock.advance(60_000);
  orders.advance();
  t.strictSame(done, ['c0']);
  orders.run({ connections: connections.slice(2), perSecond: 0, act });
  t.strictSame(done, ['c0', 'c2']);
  orders.close();
  orders.close();
  orders.run({ connections, perSecond: 0, act });
  t.strictSame(done, ['c0', 'c2']);
});
