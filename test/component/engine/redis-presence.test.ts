// Presence over Redis: its cost in a large channel, and its life with the worker that owns it.
import t from 'tap';
import type { Redis } from 'ioredis';
import { startRedisEngine } from '../../contract/redis-engine.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const MEMBERS = 10_000;
const USERS = 4_000;

/** Everything that looks at one field, or at the size, of a hash or set. */
const CHEAP = new Set([
  'hget',
  'hset',
  'hdel',
  'hincrby',
  'hlen',
  'sadd',
  'srem',
  'evalsha',
  'publish',
  'ping',
]);

function info(index: number) {
  return { user: `user${index % USERS}`, client: `client${index}` };
}

/** In portions: on a busy machine a Redis that gets everything at once may be too late with its first answer. */
async function inPortions<T>(
  items: readonly T[],
  act: (item: T, at: number) => Promise<unknown>,
): Promise<void> {
  const size = 500;
  for (let from = 0; from < items.length; from += size) {
    await Promise.all(items.slice(from, from + size).map((item, at) => act(item, from + at)));
  }
}

/** Names of the commands since the last reset. */
async function commandsOf(admin: Redis): Promise<readonly string[]> {
  const stats = await admin.info('commandstats');
  return [...stats.matchAll(/^cmdstat_([^:]+):/gm)].map(([, name = '']) => name);
}

t.test('a join in a channel of ten thousand costs what it costs in an empty one', async (t) => {
  // Long leases: their renewals shall not be among what is counted.
  const engine = await startRedisEngine(t, { presenceTtlMs: 600_000 });
  const [server] = engine.servers;
  if (server === undefined) throw new Error('there is no server');
  const [a, b] = [await engine.client(), await engine.client()];
  const members = Array.from({ length: MEMBERS }, (_, index) => info(index));
  await inPortions(members, (member, at) => (at % 2 === 0 ? a : b).presence.add('stadium', member));
  t.same(await b.presence.stats('stadium'), { clients: MEMBERS, users: USERS });

  await server.admin.config('RESETSTAT');
  for (let index = 0; index < 100; index += 1) {
    await a.presence.add('stadium', info(MEMBERS + index));
    await b.presence.stats('stadium');
    await a.presence.remove('stadium', info(MEMBERS + index).client);
  }
  const commands = (await commandsOf(server.admin)).filter((name) => !/^(?:config|info)/.test(name));
  t.ok(commands.length >= 5, commands.join(' '));
  t.same(
    commands.filter((name) => !CHEAP.has(name)),
    [],
    'nothing that walks through the members',
  );
  t.equal((await a.presence.get('stadium')).length, MEMBERS);
});

t.test('ten thousand members of a worker that ends are gone, and users are counted right', async (t) => {
  const engine = await startRedisEngine(t);
  const [a, b] = [await engine.client(), await engine.client()];
  const members = Array.from({ length: MEMBERS }, (_, index) => info(index));
  await inPortions(members, (member) => a.presence.add('stadium', member));
  await b.presence.add('stadium', { user: 'user1', client: 'tab' });
  t.same(await b.presence.stats('stadium'), { clients: MEMBERS + 1, users: USERS });
  await a.close();
  await waitFor('them to go', async () => (await b.presence.stats('stadium')).clients === 1);
  t.same(await b.presence.stats('stadium'), { clients: 1, users: 1 });
});

t.test('a member that moves to another worker stays', async (t) => {
  const engine = await startRedisEngine(t);
  const [a, b] = [await engine.client(), await engine.client()];
  await a.presence.add('room', { user: 'u', client: 'c' });
  await a.presence.add('room', { user: 'gone', client: 'gone' });
  // A hand-off: the new worker has it before the old one lets go.
  await b.presence.add('room', { user: 'u', client: 'c' });
  await a.presence.remove('room', 'c');
  t.same(await b.presence.stats('room'), { clients: 2, users: 2 }, 'the late removal of the old one is void');
  await a.close();
  await waitFor('the rest of the old one to go', async () => (await b.presence.stats('room')).clients === 1);
  t.match(await b.presence.get('room'), [{ client: 'c', user: 'u' }]);
});
