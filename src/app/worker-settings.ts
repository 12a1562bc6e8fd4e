// From the configuration as written to what the rooms of a worker take.
import type { CommandSettings } from '../commands/command-deps.ts';
import type { Config } from '../config/schema.ts';
import type { ConnectionShared } from '../connection/surroundings.ts';
import type { AdmissionLimits } from '../gateway/admission.ts';
import type { LogLevel } from '../observe/logger.ts';
import { unidirectionalCause } from '../protocol/unidirectional.ts';
import { forwardedHeaderNames } from './webhook-settings.ts';

export function commandSettings(config: Config): CommandSettings {
  const { client, channel } = config;
  const codes = client.connect_code_to_unidirectional_disconnect;
  return {
    insecure: client.insecure,
    allowAnonymousConnectWithoutToken: client.allow_anonymous_connect_without_token,
    disallowAnonymousConnectionTokens: client.disallow_anonymous_connection_tokens,
    userIdHttpHeader: client.user_id_http_header.toLowerCase(),
    keptEmulatedHeaders: forwardedHeaderNames(config).emulated,
    channelLimit: client.channel_limit,
    historyMaxPublications: client.history_max_publication_limit,
    recoveryMaxPublications: client.recovery_max_publication_limit,
    expiredCloseDelayMs: client.expired_close_delay,
    expiredSubCloseDelayMs: client.expired_sub_close_delay,
    includeServerTime: client.connect_include_server_time,
    pingIntervalMs: client.ping_interval,
    singleConnection: client.subscribe_to_user_personal_channel.single_connection,
    personalChannelPrefix: personalChannelPrefix(client.subscribe_to_user_personal_channel, channel),
    unidirectionalCause: (error) => unidirectionalCause(error, codes.enabled ? codes.transforms : undefined),
  };
}

function personalChannelPrefix(
  personal: Config['client']['subscribe_to_user_personal_channel'],
  channel: Config['channel'],
): string | undefined {
  if (!personal.enabled) return undefined;
  const namespace = personal.personal_channel_namespace;
  return (namespace === '' ? '' : namespace + channel.namespace_boundary) + channel.user_boundary;
}

export function connectionLimits(
  config: Config,
): Pick<ConnectionShared, 'outboxLimits' | 'staleCloseDelayMs' | 'timing' | 'concurrency' | 'inboundBytes'> {
  const { client, outbox } = config;
  const { bytes_per_second: perSecond } = client.rate_limit;
  return {
    outboxLimits: { maxBytes: client.queue_max_size, maxFrames: outbox.max_messages },
    staleCloseDelayMs: client.stale_close_delay,
    timing: { pingIntervalMs: client.ping_interval, pongTimeoutMs: client.pong_timeout },
    concurrency: Math.max(1, client.concurrency),
    inboundBytes: perSecond > 0 ? { perSecond, burst: perSecond } : undefined,
  };
}

/** A worker's share of what the host may have; the shares add up to at least the limit. */
export function admissionLimits(config: Config, workers: number): AdmissionLimits {
  return {
    maxConnections: Math.ceil(config.client.connection_limit / workers),
    connectionsPerSecond: Math.ceil(config.client.connection_rate_limit / workers),
  };
}

/** Whether somebody would be told that a channel is occupied or vacated. */
export function wantsOccupancy({ app, webhooks }: Config): boolean {
  const isTold = webhooks.endpoint !== '' && webhooks.events.some((event) => event.startsWith('channel_'));
  return isTold || app.module !== '';
}

export function logLevel(config: Config): LogLevel {
  return config.log.level === 'none' ? 'silent' : config.log.level;
}
