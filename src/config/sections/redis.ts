// How to reach Redis, when it is the engine.
import { z } from 'zod';
import { duration, flag, integer, secret, section, text, textList } from '../fields.ts';
import { parseRedisAddress, REDIS_ADDRESS_HINT } from '../redis-address.ts';

const isAddress = (address: string): boolean => parseRedisAddress(address) !== undefined;
/** Nodes name each other by host and port. */
const isServer = (address: string): boolean => {
  const at = parseRedisAddress(address)?.at;
  return at !== undefined && 'host' in at;
};

const SERVER_HINT = 'expected an address such as "10.0.0.5:26379" or "rediss://user:password@host:26379"';

const PEM = 'PEM text, or the path of a file with it.';

const tls = section('TLS to Redis; `rediss://` in an address switches it on, too.', {
  enabled: flag('Use TLS for all addresses.'),
  server_ca_pem: text(`Authorities that Redis must be certified by. ${PEM} Empty: those of the system.`),
  cert_pem: text(`Certificate of this gateway. ${PEM}`),
  key_pem: secret(`Its private key. ${PEM}`),
  server_name: text('Name that the certificate of Redis must have. Empty: the host of the address.'),
  insecure_skip_verify: flag('Development only: accept any certificate.'),
});

export const redis = section('Where Redis is, with `engine.type: redis`. See docs/redis.md.', {
  address: textList(
    'Address of Redis: `redis://user:password@host:port/db`, `rediss://` with TLS, `unix:///path`. Several: each keeps its ' +
      'share of the channels; list the same ones on every host.',
    ['redis://127.0.0.1:6379'],
    isAddress,
    REDIS_ADDRESS_HINT,
  ),
  sentinel_address: textList(
    'Addresses of all sentinels, which name the server instead of `address`: `host:port`, or `rediss://host:port` with TLS.',
    [],
    isServer,
    SERVER_HINT,
  ),
  sentinel_master_name: text('Under which the sentinels know the servers.'),
  sentinel_user: text('ACL user of the sentinels. Empty: the default one. One in an address goes before it.'),
  sentinel_password: secret('Password for the sentinels. One in an address goes before it.'),
  cluster_address: textList(
    'Addresses of some nodes of a Redis Cluster, to be used instead of `address`; they name the others. Three are enough.',
    [],
    isServer,
    SERVER_HINT,
  ),
  user: text('ACL user. Empty: the default one. One in an address goes before it.'),
  password: secret('Password for Redis. One in an address goes before it.'),
  db: integer('Database.', 0),
  prefix: z
    .string()
    .regex(/^[^\s{}]+$/, { error: 'expected a word without braces' })
    .prefault('holdfast')
    .meta({ description: 'Begins every key and every pub/sub channel.' }),
  connect_timeout: duration('Longest time for a connection to come about.', '1s', 50),
  io_timeout: duration(
    'Silence of a connection that owes an answer, after which it is made anew.',
    '4s',
    1_000,
  ),
  presence_ttl: duration(
    'Presence of a worker that died is gone everywhere after so long at the latest.',
    '15s',
    2_000,
    600_000,
  ),
  tls,
});
