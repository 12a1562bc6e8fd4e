// What Redis answers instead of a result, and what becomes of it for those who asked.
import { HoldfastError, UnavailableError, messageOf } from '../../util/errors.ts';

/** An error reply. Holds nothing of the command, which may carry secrets. */
export class RedisReplyError extends HoldfastError {
  /** The first word: `MOVED`, `OOM`, `NOSCRIPT`, ... */
  readonly kind: string;
  constructor(reply: string) {
    super('HOLDFAST_REDIS', reply);
    this.kind = /^[A-Z]+/.exec(reply)?.[0] ?? '';
  }
}

/** They pass, and the same command may succeed later. */
const TEMPORARY: Readonly<Record<string, string>> = {
  OOM: 'Redis is full (maxmemory)',
  READONLY: 'this Redis is a replica now',
  LOADING: 'Redis is loading its data',
  MASTERDOWN: 'the replica has lost its master',
  MISCONF: 'Redis cannot save to disk',
  NOREPLICAS: 'Redis has too few replicas',
  BUSY: 'Redis is busy with a script',
  CLUSTERDOWN: 'the Redis Cluster is down',
  TRYAGAIN: 'the Redis Cluster is moving a slot',
  MOVED: 'the Redis Cluster is being rearranged',
  ASK: 'the Redis Cluster is moving a slot',
};

/** The connection is of no use as long as the server is in this state. */
export function endsConnection({ kind }: RedisReplyError): boolean {
  return kind === 'READONLY' || kind === 'LOADING' || kind === 'MASTERDOWN';
}

/** From what ioredis rejects with. */
export function fromClient(error: unknown): RedisReplyError | UnavailableError {
  const message = messageOf(error);
  if (error instanceof Error && error.name === 'ReplyError') return new RedisReplyError(message);
  return new UnavailableError(`the connection to Redis broke: ${message}`);
}

/** For callers of the engine. */
export function asEngineError(error: unknown): unknown {
  if (!(error instanceof RedisReplyError)) return error;
  const temporary = TEMPORARY[error.kind];
  if (temporary !== undefined) return new UnavailableError(`${temporary}: ${error.message}`);
  return new HoldfastError('HOLDFAST_ENGINE', `Redis refuses: ${error.message}`);
}
