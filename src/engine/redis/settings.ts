// Where the Redis is and how to talk to it: what the composition root makes of the configuration.

/** Certificates are PEM texts. */
export interface RedisTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly servername?: string | undefined;
  readonly rejectUnauthorized: boolean;
}

export interface Credentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: RedisTls | undefined;
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** One Redis server. */
export type ServerTarget = Credentials &
  (
    | (Endpoint & { readonly kind: 'server'; readonly db: number })
    | { readonly kind: 'socket'; readonly path: string; readonly db: number }
  );

/** The server that sentinels call the master. */
export interface SentinelTarget extends Credentials {
  readonly kind: 'sentinel';
  readonly masterName: string;
  readonly db: number;
  /** All of them: who is not here is not asked. */
  readonly sentinels: readonly ServerTarget[];
}

/** A Redis Cluster. */
export interface ClusterTarget extends Credentials {
  readonly kind: 'cluster';
  /** Some of its nodes, which know the others. */
  readonly seeds: readonly ServerTarget[];
}

export type RedisTarget = ServerTarget | SentinelTarget | ClusterTarget;

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
      return `${target.masterName}/${target.db}`;
    case 'cluster':
      return 'cluster';
  }
}
