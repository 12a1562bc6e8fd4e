import { generateKeyPairSync } from 'node:crypto';
import { availableParallelism } from 'node:os';
import t from 'tap';
import { resolveConfig } from '../../../src/config/load.ts';
import { InvalidConfigError } from '../../../src/config/issues.ts';
import { environmentName, listOptions, pathText } from '../../../src/config/options.ts';
import type { Tree } from '../../../src/config/tree.ts';

const resolve = (tree: Tree) => resolveConfig({ environment: {} }, { tree, locate: () => 'test' });

/** What is said about a tree, as `option: message`. */
function complaints(tree: Tree): string[] {
  try {
    resolve(tree);
    return [];
  } catch (error) {
    if (!(error instanceof InvalidConfigError)) throw error;
    return error.issues.map(({ option, message }) => `${option}: ${message}`);
  }
}

const pem = (type: 'rsa' | 'ec'): string => {
  const { publicKey } =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
};

const channel = (options: Tree): Tree => ({ channel: { namespaces: [{ name: 'chat', ...options }] } });
const withHistory = { history_size: 10, history_ttl: '60s' };

t.test('without any configuration the documented defaults hold', async (t) => {
  const config = resolve({});
  t.match(config, {
    workers: availableParallelism(),
    http_server: { address: '', port: 8000, internal_address: '127.0.0.1', internal_port: null },
    client: {
      allowed_origins: [],
      ping_interval: 25_000,
      pong_timeout: 8_000,
      stale_close_delay: 10_000,
      channel_limit: 128,
      queue_max_size: 1_048_576,
      history_max_publication_limit: 300,
      insecure: false,
    },
    channel: { history_meta_ttl: 2_592_000_000, max_length: 255, private_prefix: '$', namespaces: [] },
    websocket: { message_size_limit: 65_536, handler_prefix: '/connection/websocket', write_timeout: 1_000 },
    http_api: { key: '', insecure: false, handler_prefix: '/api' },
    engine: { type: 'memory' },
    prometheus: { enabled: true, handler_prefix: '/metrics' },
    health: { enabled: true, handler_prefix: '/healthz' },
    shutdown: { timeout: 30_000 },
    log: { level: 'info' },
  });
});

t.test('every option has a description, and a variable of its own', async (t) => {
  const { options, groups } = listOptions();
  for (const option of options) {
    t.match(option.about, /^[A-Z`].*\.$/s, `${pathText(option.path)}: a sentence`);
  }
  for (const group of groups) t.match(group.about, /\.$/, pathText(group.path));
  const names = options.map(environmentName).filter((name) => name !== undefined);
  t.equal(new Set(names).size, names.length, 'no two options share a variable');
});

t.test('the configuration can travel between processes', async (t) => {
  const config = resolve(channel(withHistory));
  t.same(JSON.parse(JSON.stringify(config)), config);
});

t.test('single options', async (t) => {
  const table: readonly (readonly [name: string, tree: Tree, expected: string[]])[] = [
    ['a port as text', { http_server: { port: '9000', internal_port: '9001' } }, []],
    ['an empty internal port', { http_server: { internal_port: '' } }, []],
    ['a port too large', { http_server: { port: 65_536 } }, ['http_server.port: expected at most 65535']],
    [
      'a port too large as text',
      { http_server: { port: '65536' } },
      ['http_server.port: expected a port from 0 to 65535'],
    ],
    [
      'a port that is none',
      { http_server: { internal_port: 'http' } },
      ['http_server.internal_port: expected a port from 0 to 65535'],
    ],
    ['a negative limit', { client: { channel_limit: -1 } }, ['client.channel_limit: expected at least 1']],
    ['a fraction', { client: { channel_limit: 1.5 } }, ['client.channel_limit: expected a whole number']],
    [
      'a level too high',
      { websocket: { compression_level: 10 } },
      ['websocket.compression_level: expected at most 9'],
    ],
    ['a text for a flag', { client: { insecure: 'yes' } }, ['client.insecure: expected true or false']],
    ['a text for a list', { client: { allowed_origins: '*' } }, ['client.allowed_origins: expected a list']],
    ['a text for a group', { client: 'all' }, ['client: expected a group of options']],
    [
      'a number for a duration',
      { client: { ping_interval: 25 } },
      ['client.ping_interval: expected a duration such as "25s", "1m30s" or "720h"'],
    ],
    [
      'a duration without a unit',
      { shutdown: { timeout: '30' } },
      ['shutdown.timeout: expected a duration such as "25s", "1m30s" or "720h"'],
    ],
    [
      'a duration too short',
      { client: { ping_interval: '10ms', pong_timeout: '5ms' } },
      ['client.ping_interval: expected at least 1s', 'client.pong_timeout: expected at least 100ms'],
    ],
    [
      'sentinels without a name',
      { engine: { type: 'redis', redis: { sentinel_address: 'a:1' } } },
      ['engine.redis.sentinel_master_name: is missing'],
    ],
    [
      'a cluster and sentinels, in another database',
      {
        engine: {
          type: 'redis',
          redis: { sentinel_address: ['a'], sentinel_master_name: 'm', cluster_address: 'b:1,c:2', db: 1 },
        },
      },
      [
        'engine.redis.cluster_address: excludes sentinel_address',
        'engine.redis.db: must be 0 in a cluster, which has no other',
      ],
    ],
    [
      'a cluster on a socket',
      { engine: { type: 'redis', redis: { cluster_address: ['unix:///redis.sock'] } } },
      [
        'engine.redis.cluster_address[0]: expected an address such as "10.0.0.5:26379" or "rediss://user:password@host:26379"',
      ],
    ],
    ['another engine', { engine: { type: 'nats' } }, ['engine.type: expected one of "memory", "redis"']],
    [
      'a path without a slash',
      { http_api: { handler_prefix: 'api' } },
      ['http_api.handler_prefix: expected a path such as "/api", without a slash at the end or any of ?#:*%'],
    ],
    [
      'a path with a pattern',
      { websocket: { handler_prefix: '/rooms/:id' } },
      [
        'websocket.handler_prefix: expected a path such as "/api", without a slash at the end or any of ?#:*%',
      ],
    ],
    [
      'a broken pattern',
      channel({ channel_regex: '(' }),
      ['channel.namespaces[0].channel_regex: expected a regular expression (JavaScript syntax)'],
    ],
    ['an RSA key', { client: { token: { rsa_public_key: pem('rsa') } } }, []],
    ['an EC key', { client: { token: { ecdsa_public_key: pem('ec') } } }, []],
    [
      'an EC key for RSA',
      { client: { token: { rsa_public_key: pem('ec') } } },
      ['client.token.rsa_public_key: expected a PEM public key of type RSA'],
    ],
    [
      'a key that is none',
      { client: { token: { ecdsa_public_key: 'abc' } } },
      ['client.token.ecdsa_public_key: expected a PEM public key of type EC'],
    ],
    [
      'an endpoint without a scheme',
      { client: { token: { jwks_public_endpoint: 'example.com/keys' } } },
      ['client.token.jwks_public_endpoint: expected an address that begins with http:// or https://'],
    ],
    [
      'a control socket with a long name',
      { control: { socket: `/${'x'.repeat(107)}` } },
      ['control.socket: expected at most 107 bytes'],
    ],
    [
      'a namespace without a name',
      { channel: { namespaces: [{}] } },
      ['channel.namespaces[0].name: is required'],
    ],
    [
      'a namespace name with a space',
      { channel: { namespaces: [{ name: 'a b' }] } },
      ['channel.namespaces[0].name: expected at least two of letters, digits, "-", "_" and "."'],
    ],
    ['a delta type', channel({ allowed_delta_types: ['fossil'] }), []],
    [
      'another delta type',
      channel({ allowed_delta_types: ['xdelta'] }),
      ['channel.namespaces[0].allowed_delta_types[0]: expected one of "fossil"'],
    ],
  ];
  for (const [name, tree, expected] of table) t.same(complaints(tree), expected, name);
});

const personal = (options: Tree, rules: Tree): Tree => ({
  client: { subscribe_to_user_personal_channel: { enabled: true, ...options } },
  channel: { namespaces: [{ name: 'user', ...rules }] },
});

t.test('rules between options', async (t) => {
  const table: readonly (readonly [name: string, tree: Tree, expected: string[]])[] = [
    ['pong before the next ping', { client: { ping_interval: '10s', pong_timeout: '9s' } }, []],
    [
      'pong as late as the next ping',
      { client: { ping_interval: '10s', pong_timeout: '10s' } },
      ['client.pong_timeout: must be less than client.ping_interval (10s)'],
    ],
    ['history with both', channel(withHistory), []],
    [
      'history without a ttl',
      channel({ history_size: 10 }),
      [
        'channel.namespaces[0].history_size: needs history_ttl as well: history has a size and a time to live, or neither',
      ],
    ],
    [
      'history without a size',
      { channel: { without_namespace: { history_ttl: '60s' } } },
      [
        'channel.without_namespace.history_ttl: needs history_size as well: history has a size and a time to live, or neither',
      ],
    ],
    [
      'history in half seconds',
      channel({ history_size: 1, history_ttl: '1500ms' }),
      ['channel.namespaces[0].history_ttl: expected whole seconds'],
    ],
    [
      'history longer than its own meta ttl',
      channel({ ...withHistory, history_meta_ttl: '59s' }),
      ['channel.namespaces[0].history_ttl: must not exceed history_meta_ttl (59s)'],
    ],
    [
      'history as long as the global meta ttl',
      {
        channel: { history_meta_ttl: '60s', namespaces: [{ name: 'chat', ...withHistory }] },
      },
      [],
    ],
    [
      'history longer than the global meta ttl',
      {
        channel: { history_meta_ttl: '59s', namespaces: [{ name: 'chat', ...withHistory }] },
      },
      ['channel.namespaces[0].history_ttl: must not exceed history_meta_ttl (59s)'],
    ],
    ['recovery with history', channel({ ...withHistory, force_recovery: true }), []],
    [
      'recovery without history',
      channel({ force_recovery: true }),
      ['channel.namespaces[0].force_recovery: needs history_size and history_ttl'],
    ],
    [
      'cache recovery',
      channel({
        ...withHistory,
        force_recovery: true,
        force_recovery_mode: 'cache',
        auto_cache_recover: true,
      }),
      [],
    ],
    [
      'cache recovery in stream mode',
      channel({ ...withHistory, force_recovery: true, auto_cache_recover: true }),
      ['channel.namespaces[0].auto_cache_recover: needs force_recovery: true and force_recovery_mode: cache'],
    ],
    [
      'two namespaces with one name',
      { channel: { namespaces: [{ name: 'chat' }, { name: 'chat' }] } },
      ['channel.namespaces[1].name: is used twice'],
    ],
    [
      'audience and its pattern',
      { client: { token: { audience: 'a', audience_regex: 'b' } } },
      ['client.token.audience_regex: cannot be used together with audience'],
    ],
    [
      'issuer and its pattern',
      { client: { subscription_token: { issuer: 'a', issuer_regex: 'b' } } },
      ['client.subscription_token.issuer_regex: cannot be used together with issuer'],
    ],
    [
      'keys over plain HTTP',
      { client: { token: { jwks_public_endpoint: 'http://localhost.example/keys' } } },
      [
        'client.token.jwks_public_endpoint: must begin with https://, or whoever is on the way can sign tokens',
      ],
    ],
    [
      'keys over plain HTTP, on purpose or on this machine',
      {
        client: {
          token: { jwks_public_endpoint: 'http://a.example', insecure_skip_jwks_endpoint_safety_check: true },
          subscription_token: { jwks_public_endpoint: 'http://127.0.0.1:9000/keys' },
        },
      },
      [],
    ],
    [
      'a previous key alone',
      { client: { token: { hmac_previous_secret_key: 'a' } } },
      ['client.token.hmac_previous_secret_key: needs hmac_secret_key, the secret now in use'],
    ],
    ['personal channels', personal({ personal_channel_namespace: 'user' }, {}), []],
    [
      'personal channels of no namespace',
      personal({ personal_channel_namespace: 'usr' }, {}),
      [
        'client.subscribe_to_user_personal_channel.personal_channel_namespace: names no namespace of channel.namespaces',
      ],
    ],
    [
      'a single connection',
      personal({ personal_channel_namespace: 'user', single_connection: true }, { presence: true }),
      [],
    ],
    [
      'a single connection without presence',
      personal({ personal_channel_namespace: 'user', single_connection: true }, {}),
      [
        'client.subscribe_to_user_personal_channel.single_connection: needs presence: true in the namespace of the channel',
      ],
    ],
    [
      'a connect proxy without an address',
      { client: { proxy: { connect: { enabled: true } } } },
      ['client.proxy.connect.endpoint: is missing, and the proxy is enabled'],
    ],
    [
      'a channel proxy',
      {
        channel: {
          proxy: { subscribe: { endpoint: 'http://localhost/subscribe' } },
          without_namespace: { subscribe_proxy_enabled: true },
        },
      },
      [],
    ],
    [
      'a channel proxy without an address',
      channel({ publish_proxy_enabled: true }),
      [
        'channel.namespaces[0].publish_proxy_name: names no endpoint: channel.proxy.publish.endpoint is not set',
      ],
    ],
    [
      'a channel proxy by name',
      {
        proxies: [{ name: 'chat', endpoint: 'https://localhost' }],
        ...channel({ sub_refresh_proxy_enabled: true, sub_refresh_proxy_name: 'chat' }),
      },
      [],
    ],
    [
      'a channel proxy by a name that does not exist',
      channel({
        sub_refresh_proxy_enabled: true,
        sub_refresh_proxy_name: 'chat',
      }),
      ['channel.namespaces[0].sub_refresh_proxy_name: names no endpoint: no entry of proxies has this name'],
    ],
    [
      'an RPC proxy without an address',
      { rpc: { without_namespace: { proxy_enabled: true } } },
      ['rpc.without_namespace.proxy_name: names no endpoint: rpc.proxy.endpoint is not set'],
    ],
    ['a proxy without an address', { proxies: [{ name: 'chat' }] }, ['proxies[0].endpoint: is missing']],
    [
      'two proxies with one name',
      {
        proxies: [
          { name: 'chat', endpoint: 'http://a' },
          { name: 'chat', endpoint: 'http://b' },
        ],
      },
      ['proxies[1].name: is used twice'],
    ],
    [
      'two RPC namespaces with one name',
      { rpc: { namespaces: [{ name: 'chat' }, { name: 'chat' }] } },
      ['rpc.namespaces[1].name: is used twice'],
    ],
    [
      'two handlers on one path',
      { prometheus: { handler_prefix: '/api' } },
      ['prometheus.handler_prefix: is the path of http_api.handler_prefix already'],
    ],
    [
      'readiness on the path of liveness',
      { health: { ready_handler_prefix: '/healthz' } },
      ['health.ready_handler_prefix: is the path of health.handler_prefix already'],
    ],
    [
      'a path used by something that is off',
      {
        http_api: { disabled: true },
        prometheus: { handler_prefix: '/api' },
      },
      [],
    ],
  ];
  for (const [name, tree, expected] of table) t.same(complaints(tree), expected, name);
});

const staticHeaders = (headers: Tree): string[] => complaints({ webhooks: { static_headers: headers } });

t.test('headers that HTTP could not carry are refused, and their values not repeated', async (t) => {
  t.same(staticHeaders({ 'X-Key': 'fine' }), []);
  t.match(staticHeaders({ 'X-Key': 'secret\r\nX-Other: 1' }), [/X-Key: expected a value/]);
  t.notMatch(staticHeaders({ 'X-Key': 'secret\n' }), [/secret/]);
  t.match(staticHeaders({ 'X Key': 'secret' }), [/X Key: expected the name/]);
});
