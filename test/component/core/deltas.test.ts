// Which publications go out as patches: only those whose base the subscriber was sent last (client protocol §16).
import t from 'tap';
import { Core, type CoreClient } from '../../helpers/core-harness.ts';
import type { Scope } from '../../helpers/scope.ts';

const CHANNEL = {
  allow_subscribe_for_client: true,
  allow_subscribe_for_anonymous: true,
  history_size: 100,
  history_ttl: '300s',
  force_recovery: true,
  allow_tags_filter: true,
  allowed_delta_types: ['fossil'],
};

async function start(scope: Scope): Promise<Core> {
  return Core.start(scope, {
    client: { allow_anonymous_connect_without_token: true },
    channel: { without_namespace: CHANNEL },
  });
}

const text = (n: number): string => `${'a long text that stays the same '.repeat(10)}${n}`;

/** For each publication so far: whether it was a patch. */
function patches(client: CoreClient, channel = 'doc'): unknown[] {
  return client.publications(channel).map(({ delta, data }) => {
    if (delta === true && typeof data === 'string') return data.length < 100 ? 'patch' : 'long patch';
    return typeof data === 'string' && data === JSON.stringify(JSON.parse(data)) ? 'full' : 'plain';
  });
}

t.test('the first is whole, each one after it a patch, alone or in a burst', async (t) => {
  const core = await start(t);
  const [patched, plain] = [await core.connected(), await core.connected()];
  t.match(await patched.subscribe('doc', { delta: 'fossil' }), { delta: true });
  t.notOk('delta' in (await plain.subscribe('doc')));
  await core.publish('doc', text(1), { delta: true });
  await patched.receives('doc', 1);
  await core.publish('doc', text(2), { delta: true });
  await patched.receives('doc', 2);
  await Promise.all([3, 4, 5].map((n) => core.publish('doc', text(n), { delta: true })));
  await patched.receives('doc', 5);
  t.strictSame(patches(patched), ['full', 'patch', 'patch', 'patch', 'patch']);
  t.strictSame(
    await plain.receives('doc', 5),
    [1, 2, 3, 4, 5].map(text),
    'who did not ask gets what was published',
  );
});

t.test('a publisher that asks for no delta gets none', async (t) => {
  const core = await start(t);
  const client = await core.connected();
  await client.subscribe('doc', { delta: 'fossil' });
  for (const [n, delta] of [true, false, true].entries()) {
    await core.publish('doc', text(n), { delta });
    await client.receives('doc', n + 1);
  }
  t.strictSame(patches(client), ['full', 'full', 'patch']);
});

t.test('what has no offset is no base', async (t) => {
  const core = await start(t);
  const client = await core.connected();
  await client.subscribe('doc', { delta: 'fossil' });
  await core.publish('doc', text(1), { delta: true });
  await client.receives('doc', 1);
  await core.publish('doc', text(2), { delta: true, historySize: 0 });
  await client.receives('doc', 2);
  await core.publish('doc', text(3), { delta: true });
  await client.receives('doc', 3);
  t.strictSame(patches(client), ['full', 'full', 'full']);
});

t.test('recovered publications are whole, and the newest is the base of what follows', async (t) => {
  const core = await start(t);
  const before = await core.connected();
  const { epoch } = await before.subscribe('doc', { delta: 'fossil' });
  before.vanish();
  for (const n of [1, 2, 3]) await core.publish('doc', text(n), { delta: true });
  const client = await core.connected();
  const result = await client.subscribe('doc', { delta: 'fossil', recover: true, offset: 1, epoch });
  t.match(result, {
    recovered: true,
    delta: true,
    publications: [{ data: JSON.stringify(text(2)) }, { data: JSON.stringify(text(3)) }],
  });
  await core.publish('doc', text(4), { delta: true });
  await client.receives('doc', 1);
  t.strictSame(patches(client), ['patch']);
});

t.test('deltas and filters do not go together, and unknown kinds are not there', async (t) => {
  const core = await start(t);
  const client = await core.connected();
  const filter = { cmp: 'eq', key: 'k', val: 'v' };
  t.notOk('delta' in (await client.subscribe('doc', { delta: 'fossil', tf: filter })));
  t.notOk('delta' in (await client.subscribe('other', { delta: 'xdelta' })));
  await core.publish('doc', text(1), { delta: true });
  await core.publish('other', text(1), { delta: true });
  t.strictSame(await client.receives('other', 1), [text(1)]);
});
