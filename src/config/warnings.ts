// Settings that are valid and still worth a word: what `check` and the start of the gateway warn about.
import type { ChannelRules } from './sections/channel.ts';
import { pathText } from './options.ts';
import type { Config } from './schema.ts';

export interface ConfigWarning {
  readonly option: string;
  /** `danger`: it opens a door; worth a line at every start. `advice`: worth a line when somebody asks. */
  readonly risk: 'danger' | 'advice';
  readonly message: string;
}

export function configWarnings(config: Config): ConfigWarning[] {
  const { client, channel, http_api: api, http_server: server } = config;
  const warnings: ConfigWarning[] = [];
  const danger = (option: string, message: string): void =>
    void warnings.push({ option, risk: 'danger', message });
  const advise = (option: string, message: string): void =>
    void warnings.push({ option, risk: 'advice', message });

  if (client.insecure) danger('client.insecure', 'anybody may connect and do anything: for development only');
  if (client.insecure_skip_token_signature_verify) {
    danger('client.insecure_skip_token_signature_verify', 'anybody can write a token that is believed');
  }
  if (client.user_id_http_header !== '') {
    danger('client.user_id_http_header', 'is safe only behind a proxy that removes the header from requests');
  }
  if (client.allowed_origins.includes('*')) {
    danger('client.allowed_origins', 'any web page may connect in the name of its visitors');
  }
  if (api.insecure && !api.disabled)
    danger('http_api.insecure', 'anybody who reaches the port may use the API');
  if (!api.disabled && api.key !== '' && api.key.length < 16) {
    advise('http_api.key', 'is short: take at least 16 random characters');
  }
  for (const name of ['token', 'subscription_token'] as const) {
    const secret = client[name].hmac_secret_key;
    if (secret !== '' && secret.length < 32) {
      advise(`client.${name}.hmac_secret_key`, 'is short: take at least 32 random characters');
    }
  }
  if (config.webhooks.endpoint !== '' && config.webhooks.secret === '') {
    advise('webhooks.secret', 'is not set: whoever reaches the endpoint can invent events');
  }
  if (server.internal_port === null && (!api.disabled || config.prometheus.enabled)) {
    advise('http_server.internal_port', 'is not set: API and metrics share the public port with the clients');
  }
  adviseOnChannels(channel.without_namespace, ['channel', 'without_namespace'], advise);
  for (const [index, namespace] of channel.namespaces.entries()) {
    adviseOnChannels(namespace, ['channel', 'namespaces', index], advise);
  }
  return warnings;
}

function adviseOnChannels(
  rules: ChannelRules,
  path: readonly (string | number)[],
  advise: (option: string, message: string) => void,
): void {
  if (rules.allow_recovery && rules.history_size === 0) {
    advise(pathText([...path, 'allow_recovery']), 'has no effect without history_size and history_ttl');
  }
  if (rules.delta_publish && rules.allowed_delta_types.length === 0) {
    advise(pathText([...path, 'delta_publish']), 'has no effect without allowed_delta_types');
  }
}

/** True when no client could get in or, once in, subscribe to anything: the state of a fresh installation. */
export function permitsNobody(config: Config): boolean {
  const { client, channel } = config;
  if (client.insecure) return false;
  const hasKeys = [
    client.token.hmac_secret_key,
    client.token.rsa_public_key,
    client.token.ecdsa_public_key,
  ].some((key) => key !== '');
  return !(
    hasKeys ||
    client.token.jwks_public_endpoint !== '' ||
    client.allow_anonymous_connect_without_token ||
    client.insecure_skip_token_signature_verify ||
    client.user_id_http_header !== '' ||
    client.proxy.connect.enabled ||
    config.app.module !== '' ||
    channel.namespaces.length > 0
  );
}
