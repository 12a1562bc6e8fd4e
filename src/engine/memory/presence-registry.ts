// Presence in the embedded engine: entries of clients per channel, each owned by the link of the worker that added it.
import type { PresenceStats } from '../presence-store.ts';

interface Entry<Owner> {
  readonly owner: Owner;
  readonly user: string;
  /** The client info as its worker encoded it. */
  readonly info: Buffer;
}

interface ChannelPresence<Owner> {
  readonly clients: Map<string, Entry<Owner>>;
  /** Number of clients by user, so that stats need no walk. */
  readonly users: Map<string, number>;
}

export class PresenceRegistry<Owner> {
  readonly #channels = new Map<string, ChannelPresence<Owner>>();
  /** Clients of each owner by channel, so that its end costs what it owned and not what there is. */
  readonly #owned = new Map<Owner, Map<string, Set<string>>>();
  #entries = 0;

  get channels(): number {
    return this.#channels.size;
  }
  get entries(): number {
    return this.#entries;
  }

  add(owner: Owner, channel: string, client: string, user: string, info: Buffer): void {
    let presence = this.#channels.get(channel);
    if (presence === undefined) {
      presence = { clients: new Map(), users: new Map() };
      this.#channels.set(channel, presence);
    }
    const previous = presence.clients.get(client);
    if (previous !== undefined) {
      this.#disown(previous.owner, channel, client);
      decrement(presence.users, previous.user);
      this.#entries -= 1;
    }
    presence.clients.set(client, { owner, user, info });
    presence.users.set(user, (presence.users.get(user) ?? 0) + 1);
    this.#entries += 1;
    this.#own(owner, channel, client);
  }

  /** Does nothing when another owner has taken the client over in the meantime. */
  remove(owner: Owner, channel: string, client: string): void {
    if (this.#channels.get(channel)?.clients.get(client)?.owner !== owner) return;
    this.#disown(owner, channel, client);
    this.#erase(channel, client);
  }

  *get(channel: string): Generator<Buffer> {
    for (const entry of this.#channels.get(channel)?.clients.values() ?? []) yield entry.info;
  }

  stats(channel: string): PresenceStats {
    const presence = this.#channels.get(channel);
    return { clients: presence?.clients.size ?? 0, users: presence?.users.size ?? 0 };
  }

  /** Removes everything of this owner. */
  drop(owner: Owner): void {
    const channels = this.#owned.get(owner);
    this.#owned.delete(owner);
    for (const [channel, clients] of channels ?? []) {
      for (const client of clients) this.#erase(channel, client);
    }
  }

  #erase(channel: string, client: string): void {
    const presence = this.#channels.get(channel);
    const entry = presence?.clients.get(client);
    if (presence === undefined || entry === undefined) return;
    presence.clients.delete(client);
    decrement(presence.users, entry.user);
    this.#entries -= 1;
    if (presence.clients.size === 0) this.#channels.delete(channel);
  }

  #own(owner: Owner, channel: string, client: string): void {
    let channels = this.#owned.get(owner);
    if (channels === undefined) this.#owned.set(owner, (channels = new Map<string, Set<string>>()));
    const clients = channels.get(channel);
    if (clients === undefined) channels.set(channel, new Set([client]));
    else clients.add(client);
  }

  #disown(owner: Owner, channel: string, client: string): void {
    const channels = this.#owned.get(owner);
    const clients = channels?.get(channel);
    clients?.delete(client);
    if (clients?.size === 0) channels?.delete(channel);
    if (channels?.size === 0) this.#owned.delete(owner);
  }
}

function decrement(counts: Map<string, number>, key: string): void {
  const count = (counts.get(key) ?? 0) - 1;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
