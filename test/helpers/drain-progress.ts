// A report of a drain as a gateway sends it: 20 connections at 10 a second.
import type { DrainProgress } from '../../src/cluster/drain/drain.ts';

export function draining(change: Partial<DrainProgress> = {}): DrainProgress {
  const closed = change.closed ?? 0;
  return {
    state: 'closing',
    reason: 'command',
    ends: false,
    total: 20,
    closed,
    remaining: 20 - closed,
    workers: 2,
    perSecond: 10,
    leftMs: (20 - closed) * 100,
    window: { neededMs: 2000, windowMs: 2000, limitMs: null, chosenMs: null },
    acceptRate: 10,
    rateFrom: 'other-hosts',
    ...change,
  };
}
