// Presence entries with owners, compared with a plain model under random changes.
import t from 'tap';
import { PresenceRegistry } from '../../../src/engine/memory/presence-registry.ts';

interface Owner {
  readonly name: string;
}

t.test('agrees with a plain list under random changes', (t) => {
  const registry = new PresenceRegistry<Owner>();
  const first: Owner = { name: 'a' };
  const owners: readonly Owner[] = [first, { name: 'b' }, { name: 'c' }];
  const model = new Map<string, { owner: Owner; channel: string; client: string; user: string }>();
  // A linear congruential generator: the same walk in every run.
  let state = 12345;
  const pick = (count: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % count;
  };
  for (let step = 0; step < 20_000; step += 1) {
    const owner = owners[pick(3)] ?? first;
    const channel = `ch${String(pick(4))}`;
    const client = `cl${String(pick(8))}`;
    const key = `${channel} ${client}`;
    const action = pick(100);
    if (action < 55) {
      const user = `u${String(pick(3))}`;
      registry.add(owner, channel, client, user, Buffer.from(`${client}${user}`));
      model.set(key, { owner, channel, client, user });
    } else if (action < 99) {
      registry.remove(owner, channel, client);
      if (model.get(key)?.owner === owner) model.delete(key);
    } else {
      registry.drop(owner);
      for (const [each, entry] of model) if (entry.owner === owner) model.delete(each);
    }
    const expected = [...model.values()].filter((entry) => entry.channel === channel);
    const got = [...registry.get(channel)].map(String);
    const { clients, users } = registry.stats(channel);
    if (
      got.length !== expected.length ||
      clients !== expected.length ||
      users !== new Set(expected.map(({ user }) => user)).size ||
      !expected.every((entry) => got.includes(`${entry.client}${entry.user}`)) ||
      registry.entries !== model.size
    ) {
      t.fail(`step ${String(step)} differs`, { got, expected, clients, users });
      break;
    }
  }
  for (const owner of owners) registry.drop(owner);
  t.equal(registry.entries, 0);
  t.equal(registry.channels, 0, 'nothing is left behind');
  t.end();
});
