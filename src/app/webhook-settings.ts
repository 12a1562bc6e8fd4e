// From the configuration of proxies as written to what webhooks take.
import type { Config } from '../config/schema.ts';
import type { NoticeSettings } from '../hooks/notices/notice-sender.ts';
import type { EndpointSettings, StatusMeaning, WebhookSettings } from '../hooks/webhooks/settings.ts';
import { applicationCause } from '../protocol/close-causes.ts';
import { ReplyErrors } from '../protocol/reply-errors.ts';

type ProxyConfig = Config['channel']['proxy']['subscribe'];

export function webhookSettings(config: Config): WebhookSettings {
  const { connect, refresh } = config.client.proxy;
  const { subscribe, publish, sub_refresh: subRefresh } = config.channel.proxy;
  // One object for each endpoint, so that events which share one share its connections.
  const named = config.proxies.map((proxy) => [proxy.name, endpointSettings(proxy)] as const);
  const withDefault = (proxy: ProxyConfig): ReadonlyMap<string, EndpointSettings> =>
    new Map([...named, ...(proxy.endpoint === '' ? [] : [[DEFAULT, endpointSettings(proxy)] as const])]);
  const rpc = withDefault(config.rpc.proxy);
  const rpcEndpoint = (rules: Config['rpc']['without_namespace']): EndpointSettings | undefined =>
    rules.proxy_enabled ? rpc.get(rules.proxy_name) : undefined;
  return {
    connect: connect.enabled ? endpointSettings(connect) : undefined,
    refresh: refresh.enabled ? endpointSettings(refresh) : undefined,
    subscribe: withDefault(subscribe),
    publish: withDefault(publish),
    subRefresh: withDefault(subRefresh),
    rpc: {
      boundary: config.rpc.namespace_boundary,
      withoutNamespace: rpcEndpoint(config.rpc.without_namespace),
      namespaces: new Map(
        config.rpc.namespaces.flatMap((rules) => {
          const endpoint = rpcEndpoint(rules);
          return endpoint === undefined ? [] : [[rules.name, endpoint] as const];
        }),
      ),
    },
  };
}

const DEFAULT = 'default';

/** Lower-case names of the headers that an endpoint or the app module wants; nobody needs to remember others. */
export function forwardedHeaderNames(config: Config): {
  readonly http: string[];
  readonly emulated: string[];
} {
  const all = [
    ...Object.values(config.client.proxy).filter((proxy) => proxy.enabled),
    ...Object.values(config.channel.proxy),
    config.rpc.proxy,
    ...config.proxies,
    ...(config.app.module === '' ? [] : [config.app]),
  ];
  return {
    http: [...new Set(all.flatMap((proxy) => lowerCase(proxy.http_headers)))],
    emulated: [...new Set(all.flatMap((proxy) => lowerCase(proxy.emulated_headers)))],
  };
}

/** Undefined: nobody is told of anything. */
export function noticeSettings({ webhooks }: Config): NoticeSettings | undefined {
  if (webhooks.endpoint === '') return undefined;
  return {
    url: webhooks.endpoint,
    kinds: new Set(webhooks.events),
    secret: webhooks.secret,
    staticHeaders: Object.fromEntries(
      Object.entries(webhooks.static_headers).map(([name, value]) => [name.toLowerCase(), value]),
    ),
    includeMeta: webhooks.include_connection_meta,
    timeoutMs: webhooks.timeout,
    maxBatch: webhooks.batch_max_size,
    maxDelayMs: webhooks.batch_max_delay,
    maxEvents: webhooks.queue_max_size,
    maxBytes: webhooks.queue_max_bytes,
    retryMinMs: webhooks.retry_min_delay,
    retryMaxMs: webhooks.retry_max_delay,
    flushMs: webhooks.flush_timeout,
  };
}

function endpointSettings(proxy: ProxyConfig): EndpointSettings {
  return {
    url: proxy.endpoint,
    timeoutMs: proxy.timeout,
    httpHeaders: lowerCase(proxy.http_headers),
    emulatedHeaders: lowerCase(proxy.emulated_headers),
    staticHeaders: proxy.http.static_headers,
    includeMeta: proxy.include_connection_meta,
    binary: proxy.binary_encoding,
    statuses: new Map(
      proxy.http.status_to_code_transforms.map((transform) => [transform.status_code, meaningOf(transform)]),
    ),
  };
}

function meaningOf({
  to_error: error,
  to_disconnect: disconnect,
}: ProxyConfig['http']['status_to_code_transforms'][number]): StatusMeaning {
  if (disconnect !== undefined) {
    return { kind: 'disconnect', cause: applicationCause(disconnect.code, disconnect.reason) };
  }
  return { kind: 'error', error: error ?? ReplyErrors.internal };
}

function lowerCase(names: readonly string[]): string[] {
  return names.map((name) => name.toLowerCase());
}
