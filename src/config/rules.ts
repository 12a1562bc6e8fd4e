// Rules between options: what one field alone cannot say.
import { formatDuration } from './duration.ts';
import type { ChannelRules } from './sections/channel.ts';
import type { TokenConfig } from './sections/token.ts';
import type { Config } from './schema.ts';

export interface RuleIssue {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export function checkRules(config: Config): RuleIssue[] {
  return [
    ...clientRules(config.client),
    ...tokenRules(config.client.token, ['client', 'token']),
    ...tokenRules(config.client.subscription_token, ['client', 'subscription_token']),
    ...channelRules(config),
    ...personalChannelRules(config),
    ...proxyRules(config),
    ...redisRules(config),
    ...mountRules(config),
  ];
}

function* clientRules(client: Config['client']): Generator<RuleIssue> {
  if (client.pong_timeout >= client.ping_interval) {
    yield {
      path: ['client', 'pong_timeout'],
      message: `must be less than client.ping_interval (${formatDuration(client.ping_interval)})`,
    };
  }
  for (const scope of ['connection', 'user'] as const) {
    const names = client.rate_limit[scope].map(({ command: name }) => ({ name }));
    for (const { path, message } of uniqueNames(names, ['client', 'rate_limit', scope])) {
      yield { path: [...path.slice(0, -1), 'command'], message };
    }
  }
}

function* tokenRules(token: TokenConfig, path: readonly string[]): Generator<RuleIssue> {
  for (const name of ['audience', 'issuer'] as const) {
    if (token[name] !== '' && token[`${name}_regex`] !== '') {
      yield { path: [...path, `${name}_regex`], message: `cannot be used together with ${name}` };
    }
  }
  if (isUnsafe(token.jwks_public_endpoint) && !token.insecure_skip_jwks_endpoint_safety_check) {
    yield {
      path: [...path, 'jwks_public_endpoint'],
      message: 'must begin with https://, or whoever is on the way can sign tokens',
    };
  }
  if (token.hmac_previous_secret_key !== '' && token.hmac_secret_key === '') {
    yield {
      path: [...path, 'hmac_previous_secret_key'],
      message: 'needs hmac_secret_key, the secret now in use',
    };
  }
}

/** Plain HTTP that leaves the machine. */
function isUnsafe(endpoint: string): boolean {
  return (
    endpoint.startsWith('http://') && !/^http:\/\/(?:localhost|127\.[\d.]+|\[::1\])(?:[:/]|$)/.test(endpoint)
  );
}

function* channelRules(config: Config): Generator<RuleIssue> {
  const { channel } = config;
  yield* channelOptionRules(channel.without_namespace, ['channel', 'without_namespace'], channel);
  yield* uniqueNames(channel.namespaces, ['channel', 'namespaces']);
  for (const [index, namespace] of channel.namespaces.entries()) {
    yield* channelOptionRules(namespace, ['channel', 'namespaces', index], channel);
  }
}

function* channelOptionRules(
  options: ChannelRules,
  path: readonly (string | number)[],
  channel: Config['channel'],
): Generator<RuleIssue> {
  const hasHistory = options.history_size > 0 && options.history_ttl > 0;
  if (options.history_size > 0 !== options.history_ttl > 0) {
    const [set, unset] =
      options.history_size > 0 ? ['history_size', 'history_ttl'] : ['history_ttl', 'history_size'];
    yield {
      path: [...path, set],
      message: `needs ${unset} as well: history has a size and a time to live, or neither`,
    };
  }
  if (options.history_ttl % 1_000 !== 0) {
    yield { path: [...path, 'history_ttl'], message: 'expected whole seconds' };
  }
  const metaTtlMs = options.history_meta_ttl || channel.history_meta_ttl;
  if (options.history_ttl > metaTtlMs) {
    yield {
      path: [...path, 'history_ttl'],
      message: `must not exceed history_meta_ttl (${formatDuration(metaTtlMs)})`,
    };
  }
  if (options.force_recovery && !hasHistory) {
    yield { path: [...path, 'force_recovery'], message: 'needs history_size and history_ttl' };
  }
  if (options.auto_cache_recover && !(options.force_recovery && options.force_recovery_mode === 'cache')) {
    yield {
      path: [...path, 'auto_cache_recover'],
      message: 'needs force_recovery: true and force_recovery_mode: cache',
    };
  }
}

function* personalChannelRules({ client, channel }: Config): Generator<RuleIssue> {
  const personal = client.subscribe_to_user_personal_channel;
  if (!personal.enabled) return;
  const path = ['client', 'subscribe_to_user_personal_channel'];
  const name = personal.personal_channel_namespace;
  const options =
    name === '' ? channel.without_namespace : channel.namespaces.find((namespace) => namespace.name === name);
  if (options === undefined) {
    yield {
      path: [...path, 'personal_channel_namespace'],
      message: 'names no namespace of channel.namespaces',
    };
  } else if (personal.single_connection && !options.presence) {
    yield {
      path: [...path, 'single_connection'],
      message: 'needs presence: true in the namespace of the channel',
    };
  }
}

function* proxyRules(config: Config): Generator<RuleIssue> {
  const names = new Set(config.proxies.map((proxy) => proxy.name));
  yield* uniqueNames(config.proxies, ['proxies']);
  yield* uniqueNames(config.rpc.namespaces, ['rpc', 'namespaces']);
  for (const [index, proxy] of config.proxies.entries()) {
    if (proxy.endpoint === '') yield { path: ['proxies', index, 'endpoint'], message: 'is missing' };
  }
  for (const kind of ['connect', 'refresh'] as const) {
    const proxy = config.client.proxy[kind];
    if (proxy.enabled && proxy.endpoint === '') {
      yield { path: ['client', 'proxy', kind, 'endpoint'], message: 'is missing, and the proxy is enabled' };
    }
  }
  const check = function* (
    name: string,
    endpoint: string,
    path: readonly (string | number)[],
    key: string,
  ): Generator<RuleIssue> {
    if (name === 'default' ? endpoint === '' : !names.has(name)) {
      const fix = name === 'default' ? `${key}.endpoint is not set` : 'no entry of proxies has this name';
      yield { path, message: `names no endpoint: ${fix}` };
    }
  };
  for (const [options, path] of optionsOf(config.channel, 'channel')) {
    for (const kind of ['subscribe', 'publish', 'sub_refresh'] as const) {
      if (!options[`${kind}_proxy_enabled`]) continue;
      const { endpoint } = config.channel.proxy[kind];
      yield* check(
        options[`${kind}_proxy_name`],
        endpoint,
        [...path, `${kind}_proxy_name`],
        `channel.proxy.${kind}`,
      );
    }
  }
  for (const [options, path] of optionsOf(config.rpc, 'rpc')) {
    if (!options.proxy_enabled) continue;
    yield* check(options.proxy_name, config.rpc.proxy.endpoint, [...path, 'proxy_name'], 'rpc.proxy');
  }
}

function* optionsOf<T>(
  section: { readonly without_namespace: T; readonly namespaces: readonly T[] },
  name: string,
): Generator<[options: T, path: (string | number)[]]> {
  yield [section.without_namespace, [name, 'without_namespace']];
  for (const [index, namespace] of section.namespaces.entries())
    yield [namespace, [name, 'namespaces', index]];
}

function* redisRules({ engine }: Config): Generator<RuleIssue> {
  const { type, redis } = engine;
  if (type !== 'redis') return;
  const path = ['engine', 'redis'];
  if (redis.address.length === 0) yield { path: [...path, 'address'], message: 'is missing' };
  if (redis.sentinel_address.length > 0 && redis.sentinel_master_name === '') {
    yield { path: [...path, 'sentinel_master_name'], message: 'is missing' };
  }
  if (redis.cluster_address.length > 0 && redis.sentinel_address.length > 0) {
    yield { path: [...path, 'cluster_address'], message: 'excludes sentinel_address' };
  }
  if (redis.cluster_address.length > 0 && redis.db !== 0) {
    yield { path: [...path, 'db'], message: 'must be 0 in a cluster, which has no other' };
  }
  if (redis.tls.cert_pem === '' && redis.tls.key_pem !== '') {
    yield { path: [...path, 'tls', 'key_pem'], message: 'needs cert_pem as well' };
  }
}

function* uniqueNames(
  entries: readonly { readonly name: string }[],
  path: readonly string[],
): Generator<RuleIssue> {
  const seen = new Set<string>();
  for (const [index, { name }] of entries.entries()) {
    if (seen.has(name)) yield { path: [...path, index, 'name'], message: 'is used twice' };
    seen.add(name);
  }
}

/** Two handlers on one path would hide one of them. */
function* mountRules(config: Config): Generator<RuleIssue> {
  const taken = new Map<string, string>();
  const mounts: [prefix: string, isOn: boolean, path: string[]][] = [
    [config.websocket.handler_prefix, !config.websocket.disabled, ['websocket']],
    [config.http_stream.handler_prefix, config.http_stream.enabled, ['http_stream']],
    [config.sse.handler_prefix, config.sse.enabled, ['sse']],
    [config.emulation.handler_prefix, config.http_stream.enabled || config.sse.enabled, ['emulation']],
    [config.uni_websocket.handler_prefix, config.uni_websocket.enabled, ['uni_websocket']],
    [config.uni_http_stream.handler_prefix, config.uni_http_stream.enabled, ['uni_http_stream']],
    [config.uni_sse.handler_prefix, config.uni_sse.enabled, ['uni_sse']],
    [config.http_api.handler_prefix, !config.http_api.disabled, ['http_api']],
    [config.prometheus.handler_prefix, config.prometheus.enabled, ['prometheus']],
    [config.health.handler_prefix, config.health.enabled, ['health']],
    [config.health.ready_handler_prefix, config.health.enabled, ['health', 'ready']],
  ];
  for (const [prefix, isOn, [section = '', kind]] of mounts) {
    if (!isOn) continue;
    const key = kind === undefined ? 'handler_prefix' : `${kind}_handler_prefix`;
    const other = taken.get(prefix);
    if (other !== undefined) yield { path: [section, key], message: `is the path of ${other} already` };
    else taken.set(prefix, `${section}.${key}`);
  }
}
