// What ioredis needs to reach a target. It connects and reconnects; what is lost meanwhile, and how long anyone waits, is
// decided here and not by its queues.
import type { RedisOptions } from 'ioredis';
import type { RedisSettings, RedisTls, ServerTarget } from './settings.ts';

/** As ioredis wants to know it: replies have the shapes of RESP2. */
export type ConnectionOptions = RedisOptions & { readonly replyMapping: 'legacy' };

export function connectionOptions(
  target: ServerTarget,
  settings: Pick<RedisSettings, 'connectTimeoutMs' | 'ioTimeoutMs'>,
  name: string,
  retryStrategy: (attempt: number) => number,
): ConnectionOptions {
  const { username, password, tls } = target;
  return {
    ...address(target),
    db: target.db,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls: tlsOptions(tls) }),
    connectionName: name,
    connectTimeout: settings.connectTimeoutMs,
    socketTimeout: settings.ioTimeoutMs,
    disconnectTimeout: settings.connectTimeoutMs,
    replyMapping: 'legacy',
    retryStrategy,
    lazyConnect: true,
    // Nothing is kept for a connection that is not there, and nothing is sent twice.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    // Looked at by CommandLink, which wants to know more.
    enableReadyCheck: false,
    disableClientInfo: true,
  };
}

function address(target: ServerTarget): RedisOptions {
  switch (target.kind) {
    case 'server':
      return { host: target.host, port: target.port };
    case 'socket':
      return { path: target.path };
  }
}

function tlsOptions(tls: RedisTls): NonNullable<RedisOptions['tls']> {
  const { ca, cert, key, servername, rejectUnauthorized } = tls;
  return {
    rejectUnauthorized,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(servername === undefined ? {} : { servername }),
  };
}
