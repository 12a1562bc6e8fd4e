// Where the Redis is and how to talk to it: what the composition root makes of the configuration.

export interface RedisEndpoint {
  readonly host: string;
  readonly port: number;
}

/** Certificates are PEM texts. */
export interface RedisTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly servername?: string | undefined;
  readonly rejectUnauthorized: boolean;
}

interface Credentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: RedisTls | undefined;
}

/** One Redis: a server, a master that sentinels watch, or a Cluster. */
export type RedisTarget = Credentials &
  (
    | (RedisEndpoint & { readonly kind: 'server'; readonly db: number })
    | { readonly kind: 'socket'; readonly path: string; readonly db: number }
    | {
        readonly kind: 'sentinel';
        readonly sentinels: readonly RedisEndpoint[];
        readonly master: string;
        readonly db: number;
        readonly sentinelUsername: string | undefined;
        readonly sentinelPassword: string | undefined;
      }
    | { readonly kind: 'cluster'; readonly nodes: readonly RedisEndpoint[] }
  );

export interface RedisSettings {
  /** Several: each has its share of the channels. At least one, and the same on all hosts, in any order. */
  readonly targets: readonly RedisTarget[];
  readonly prefix: string;
  readonly connectTimeoutMs: number;
  /** Silence of a connection that owes an answer, after which it is made anew. */
  readonly ioTimeoutMs: number;
  /** What a dead worker owned is gone after so long at the latest. */
  readonly presenceTtlMs: number;
}

/** Names the target, without secrets: the same on every host that is configured alike. */
export function targetName(target: RedisTarget): string {
  switch (target.kind) {
    case 'server':
      return `${target.host}:${target.port}/${target.db}`;
    case 'socket':
      return `${target.path}/${target.db}`;
    case 'sentinel':
      return `${target.master}@${endpointNames(target.sentinels)}/${target.db}`;
    case 'cluster':
      return endpointNames(target.nodes);
  }
}

function endpointNames(endpoints: readonly RedisEndpoint[]): string {
  return endpoints
    .map(({ host, port }) => `${host}:${port}`)
    .toSorted()
    .join(',');
}
