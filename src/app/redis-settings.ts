// From the configuration as written to what the Redis engine takes.
import { readFileSync } from 'node:fs';
import { parseRedisAddress } from '../config/redis-address.ts';
import type { Config } from '../config/schema.ts';
import type { RedisSettings, RedisTarget, RedisTls } from '../engine/redis/settings.ts';
import { ConfigError } from '../util/errors.ts';

type RedisConfig = Config['engine']['redis'];

/** Throws ConfigError when a certificate cannot be read. */
export function redisSettings(config: RedisConfig): RedisSettings {
  return {
    targets: targets(config),
    prefix: config.prefix,
    connectTimeoutMs: config.connect_timeout,
    ioTimeoutMs: config.io_timeout,
    presenceTtlMs: config.presence_ttl,
  };
}

function targets(config: RedisConfig): RedisTarget[] {
  const { db } = config;
  const tls = tlsSettings(config.tls);
  const own = { username: orNone(config.user), password: orNone(config.password) };
  const always = config.tls.enabled ? tls : undefined;
  return config.address.flatMap((text) => {
    const address = parseRedisAddress(text);
    if (address === undefined) return [];
    const common = {
      db: address.db ?? db,
      username: orNone(address.user) ?? own.username,
      password: orNone(address.password) ?? own.password,
      tls: address.tls ? tls : always,
    };
    const target: RedisTarget =
      'path' in address.at
        ? { kind: 'socket', path: address.at.path, ...common }
        : { kind: 'server', ...address.at, ...common };
    return [target];
  });
}

function tlsSettings(tls: RedisConfig['tls']): RedisTls {
  return {
    ca: pem(tls.server_ca_pem, 'server_ca_pem'),
    cert: pem(tls.cert_pem, 'cert_pem'),
    key: pem(tls.key_pem, 'key_pem'),
    servername: orNone(tls.server_name),
    rejectUnauthorized: !tls.insecure_skip_verify,
  };
}

function pem(value: string, option: string): string | undefined {
  if (value === '' || value.startsWith('-----BEGIN')) return orNone(value);
  try {
    return readFileSync(value, 'utf8');
  } catch (error) {
    throw new ConfigError(`engine.redis.tls.${option}: the file cannot be read`, { cause: error });
  }
}

function orNone(text: string): string | undefined {
  return text === '' ? undefined : text;
}
