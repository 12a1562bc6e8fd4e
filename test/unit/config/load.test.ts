import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { parseConfigFile } from '../../../src/config/config-file.ts';
import { InvalidConfigError } from '../../../src/config/issues.ts';
import { type ConfigSources, loadConfig, resolveConfig } from '../../../src/config/load.ts';
import { defaultsYaml } from '../../../src/config/reference.ts';
import { ConfigError } from '../../../src/util/errors.ts';

function errorText(source: string, name: string, sources: Partial<ConfigSources> = {}): string[] {
  try {
    resolveConfig({ environment: {}, ...sources }, parseConfigFile(source, name));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n');
  }
}

t.test('a file, the environment and flags, each stronger than the one before', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-config-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'holdfast.yaml');
  writeFileSync(
    file,
    'client:\n  channel_limit: 1\n  queue_max_size: 2000\n  connection_limit: 3\nlog: # empty\nengine:\n  type: memory\n',
  );
  const environment = {
    HOLDFAST_CONFIG: file,
    HOLDFAST_CLIENT_QUEUE_MAX_SIZE: '3000',
    HOLDFAST_CLIENT_CONNECTION_LIMIT: '4',
    PATH: '/bin',
  };
  const overrides = [{ option: 'client.connection_limit', value: '5', flag: '--set' }];
  const config = await loadConfig({ environment, overrides });
  t.match(config.client, {
    channel_limit: 1,
    queue_max_size: 3000,
    connection_limit: 5,
    ping_interval: 25_000,
  });
  t.equal(config.log.level, 'info', 'a group with nothing in it sets nothing');

  const other = join(folder, 'other.json');
  writeFileSync(other, '{\n\t"$schema": "x",\n\t"client": {"channel_limit": 7}\n}');
  t.equal(
    (await loadConfig({ environment, file: other })).client.channel_limit,
    7,
    'the flag names the file',
  );
  await t.rejects(
    loadConfig({ environment: {}, file: join(folder, 'absent.yaml') }),
    new ConfigError(`${join(folder, 'absent.yaml')}: cannot be read: no such file`),
  );
});

t.test('variables are texts, and become what the option is', async (t) => {
  const config = resolveConfig(
    {
      environment: {
        HOLDFAST_WORKERS: '3',
        HOLDFAST_HTTP_SERVER_PORT: '9000',
        HOLDFAST_HTTP_SERVER_INTERNAL_PORT: '9001',
        HOLDFAST_CLIENT_INSECURE: 'true',
        HOLDFAST_PROMETHEUS_ENABLED: '0',
        HOLDFAST_CLIENT_ALLOWED_ORIGINS: 'https://a.example, https://b.example',
        HOLDFAST_CLIENT_PING_INTERVAL: '1m',
        HOLDFAST_CHANNEL_WITHOUT_NAMESPACE_ALLOWED_DELTA_TYPES: '["fossil"]',
        HOLDFAST_CHANNEL_NAMESPACES: '[{"name":"chat","presence":true}]',
        HOLDFAST_CLIENT_PROXY_CONNECT_HTTP_STATIC_HEADERS: '{"X-A":"1"}',
        HOLDFAST_CLIENT_TOKEN_USER_ID_CLAIM: '007',
        HOLDFAST_LOG_LEVEL: 'debug',
      },
    },
    undefined,
  );
  t.match(config, {
    workers: 3,
    http_server: { port: 9000, internal_port: 9001 },
    client: {
      insecure: true,
      allowed_origins: ['https://a.example', 'https://b.example'],
      ping_interval: 60_000,
      proxy: { connect: { http: { static_headers: { 'X-A': '1' } } } },
      token: { user_id_claim: '007' },
    },
    prometheus: { enabled: false },
    channel: {
      without_namespace: { allowed_delta_types: ['fossil'] },
      namespaces: [{ name: 'chat', presence: true }],
    },
    log: { level: 'debug' },
  });
});

t.test('the entries of a list may be named, and told apart by their names', async (t) => {
  const yaml = 'channel: { namespaces: [{ name: chat, history_size: 5 }, { name: public.news }] }';
  const proxies = {
    HOLDFAST_PROXIES: 'backend',
    HOLDFAST_PROXIES_BACKEND_ENDPOINT: 'http://a.example',
    HOLDFAST_PROXIES_BACKEND_HTTP_STATIC_HEADERS: '{"X-A":"1"}',
  };
  const ofFile = resolveConfig(
    {
      environment: {
        ...proxies,
        HOLDFAST_CHANNEL_NAMESPACES_CHAT_PRESENCE: 'true',
        HOLDFAST_CHANNEL_NAMESPACES_CHAT_HISTORY_TTL: '5m',
        HOLDFAST_CHANNEL_NAMESPACES_PUBLIC_NEWS_PRESENCE: '1',
      },
    },
    parseConfigFile(yaml, 'x.yaml'),
  );
  t.match(ofFile, {
    channel: {
      namespaces: [
        { name: 'chat', history_size: 5, history_ttl: 300_000, presence: true },
        { name: 'public.news', history_size: 0, presence: true },
      ],
    },
    proxies: [{ name: 'backend', endpoint: 'http://a.example', http: { static_headers: { 'X-A': '1' } } }],
  });

  const named = { HOLDFAST_CHANNEL_NAMESPACES: 'news chat' };
  const ofNames = resolveConfig(
    {
      environment: { ...named, HOLDFAST_CHANNEL_NAMESPACES_CHAT_PRESENCE: '1', HOLDFAST_RPC_NAMESPACES: '' },
      overrides: [{ option: 'rpc.namespaces', value: 'tools', flag: '--set' }],
    },
    parseConfigFile(yaml, 'x.yaml'),
  );
  t.match(ofNames.channel.namespaces, [{ name: 'news' }, { name: 'chat', presence: true }]);
  t.equal(ofNames.channel.namespaces[1]?.history_size, 0, 'those of the file are not there any more');
  t.match(ofNames.rpc.namespaces, [{ name: 'tools' }]);

  t.same(
    errorText('', 'x.yaml', {
      environment: {
        ...named,
        HOLDFAST_CHANNEL_NAMESPACES_CHAT_PRESENC: '1',
        HOLDFAST_CHANNEL_NAMESPACES_CHAT_HISTORY_SIZE: 'many',
        HOLDFAST_RPC_NAMESPACES_TOOLS_PROXY_NAME: 'backend',
      },
    }),
    [
      'environment: HOLDFAST_CHANNEL_NAMESPACES_CHAT_PRESENC: is no option of an entry; channel.namespaces has news, chat (did you mean HOLDFAST_CHANNEL_NAMESPACES_CHAT_PRESENCE?)',
      'environment: HOLDFAST_RPC_NAMESPACES_TOOLS_PROXY_NAME: is no option of an entry; rpc.namespaces has none',
      'HOLDFAST_CHANNEL_NAMESPACES_CHAT_HISTORY_SIZE: channel.namespaces[1].history_size = "many": expected a whole number',
    ],
  );
});

t.test('every fault is told, with its place and the name that was meant', async (t) => {
  const yaml = `client:
  ping_interval: 25
  pong_timout: 8s
  token_hmac_secret_key: not-to-be-shown
channel:
  namespaces:
    - name: a
      map: {}
    - name: chat
      presense: true
log:
  level: dbug
grpc_api: {}
nothing_like_it_at_all: 1
`;
  t.same(errorText(yaml, 'holdfast.yaml'), [
    'holdfast.yaml:2: client.ping_interval = 25: expected a duration such as "25s", "1m30s" or "720h"',
    'holdfast.yaml:3: client.pong_timout: is no option (did you mean client.pong_timeout?)',
    'holdfast.yaml:4: client.token_hmac_secret_key: is no option (did you mean client.token.hmac_secret_key?)',
    'holdfast.yaml:7: channel.namespaces[0].name = "a": expected at least two of letters, digits, "-", "_" and "."',
    'holdfast.yaml:8: channel.namespaces[0].map: is not supported: only stream subscriptions exist',
    'holdfast.yaml:10: channel.namespaces[1].presense: is no option (did you mean channel.namespaces[1].presence?)',
    'holdfast.yaml:12: log.level = "dbug": expected one of "trace", "debug", "info", "warn", "error", "fatal", "none" (did you mean "debug"?)',
    'holdfast.yaml:13: grpc_api: is not supported: there is no gRPC API; use http_api',
    'holdfast.yaml:14: nothing_like_it_at_all: is no option',
  ]);
});

t.test('JSON has lines too', async (t) => {
  t.same(errorText('{\n\t"client": {\n\t\t"pong_timeout": "30s"\n\t}\n}\n', 'holdfast.json'), [
    'holdfast.json:3: client.pong_timeout = "30s": must be less than client.ping_interval (25s)',
  ]);
});

t.test('what is neither JSON nor YAML, or no options at all', async (t) => {
  t.match(errorText('client:\n  a: [1\n', 'x.yaml'), [/^x\.yaml:\d+: is neither JSON nor YAML: /]);
  t.match(errorText('a: 1\na: 2\n', 'x.yaml'), [
    /^x\.yaml:2: is neither JSON nor YAML: Map keys must be unique$/,
  ]);
  for (const toml of ['workers = 2\n', '[http_server]\nport = 8000\n'])
    t.match(errorText(toml, 'x.toml'), [
      /^x\.toml: TOML is not read: write the same options in YAML or JSON$/,
    ]);
  t.same(errorText('- 1\n', 'x.yaml'), ['x.yaml:1: expected options, found something else']);
  t.same(errorText('', 'x.yaml'), [], 'an empty file sets nothing');
});

t.test('variables and flags are named as the place of a fault', async (t) => {
  const lines = errorText('client:\n  channel_limit: 5\n', 'x.yaml', {
    environment: {
      HOLDFAST_CLIENT_CHANNEL_LIMIT: 'many',
      HOLDFAST_CLIENT_INSECUR: '1',
      HOLDFAST_CHANNEL_NAMESPACES: '[{',
      HOLDFAST_ZZZZZZZZZZZZZZZZ: '1',
    },
    overrides: [
      { option: 'client.pingg_interval', value: '1s', flag: '--set' },
      { option: 'http_server.port', value: 'http', flag: '--port' },
      { option: 'channel.namespaces[].name', value: 'x', flag: '--set' },
    ],
  });
  t.same(lines, [
    'HOLDFAST_CHANNEL_NAMESPACES: channel.namespaces: expected JSON',
    'environment: HOLDFAST_CLIENT_INSECUR: is no option (did you mean HOLDFAST_CLIENT_INSECURE?)',
    'environment: HOLDFAST_ZZZZZZZZZZZZZZZZ: is no option',
    '--set: client.pingg_interval: is no option (did you mean client.ping_interval?)',
    '--set: channel.namespaces[].name: is no option (did you mean channel.namespaces?)',
    '--port: http_server.port = "http": expected a port from 0 to 65535',
    'HOLDFAST_CLIENT_CHANNEL_LIMIT: client.channel_limit = "many": expected a whole number',
  ]);
});

t.test('no secret is ever shown', async (t) => {
  const hidden = 'correct-horse-battery-staple';
  const sources = [
    { client: { token: { hmac_secret_key: [hidden] } } },
    { client: { token: hidden } },
    { client: hidden },
    { http_api: hidden },
    { http_api: { key: { [hidden]: hidden } } },
    {
      proxies: [
        { name: 'chat', endpoint: 'http://a', http: { static_headers: { Authorization: [hidden] } } },
      ],
    },
    { proxies: [{ name: 'chat', endpoint: 'http://a', http: hidden }] },
    { client: { token_hmac_secret: hidden } },
  ];
  for (const source of sources) {
    const lines = errorText(JSON.stringify(source), 'x.json');
    t.equal(lines.length, 1, JSON.stringify(lines));
    t.notMatch(lines.join('\n'), hidden);
  }
});

t.test('issues are there for programs as well', async (t) => {
  try {
    resolveConfig({ environment: { HOLDFAST_WORKERS: '-1' } }, undefined);
    t.fail('accepted');
  } catch (error) {
    if (!(error instanceof InvalidConfigError)) throw error;
    t.same(error.issues, [
      { option: 'workers', where: 'HOLDFAST_WORKERS', value: '-1', message: 'expected at least 0' },
    ]);
  }
});

t.test('a file cannot reach beyond its own options', async (t) => {
  t.match(errorText('{"__proto__": {"polluted": 1}}', 'x.json'), [/is no option/]);
  t.equal(Reflect.get({}, 'polluted'), undefined);
});

t.test('the printed defaults change nothing', async (t) => {
  const printed = resolveConfig({ environment: {} }, parseConfigFile(defaultsYaml(), 'defaults.yaml'));
  t.same(printed, resolveConfig({ environment: {} }, undefined));
});
