// Decides what a returning subscriber gets from history (client protocol §12.2, §12.3). Pure.
import type { HistoryFilter, HistoryResult } from '../engine/broker.ts';
import type { Publication, StreamPosition } from '../protocol/publication.ts';

export interface RecoveryRequest {
  /** Last position the client has; an empty epoch is any. */
  readonly since: StreamPosition;
  /** cache: the newest value is all that counts. */
  readonly mode: 'stream' | 'cache';
}

export interface Recovery {
  readonly recovered: boolean;
  /** What the client misses, ascending; empty unless recovered. */
  readonly publications: readonly Publication[];
  /** For the reply: the request's own offset in a recovered stream, else the top. */
  readonly position: StreamPosition;
}

/** The history read that `decideRecovery` needs. */
export function recoveryFilter(
  request: RecoveryRequest | undefined,
  maxPublications: number,
  historyMetaTtlMs: number,
): HistoryFilter {
  if (request === undefined) return { limit: 0, reverse: false, historyMetaTtlMs };
  if (request.mode === 'cache') return { limit: 1, reverse: true, historyMetaTtlMs };
  return { limit: maxPublications, since: request.since, reverse: false, historyMetaTtlMs };
}

export function decideRecovery(
  request: RecoveryRequest,
  history: HistoryResult,
  maxPublications: number,
): Recovery {
  return request.mode === 'cache'
    ? fromCache(request.since, history)
    : fromStream(request.since, history, maxPublications);
}

function fromStream(since: StreamPosition, history: HistoryResult, maxPublications: number): Recovery {
  const { top, publications } = history;
  const lost: Recovery = { recovered: false, publications: [], position: top };
  if (since.epoch !== '' && since.epoch !== top.epoch) return lost;
  const missing = top.offset - since.offset;
  if (missing < 0 || missing > maxPublications || publications.length !== missing) return lost;
  // As many as are missing, so that the ends decide whether they are the right ones.
  if (missing > 0 && publications[0]?.offset !== since.offset + 1) return lost;
  return { recovered: true, publications, position: { offset: since.offset, epoch: top.epoch } };
}

function fromCache(since: StreamPosition, history: HistoryResult): Recovery {
  const { top, publications } = history;
  const newest = publications[0];
  if (newest === undefined) return { recovered: false, publications: [], position: top };
  const isKnown = newest.offset === since.offset && since.epoch === top.epoch;
  return { recovered: true, publications: isKnown ? [] : [newest], position: top };
}
