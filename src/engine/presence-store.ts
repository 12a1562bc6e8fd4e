// Who is subscribed to a channel, over all workers and hosts. What a dead worker owned disappears by itself.
import type { ClientInfo } from '../protocol/publication.ts';

export interface PresenceStats {
  readonly clients: number;
  /** Distinct user ids. */
  readonly users: number;
}

export interface PresenceStore {
  /** Adds or replaces the entry of `info.client`. */
  add(channel: string, info: ClientInfo): Promise<void>;
  remove(channel: string, client: string): Promise<void>;
  /** Forgets an entry that another process has taken over, or is about to, and leaves it where it is. */
  handOver(channel: string, client: string): void;
  get(channel: string): Promise<readonly ClientInfo[]>;
  stats(channel: string): Promise<PresenceStats>;
}
