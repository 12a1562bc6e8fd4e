// Names in Redis: one slot for each channel, and no two things under one name.
import t from 'tap';
import { Keys, NODES_TAG } from '../../../../src/engine/redis/keys.ts';

const keys = new Keys('hf');
/** Names that could be taken for something else. */
const CHANNELS = [
  'news',
  'a:b',
  '{x}',
  '}',
  '}y',
  'a}b',
  '',
  '\\',
  '\\}',
  'ü{',
  ' ',
  'nodes',
  'x'.repeat(300),
];

/** What a Cluster hashes: between the first opening brace and the first closing one after it. */
function tagOf(key: string): string {
  const from = key.indexOf('{');
  const to = key.indexOf('}', from + 1);
  return to > from + 1 ? key.slice(from + 1, to) : key;
}

t.test('all keys of one channel have the same tag, which is not empty', async (t) => {
  for (const channel of CHANNELS) {
    const all = [
      keys.stream(channel),
      keys.position(channel),
      keys.idempotency(channel, 'key'),
      keys.idempotency(channel, '}{'),
      keys.pubSub(channel),
      keys.presence(channel),
      keys.users(channel),
      keys.audience(channel),
    ];
    t.equal(new Set(all).size, all.length, 'each its own');
    t.equal(new Set(all.map(tagOf)).size, 1, `one slot for '${channel.slice(0, 10)}'`);
    t.ok(all.every((key) => tagOf(key) !== key));
  }
});

t.test('no two channels, and no channel and key, share a name', async (t) => {
  const names = CHANNELS.flatMap((channel) => [
    keys.stream(channel),
    ...['', 'a', '}', '{', ':'].map((key) => keys.idempotency(channel, key)),
  ]);
  t.equal(new Set(names).size, names.length);
  t.not(keys.idempotency('a', '}b'), keys.idempotency('a}', 'b'));
});

t.test('names of pub/sub are understood again', async (t) => {
  for (const channel of CHANNELS) {
    t.same(keys.parsePubSub(Buffer.from(keys.pubSub(channel))), { kind: 'channel', tag: channel });
  }
  t.same(keys.parsePubSub(Buffer.from(keys.nodePubSub('n1'))), { kind: 'node', tag: 'n1' });
  t.same(keys.parsePubSub(Buffer.from(keys.echo(NODES_TAG, 'n1'))), { kind: 'echo', tag: NODES_TAG });
  t.equal(keys.parsePubSub(Buffer.from('hf:s:{a}')), undefined, 'a key is no channel');
  t.equal(keys.parsePubSub(Buffer.from('x')), undefined);
});

t.test('a prefix of several bytes a character', async (t) => {
  const german = new Keys('grüße');
  t.same(german.parsePubSub(Buffer.from(german.pubSub('ä'))), { kind: 'channel', tag: 'ä' });
});
