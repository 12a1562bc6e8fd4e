import t from 'tap';
import { channelSettings } from '../../../src/app/channel-options.ts';
import { resolveConfig } from '../../../src/config/load.ts';
import type { Tree } from '../../../src/config/tree.ts';

const settings = (channel: Tree) =>
  channelSettings(resolveConfig({ environment: {} }, { tree: { channel }, locate: () => 'test' }).channel);

t.test('without configuration nothing is allowed or kept', async (t) => {
  const { naming, withoutNamespace, namespaces } = settings({});
  t.same(naming, {
    maxLength: 255,
    privatePrefix: '$',
    namespaceBoundary: ':',
    userBoundary: '#',
    userSeparator: ',',
  });
  t.equal(namespaces.size, 0);
  for (const [name, value] of Object.entries(withoutNamespace)) {
    if (typeof value === 'boolean') t.equal(value, false, name);
  }
  t.match(withoutNamespace, {
    namespace: '',
    historySize: 0,
    historyMetaTtlMs: 2_592_000_000,
    forceRecoveryMode: 'stream',
    channelRegex: undefined,
    subscribeProxy: undefined,
  });
});

t.test('every switch of a namespace reaches its option', async (t) => {
  const off = settings({ namespaces: [{ name: 'chat' }] }).namespaces.get('chat');
  const switches = Object.entries(off ?? {}).filter(([, value]) => value === false);
  t.ok(switches.length > 15);
  for (const [name] of switches) {
    const key = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    // Recovery needs history, and its automatic form needs cache mode.
    const needs = { history_size: 1, history_ttl: '1s', force_recovery: true, force_recovery_mode: 'cache' };
    const { namespaces } = settings({ namespaces: [{ name: 'chat', ...needs, [key]: true }] });
    t.match(namespaces.get('chat'), { [name]: true }, name);
  }
});

t.test('values are taken over, and the global ones where a namespace is silent', async (t) => {
  const { namespaces } = settings({
    history_meta_ttl: '1h',
    publication_data_format: 'json',
    proxy: { subscribe: { endpoint: 'http://a' } },
    namespaces: [
      {
        name: 'chat',
        history_size: 5,
        history_ttl: '1m',
        history_meta_ttl: '2h',
        publication_data_format: 'binary',
        force_recovery_mode: 'cache',
        allowed_delta_types: ['fossil'],
        channel_regex: '^[a-z]+$',
        subscribe_proxy_enabled: true,
      },
      { name: 'news' },
    ],
  });
  t.match(namespaces.get('chat'), {
    namespace: 'chat',
    historySize: 5,
    historyTtlMs: 60_000,
    historyMetaTtlMs: 7_200_000,
    publicationDataFormat: 'binary',
    forceRecoveryMode: 'cache',
    allowedDeltaTypes: ['fossil'],
    channelRegex: /^[a-z]+$/,
    subscribeProxy: 'default',
    publishProxy: undefined,
  });
  t.match(namespaces.get('news'), { historyMetaTtlMs: 3_600_000, publicationDataFormat: 'json' });
});
