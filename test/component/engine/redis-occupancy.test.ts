// Over Redis one worker of all hosts tells that a channel got its first subscriber or lost its last.
import t from 'tap';
import { RedisEngine, startRedisEngine } from '../../contract/redis-engine.ts';
import { startCluster } from '../../helpers/redis-cluster.ts';
import { settings } from '../../helpers/redis.ts';
import type { Scope } from '../../helpers/scope.ts';
import { waitFor } from '../../helpers/wait-for.ts';

async function setUp(scope: Scope, engineOf = startRedisEngine) {
  const engine = await engineOf(scope);
  const told: string[] = [];
  const onOccupancy = (channel: string, isOccupied: boolean): void => {
    told.push(`${channel} ${isOccupied ? 'occupied' : 'vacated'}`);
  };
  const until = (text: string): Promise<unknown> => waitFor(`'${text}'`, () => told.includes(text));
  // Who is first and who is last is decided there, and a worker that comes late is told of as well.
  const untilMembers = (count: number): Promise<unknown> =>
    waitFor(`${count} members at Redis`, async () => (await members(engine)) === count);
  return { engine, told, until, untilMembers, client: () => engine.client({ onOccupancy }) };
}

/** Workers that have subscribers, in all channels together. */
async function members({ servers }: RedisEngine): Promise<number> {
  let count = 0;
  for (const { admin } of servers) {
    const keys = await admin.keys('test:a:*');
    const sizes = await Promise.all(keys.map((key) => admin.scard(key)));
    count += sizes.reduce((sum, size) => sum + size, 0);
  }
  return count;
}

/** What is told when each of them is occupied and vacated once, sorted. */
function eachOnce(channels: readonly string[]): string[] {
  return channels.flatMap((channel) => [`${channel} occupied`, `${channel} vacated`]).toSorted();
}

t.test('the first subscriber occupies, the last one vacates, whoever they are', async (t) => {
  const { client, told, until, untilMembers } = await setUp(t);
  const [a, b] = [await client(), await client()];
  await a.broker.subscribe('room');
  await until('room occupied');
  await b.broker.subscribe('room');
  await b.broker.subscribe('other');
  await until('other occupied');
  await untilMembers(3);
  await a.broker.unsubscribe('room');
  await a.broker.subscribe('marker');
  await until('marker occupied');
  t.notOk(told.includes('room vacated'), 'somebody is left');
  await b.broker.unsubscribe('room');
  await until('room vacated');
  t.same(told, ['room occupied', 'other occupied', 'marker occupied', 'room vacated']);
});

t.test('who changes his mind is told of once, or not at all', async (t) => {
  const { client, told, until, untilMembers, engine } = await setUp(t);
  const a = await client();
  for (let round = 0; round < 20; round += 1) {
    await a.broker.subscribe('room');
    await a.broker.unsubscribe('room');
  }
  await a.broker.subscribe('room');
  await a.broker.subscribe('marker');
  await until('marker occupied');
  await until('room occupied');
  await untilMembers(2);
  const ofRoom = told.filter((text) => text.startsWith('room'));
  t.same(
    ofRoom,
    ofRoom.map((_, at) => (at % 2 === 0 ? 'room occupied' : 'room vacated')),
    'in turns',
  );
  t.equal(ofRoom.at(-1), 'room occupied');
  const [server] = engine.servers;
  t.equal(await server?.admin.scard('test:a:{room}'), 1);
});

t.test('hundreds of channels of four workers: each change once', async (t) => {
  const { client, told, untilMembers } = await setUp(t);
  const workers = [await client(), await client(), await client(), await client()];
  const channels = Array.from({ length: 300 }, (_, index) => `channel${index}`);
  await Promise.all(workers.flatMap(({ broker }) => channels.map((channel) => broker.subscribe(channel))));
  await waitFor('all to be occupied', () => told.length >= channels.length);
  await untilMembers(workers.length * channels.length);
  t.equal(told.length, channels.length);
  await Promise.all(workers.flatMap(({ broker }) => channels.map((channel) => broker.unsubscribe(channel))));
  await waitFor('all to be vacated', () => told.length >= 2 * channels.length);
  t.same(told.toSorted(), eachOnce(channels));
});

t.test('what a worker leaves behind is told by another', async (t) => {
  const { client, told, until, engine } = await setUp(t);
  const [a, b] = [await client(), await client()];
  await a.broker.subscribe('room');
  await until('room occupied');
  await a.close();
  await until('room vacated');
  await b.broker.subscribe('room');
  await waitFor('and occupied again', () => told.length === 3);
  t.same(told, ['room occupied', 'room vacated', 'room occupied']);
  const [server] = engine.servers;
  await waitFor('nothing of it is left', async () => {
    const keys = (await server?.admin.keys('test:b:*')) ?? [];
    return keys.length === 1;
  });
});

t.test('channels on all masters of a Cluster', async (t) => {
  const { client, told, until, untilMembers } = await setUp(t, async (scope) => {
    const cluster = await startCluster(scope);
    return new RedisEngine(scope, cluster.masters, settings(cluster.target));
  });
  const [a, b] = [await client(), await client()];
  const channels = Array.from({ length: 30 }, (_, index) => `channel${index}`);
  for (const { broker } of [a, b]) await Promise.all(channels.map((channel) => broker.subscribe(channel)));
  for (const channel of channels) await until(`${channel} occupied`);
  await untilMembers(2 * channels.length);
  await Promise.all(channels.map((channel) => b.broker.unsubscribe(channel)));
  await untilMembers(channels.length);
  t.equal(told.length, channels.length, 'each once');
  // What the other one leaves behind is found on every master.
  await a.close();
  for (const channel of channels) await until(`${channel} vacated`);
  t.same(told.toSorted(), eachOnce(channels));
});

t.test('a Redis that has forgotten everything is told again', async (t) => {
  const { client, told, until, engine } = await setUp(t);
  const a = await client();
  await a.broker.subscribe('stays');
  await a.broker.subscribe('goes');
  await until('stays occupied');
  await until('goes occupied');
  await engine.stop();
  await a.broker.unsubscribe('goes');
  await engine.start();
  await until('goes vacated');
  await waitFor('what stays to be occupied anew', () => told.length === 4);
  t.same(told.toSorted(), ['goes occupied', 'goes vacated', 'stays occupied', 'stays occupied']);
});
