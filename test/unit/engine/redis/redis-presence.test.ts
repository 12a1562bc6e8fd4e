// What Redis could not be told of presence is told later: all of it, nothing else, and not everything at once.
import t from 'tap';
import { Keys } from '../../../../src/engine/redis/keys.ts';
import { RedisPresence } from '../../../../src/engine/redis/redis-presence.ts';
import { loadScripts } from '../../../../src/engine/redis/scripts.ts';
import type { ScriptCall, Shard } from '../../../../src/engine/redis/shard.ts';
import { UnavailableError } from '../../../../src/util/errors.ts';

/** Takes everything, or nothing while it is away. */
class FakeShard implements Shard {
  readonly name = 'fake';
  readonly publishCommand = 'PUBLISH';
  readonly nodes = [];
  readonly health = [];
  up = true;
  /** Calls are taken and never answered in time. */
  isSilent = false;
  readonly told: string[] = [];
  most = 0;
  #underWay = 0;

  open(): void {}
  async close(): Promise<void> {}
  refusal(): Error | undefined {
    return this.up ? undefined : new UnavailableError('away');
  }
  call(_tag: string, command: string, args: readonly unknown[]): Promise<unknown> {
    return this.#take([command, ...args].join(' '));
  }
  run(_tag: string, { script, args }: ScriptCall): Promise<unknown> {
    return this.#take(`${script.name} ${String(args[0])}`);
  }
  async subscribe(): Promise<void> {}
  unsubscribe(): void {}

  async #take(what: string): Promise<unknown> {
    this.#underWay += 1;
    this.most = Math.max(this.most, this.#underWay);
    await new Promise((resolve) => setImmediate(resolve));
    this.#underWay -= 1;
    if (!this.up || this.isSilent) throw new UnavailableError('away');
    this.told.push(what);
    return 1;
  }
}

function setUp() {
  const shard = new FakeShard();
  const state = { owner: 'owner-one-12' };
  const presence = new RedisPresence({
    keys: new Keys('p'),
    scripts: loadScripts(),
    shardOf: () => shard,
    ownerAt: () => state.owner,
  });
  return { shard, state, presence };
}

t.test('what Redis never had leaves nothing behind', async (t) => {
  const { shard, presence } = setUp();
  shard.up = false;
  await t.rejects(presence.add('room', { user: 'u', client: 'c' }), UnavailableError);
  await t.rejects(presence.remove('room', 'c'), UnavailableError);
  t.ok(presence.ownsNothingAt(shard));
  shard.up = true;
  await presence.removeLeft(shard);
  t.same(shard.told, []);
});

t.test('what Redis has, or perhaps took too late, is removed when it is back', async (t) => {
  const { shard, presence } = setUp();
  await presence.add('room', { user: 'u', client: 'a' });
  shard.isSilent = true;
  await t.rejects(presence.add('room', { user: 'u', client: 'b' }), UnavailableError);
  shard.up = false;
  await t.rejects(presence.remove('room', 'a'), UnavailableError);
  await t.rejects(presence.remove('room', 'a'), UnavailableError);
  t.notOk(presence.ownsNothingAt(shard));
  shard.up = true;
  shard.isSilent = false;
  shard.told.length = 0;
  await presence.removeLeft(shard);
  t.same(shard.told.toSorted(), ['presence-remove a', 'presence-remove b']);
  t.ok(presence.ownsNothingAt(shard));
});

t.test('thousands are removed a portion at a time', async (t) => {
  const { shard, presence } = setUp();
  const clients = Array.from({ length: 1200 }, (_, index) => `c${index}`);
  await Promise.all(clients.map((client) => presence.add('room', { user: 'u', client })));
  shard.up = false;
  await Promise.allSettled(clients.map((client) => presence.remove('room', client)));
  shard.up = true;
  shard.told.length = 0;
  shard.most = 0;
  await presence.removeLeft(shard);
  t.equal(shard.told.length, 1200);
  t.ok(shard.most <= 500, `${shard.most} at once`);
});

t.test('under a new owner a channel is listed for it, before everything is told again too', async (t) => {
  const { shard, state, presence } = setUp();
  await presence.add('room', { user: 'u', client: 'a' });
  state.owner = 'owner-two-12';
  shard.told.length = 0;
  await presence.add('room', { user: 'u', client: 'b' });
  const listings = () => shard.told.filter((what) => what.startsWith('SADD'));
  t.same(listings(), ['SADD p:o:{owner-two-12} room']);
  await presence.retell(shard);
  t.equal(listings().length, 1, 'once');
});
