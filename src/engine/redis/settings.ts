// Where the Redis is and how to talk to it: what the composition root makes of the configuration.

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

/** One Redis server. */
export type RedisTarget = Credentials &
  (
    | { readonly kind: 'server'; readonly host: string; readonly port: number; readonly db: number }
    | { readonly kind: 'socket'; readonly path: string; readonly db: number }
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
  }
}
