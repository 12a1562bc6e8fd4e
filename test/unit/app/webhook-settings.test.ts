import t from 'tap';
import { forwardedHeaderNames, noticeSettings, webhookSettings } from '../../../src/app/webhook-settings.ts';
import { type Config, configSchema } from '../../../src/config/schema.ts';

const config = (value: object): Config => configSchema.parse(value);

t.test('nobody is asked or told of anything by default', async (t) => {
  const settings = webhookSettings(config({}));
  t.match(settings, { connect: undefined, refresh: undefined });
  t.same([settings.subscribe.size, settings.publish.size, settings.subRefresh.size], [0, 0, 0]);
  t.equal(settings.rpc.withoutNamespace, undefined);
  t.equal(settings.rpc.namespaces.size, 0);
  t.equal(noticeSettings(config({})), undefined);
  t.same(forwardedHeaderNames(config({})), { http: [], emulated: [] });
});

t.test('endpoints by name, and what is said of each', async (t) => {
  const given = config({
    client: {
      proxy: {
        connect: {
          enabled: true,
          endpoint: 'http://a/connect',
          timeout: '3s',
          http_headers: ['Cookie', 'X-A'],
        },
        refresh: { enabled: false, endpoint: 'http://a/refresh', http_headers: ['Unused'] },
      },
    },
    channel: {
      proxy: {
        subscribe: { endpoint: 'http://a/subscribe', emulated_headers: ['X-Emulated'] },
        publish: {
          endpoint: 'http://a/publish',
          binary_encoding: true,
          include_connection_meta: true,
          http: {
            static_headers: { Authorization: 'x' },
            status_to_code_transforms: [
              { status_code: 404, to_error: { code: 404, message: 'nowhere' } },
              { status_code: 403, to_disconnect: { code: 4500, reason: 'banned' } },
              { status_code: 500 },
            ],
          },
        },
      },
    },
    rpc: {
      proxy: { endpoint: 'http://a/rpc' },
      without_namespace: { proxy_enabled: true },
      namespaces: [
        { name: 'billing', proxy_enabled: true, proxy_name: 'other' },
        { name: 'quiet', proxy_name: 'other' },
      ],
    },
    proxies: [{ name: 'other', endpoint: 'http://b/', http_headers: ['x-a'] }],
    app: { http_headers: ['X-App'] },
  });
  const settings = webhookSettings(given);
  t.match(settings.connect, { url: 'http://a/connect', timeoutMs: 3_000, httpHeaders: ['cookie', 'x-a'] });
  t.equal(settings.refresh, undefined);
  t.same([...settings.subscribe.keys()], ['other', 'default']);
  t.same([...settings.subRefresh.keys()], ['other'], 'there is no default without an address');
  const publish = settings.publish.get('default');
  t.match(publish, { binary: true, includeMeta: true, staticHeaders: { Authorization: 'x' } });
  t.match(publish?.statuses.get(404), { kind: 'error', error: { code: 404, message: 'nowhere' } });
  t.match(publish?.statuses.get(403), { kind: 'disconnect', cause: { code: 4500, reason: 'banned' } });
  t.match(publish?.statuses.get(500), { kind: 'error', error: { code: 100 } });
  t.equal(settings.rpc.withoutNamespace?.url, 'http://a/rpc');
  t.same([...settings.rpc.namespaces.keys()], ['billing']);
  t.equal(settings.rpc.namespaces.get('billing')?.url, 'http://b/');
  t.same(forwardedHeaderNames(given), { http: ['cookie', 'x-a'], emulated: ['x-emulated'] });
  t.same(forwardedHeaderNames({ ...given, app: { ...given.app, module: 'app.js' } }).http, [
    'cookie',
    'x-a',
    'x-app',
  ]);
});

t.test('who is told of events', async (t) => {
  const webhooks = {
    endpoint: 'http://a/events',
    events: ['disconnect'],
    secret: 's',
    static_headers: { 'X-Key': 'k' },
  };
  t.match(noticeSettings(config({ webhooks })), {
    url: 'http://a/events',
    kinds: new Set(['disconnect']),
    secret: 's',
    staticHeaders: { 'x-key': 'k' },
  });
});
