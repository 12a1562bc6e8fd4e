// From the configuration as written to what the Redis engine takes.
import { readFileSync } from 'node:fs';
import { parseRedisAddress, SENTINEL_PORT } from '../config/redis-address.ts';
import type { Config } from '../config/schema.ts';
import type {
  Credentials,
  RedisSettings,
  RedisTarget,
  RedisTls,
  ServerTarget,
} from '../engine/redis/settings.ts';
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
  const { db, sentinel_address: sentinels, cluster_address: nodes } = config;
  const tls = tlsSettings(config.tls);
  const always = config.tls.enabled ? tls : undefined;
  const own = { username: orNone(config.user), password: orNone(config.password), tls: always };
  const servers = (addresses: readonly string[], credentials: Credentials, port?: number): ServerTarget[] =>
    addresses.flatMap((address) => serverTarget(address, credentials, { tls, db, port }));
  if (sentinels.length > 0) {
    const { sentinel_user: user, sentinel_password: password, sentinel_master_name: masterName } = config;
    const theirs = { username: orNone(user), password: orNone(password), tls: always };
    return [
      { kind: 'sentinel', masterName, db, ...own, sentinels: servers(sentinels, theirs, SENTINEL_PORT) },
    ];
  }
  if (nodes.length > 0) {
    const seeds = servers(nodes, own);
    // What is written in an address holds for the nodes that it names as well.
    const { username, password, tls: used } = seeds[0] ?? own;
    return [{ kind: 'cluster', seeds, username, password, tls: used }];
  }
  return servers(config.address, own);
}

function serverTarget(
  text: string,
  own: Credentials,
  rest: { readonly tls: RedisTls; readonly db: number; readonly port: number | undefined },
): ServerTarget[] {
  const address = parseRedisAddress(text, rest.port);
  if (address === undefined) return [];
  const common = {
    db: address.db ?? rest.db,
    username: orNone(address.user) ?? own.username,
    password: orNone(address.password) ?? own.password,
    tls: address.tls ? rest.tls : own.tls,
  };
  return 'path' in address.at
    ? [{ kind: 'socket', path: address.at.path, ...common }]
    : [{ kind: 'server', ...address.at, ...common }];
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
