// Every host gives a channel to the same server, and a new server takes only its share.
import t from 'tap';
import type { Shard } from '../../../../src/engine/redis/shard.ts';
import { ShardRing } from '../../../../src/engine/redis/shard-ring.ts';

class NamedShard implements Shard {
  readonly name: string;
  readonly up = true;
  readonly publishCommand = 'PUBLISH';
  readonly nodes = [];
  readonly health = [];
  refusalNow: Error | undefined;

  constructor(name: string) {
    this.name = name;
  }
  open(): void {
    this.refusalNow = undefined;
  }
  async close(): Promise<void> {}
  refusal(): Error | undefined {
    return this.refusalNow;
  }
  async call(): Promise<unknown> {
    return this.name;
  }
  async run(): Promise<unknown> {
    return this.name;
  }
  async subscribe(): Promise<void> {}
  unsubscribe(): void {}
}

const NAMES = ['10.0.0.1:6379/0', '10.0.0.2:6379/0', '10.0.0.3:6379/0', '10.0.0.4:6379/0'];
const CHANNELS = Array.from({ length: 4000 }, (_, index) => `channel:${index}`);

function ring(names: readonly string[]): ShardRing {
  return new ShardRing(names.map((name) => new NamedShard(name)));
}

function shares(of: ShardRing): Map<string, number> {
  const counts = new Map<string, number>();
  for (const channel of CHANNELS) {
    const { name } = of.of(channel);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

t.test('the order in the configuration does not matter, and shares are alike', async (t) => {
  const [one, other] = [ring(NAMES), ring(NAMES.toReversed())];
  for (const channel of CHANNELS) if (one.of(channel).name !== other.of(channel).name) t.fail(channel);
  for (const [name, count] of shares(one)) t.ok(count > 800 && count < 1200, `${name}: ${count} of 4000`);
  t.equal(shares(one).size, NAMES.length);
});

t.test('one more server moves nothing but its own share', async (t) => {
  const [before, after] = [ring(NAMES.slice(0, 3)), ring(NAMES)];
  const moved = CHANNELS.filter((channel) => before.of(channel).name !== after.of(channel).name);
  t.ok(moved.every((channel) => after.of(channel).name === NAMES[3]));
  t.ok(moved.length > 800 && moved.length < 1200, `${moved.length} of 4000`);
});

t.test('what lives nowhere goes where it can', async (t) => {
  const shards = NAMES.map((name) => new NamedShard(name));
  const all = new ShardRing(shards);
  for (const shard of shards.slice(0, 3)) shard.refusalNow = new Error('away');
  t.equal(all.anyUp('tag').name, NAMES[3]);
  for (const shard of shards) shard.refusalNow = new Error('away');
  t.equal(all.anyUp('tag'), all.of('tag'), 'and fails where it belongs when there is none');
  t.throws(() => new ShardRing([]).of('a'), TypeError);
});
