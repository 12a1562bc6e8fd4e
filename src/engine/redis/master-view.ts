// What sentinels say of the master, and whom of them to believe. Pure.
import type { Endpoint } from './settings.ts';

export interface MasterView extends Endpoint {
  /** Counts failovers. */
  readonly epoch: number;
}

/**
 * Of views that differ the one with the highest epoch is right, and none that is older than what was known: a sentinel that
 * missed a failover may be the only one that answers. Only most of all sentinels together may go back, for they were set up anew then.
 */
export function chooseMaster(
  views: readonly MasterView[],
  known: MasterView | undefined,
  sentinels: number,
): MasterView | undefined {
  let best: MasterView | undefined;
  for (const view of views) if (best === undefined || view.epoch > best.epoch) best = view;
  if (best === undefined || known === undefined || best.epoch >= known.epoch) return best ?? known;
  const { host, port } = best;
  const agreeing = views.filter((view) => view.host === host && view.port === port).length;
  return agreeing * 2 > sentinels ? best : known;
}

/** Of the answer to `SENTINEL MASTER`: names and values in turn. */
export function parseMaster(answer: unknown): MasterView | undefined {
  if (!Array.isArray(answer)) return undefined;
  const flat: readonly unknown[] = answer;
  const fields = new Map<string, string>();
  for (let at = 0; at + 1 < flat.length; at += 2) fields.set(String(flat[at]), String(flat[at + 1]));
  const host = fields.get('ip');
  const port = Number(fields.get('port'));
  if (host === undefined || !Number.isInteger(port)) return undefined;
  return { host, port, epoch: Number(fields.get('config-epoch') ?? 0) };
}
