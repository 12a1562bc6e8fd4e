import t from 'tap';
import { channelSettings } from '../../../src/app/channel-options.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { isReplyError, Namespaces } from '../../../src/hub/namespaces.ts';

function namespaces(channel: object): Namespaces {
  const settings = channelSettings(configSchema.parse({ channel }).channel);
  return new Namespaces(settings.naming, settings.withoutNamespace, settings.namespaces);
}

/** namespace, private?, users; or the code of the error. */
function resolved(of: Namespaces, channel: string): unknown {
  const found = of.resolve(channel);
  if (isReplyError(found)) return found.code;
  return [found.options.namespace, found.isPrivate, found.users];
}

const usual = namespaces({
  namespaces: [{ name: 'chat' }, { name: 'cats', channel_regex: '^[a-zé]+$' }, { name: 'ns' }],
});

const CASES: [channel: string, expected: unknown][] = [
  ['news', ['', false, undefined]],
  ['chat:room', ['chat', false, undefined]],
  ['chat:', ['chat', false, undefined]],
  ['chat:a:b', ['chat', false, undefined]],
  [':x', 102],
  ['nobody:x', 102],
  ['constructor:x', 102],
  ['$news', ['', true, undefined]],
  ['$chat:room', ['chat', true, undefined]],
  ['chat:$room', ['chat', false, undefined]],
  ['$', ['', true, undefined]],
  ['dialog#1,2', ['', false, ['1', '2']]],
  ['#42', ['', false, ['42']]],
  ['chat:#42', ['chat', false, ['42']]],
  ['chat:room#42', ['chat', false, ['42']]],
  ['a#b#c', ['', false, ['c']]],
  ['a#', ['', false, ['']]],
  ['x'.repeat(255), ['', false, undefined]],
  ['x'.repeat(256), 107],
  ['naïve', 107],
  ['tab\there', 107],
  ['line\nbreak', 107],
  ['nul\u0000', 107],
  ['cats:mouse', ['cats', false, undefined]],
  ['cats:café', ['cats', false, undefined]],
  ['cats:MOUSE', 107],
  ['cats:mouse\n', 107],
];

t.test('names of channels', async (t) => {
  for (const [channel, expected] of CASES)
    t.strictSame(resolved(usual, channel), expected, JSON.stringify(channel));
});

t.test('separators are options, and empty ones are switched off', async (t) => {
  const odd = namespaces({
    private_prefix: '!!',
    namespace_boundary: '/',
    user_boundary: '@',
    user_separator: ';',
    max_length: 10,
    namespaces: [{ name: 'aa' }],
  });
  t.strictSame(resolved(odd, '!!aa/b@1;2'), ['aa', true, ['1', '2']]);
  t.strictSame(resolved(odd, '$a:b#1,2'), ['', false, undefined]);
  t.strictSame(resolved(odd, '12345678901'), 107);
  const plain = namespaces({ private_prefix: '', namespace_boundary: '', user_boundary: '' });
  t.strictSame(resolved(plain, '$a:b#1'), ['', false, undefined]);
});
