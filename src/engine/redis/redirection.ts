// What a Cluster answers to those who asked the wrong server, or too early. Nothing was done then, so that the same can be
// asked again.
import { RedisReplyError } from './redis-error.ts';

/**
 * moved: this server has the slot now · ask: this one has the key already, for once · again: keys are on their way
 */
export type Redirection =
  { readonly kind: 'moved' | 'ask'; /** `host:port` */ readonly server: string } | { readonly kind: 'again' };

export function redirection(error: unknown): Redirection | undefined {
  if (!(error instanceof RedisReplyError)) return undefined;
  if (error.kind === 'TRYAGAIN') return { kind: 'again' };
  const server = /^(?:MOVED|ASK) \d+ (\S+)/.exec(error.message)?.[1];
  if (server === undefined) return undefined;
  return { kind: error.kind === 'ASK' ? 'ask' : 'moved', server };
}
