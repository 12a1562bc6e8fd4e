// Options that files written for Centrifugo may hold and that have no place here: said plainly instead of "no option".

const REASONS: readonly (readonly [path: string, reason: string])[] = [
  ['grpc_api', 'there is no gRPC API; use http_api'],
  ['uni_grpc', 'there is no gRPC transport'],
  ['webtransport', 'there is no WebTransport'],
  ['consumers', 'there are no consumers; publish through http_api'],
  ['broker', 'the engine is chosen with engine.type'],
  ['presence_manager', 'the engine is chosen with engine.type'],
  ['map_broker', 'there are no map subscriptions'],
  ['shared_poll', 'there are no shared-poll subscriptions'],
  ['nats', 'there is no NATS engine'],
  ['graphite', 'metrics are read by Prometheus'],
  ['debug', 'use the inspector of Node'],
  ['swagger', 'there is no browsable API page'],
  ['usage_stats', 'nothing is sent anywhere'],
  ['websocket.read_buffer_size', 'Node sizes its buffers itself'],
  ['websocket.write_buffer_size', 'Node sizes its buffers itself'],
  ['websocket.use_write_buffer_pool', 'Node sizes its buffers itself'],
];

const CHANNEL_KEYS: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^(?:subscription_type|map|map_\w+)$/, 'only stream subscriptions exist'],
  [/^shared_poll$/, 'there are no shared-poll subscriptions'],
  [/^subscribe_stream_proxy_\w+$/, 'there are no subscribe streams; use subscribe_proxy_enabled'],
];

/** Why the option does not exist here, or undefined for a name that is simply unknown. */
export function foreignReason(path: readonly string[]): string | undefined {
  const text = path.join('.');
  const exact = REASONS.find(([name]) => name === text);
  if (exact !== undefined) return exact[1];
  if (path[0] !== 'channel') return undefined;
  return CHANNEL_KEYS.find(([pattern]) => pattern.test(path.at(-1) ?? ''))?.[1];
}
