// The PresenceStore over Redis. Each entry carries the owner under whose lease this worker holds it; this worker remembers
// what it owns, to tell it again when Redis has lost it.
import type { ClientInfo } from '../../protocol/publication.ts';
import { FrameReader } from '../frame-reader.ts';
import type { PresenceStats, PresenceStore } from '../presence-store.ts';
import { readInfo } from '../publication-codec.ts';
import type { Keys } from './keys.ts';
import { MessageWriter } from './messages.ts';
import { takeOwned } from './owned-channels.ts';
import type { Scripts } from './scripts.ts';
import type { Shard } from './shard.ts';

const OWNER_BYTES = 12;
/** Told again at once; the next portion waits for the answers. */
const PORTION = 500;
/** Entries that one step of a sweep looks at. */
const SWEEP_STEP = 500;

export interface RedisPresenceDeps {
  readonly keys: Keys;
  readonly scripts: Scripts;
  readonly shardOf: (channel: string) => Shard;
  /** Under which this worker owns things there. */
  readonly ownerAt: (shard: Shard) => string;
}

interface OwnedChannel {
  readonly clients: Map<string, ClientInfo>;
  /** The channel is among those of this owner, so that a sweep finds it. */
  listed: { readonly owner: string; readonly done: Promise<unknown> } | undefined;
}

export class RedisPresence implements PresenceStore {
  readonly #deps: RedisPresenceDeps;
  readonly #writer = new MessageWriter();
  readonly #owned = new Map<string, OwnedChannel>();
  /** Clients that left while Redis was away. */
  readonly #toRemove = new Map<string, Set<string>>();
  #entries = 0;

  constructor(deps: RedisPresenceDeps) {
    this.#deps = deps;
  }

  /** Entries of this worker. */
  get entries(): number {
    return this.#entries;
  }

  ownsNothingAt(shard: Shard): boolean {
    for (const channel of [...this.#owned.keys(), ...this.#toRemove.keys()]) {
      if (this.#deps.shardOf(channel) === shard) return false;
    }
    return true;
  }

  /** Rejected, it has no effect, now or later. */
  async add(channel: string, info: ClientInfo): Promise<void> {
    const refusal = this.#deps.shardOf(channel).refusal(channel);
    if (refusal !== undefined) throw refusal;
    this.#own(channel, info);
    this.#removed(channel, info.client);
    try {
      await this.#tell(channel, info);
    } catch (error) {
      // Perhaps Redis took it, only too late.
      if (this.#owned.get(channel)?.clients.get(info.client) === info) {
        this.remove(channel, info.client).catch(() => undefined);
      }
      throw error;
    }
  }

  handOver(channel: string, client: string): void {
    this.#disown(channel, client);
  }

  async remove(channel: string, client: string): Promise<void> {
    const { shardOf, ownerAt, keys } = this.#deps;
    const shard = shardOf(channel);
    const wasOwned = this.#owned.get(channel)?.clients.has(client) === true;
    const isLast = this.#disown(channel, client);
    try {
      await this.#removeAt(shard, channel, client);
      if (isLast && !this.#owned.has(channel)) {
        const owner = ownerAt(shard);
        await shard.call(owner, 'SREM', [keys.owned(owner), channel]);
      }
    } catch (error) {
      // Redis has to hear of it, later, unless it never had it.
      const isBack = this.#owned.get(channel)?.clients.has(client) === true;
      if (wasOwned && !isBack) this.#removeLater(channel, client);
      throw error;
    }
  }

  async get(channel: string): Promise<readonly ClientInfo[]> {
    const { shardOf, keys } = this.#deps;
    const reply = await shardOf(channel).call(channel, 'HVALS', [keys.presence(channel)]);
    const entries: readonly unknown[] = Array.isArray(reply) ? reply : [];
    return entries.map((entry) => {
      if (!Buffer.isBuffer(entry)) throw new TypeError('presence in Redis holds something else than clients');
      return readInfo(FrameReader.over(entry.subarray(OWNER_BYTES)));
    });
  }

  async stats(channel: string): Promise<PresenceStats> {
    const { shardOf, keys } = this.#deps;
    const shard = shardOf(channel);
    const [clients, users] = await Promise.all([
      shard.call(channel, 'HLEN', [keys.presence(channel)]),
      shard.call(channel, 'HLEN', [keys.users(channel)]),
    ]);
    return { clients: Number(clients), users: Number(users) };
  }

  /** Removes there what could not be removed before. */
  async removeLeft(shard: Shard): Promise<void> {
    const all: [channel: string, client: string][] = [];
    for (const [channel, clients] of this.#toRemove) {
      if (this.#deps.shardOf(channel) !== shard) continue;
      for (const client of clients) all.push([channel, client]);
    }
    await inPortions(all, async ([channel, client]) => {
      // Unless it is there again.
      if (this.#toRemove.get(channel)?.has(client) !== true) return;
      await this.#removeAt(shard, channel, client);
      this.#removed(channel, client);
    });
  }

  /** Under a new owner: everything of this worker, in portions. Rejects when Redis went away again. */
  async retell(shard: Shard): Promise<void> {
    for (const channel of this.#toRemove.keys()) {
      // They went with the owner that had them.
      if (this.#deps.shardOf(channel) === shard) this.#toRemove.delete(channel);
    }
    const all: [channel: string, info: ClientInfo][] = [];
    for (const [channel, owned] of this.#owned) {
      if (this.#deps.shardOf(channel) !== shard) continue;
      for (const info of owned.clients.values()) all.push([channel, info]);
    }
    await inPortions(all, async ([channel, info]) => {
      if (this.#owned.get(channel)?.clients.get(info.client) === info) await this.#tell(channel, info);
    });
  }

  /** Removes everything of an owner that is gone. */
  async sweep(shard: Shard, owner: string): Promise<void> {
    const list = this.#deps.keys.owned(owner);
    await takeOwned(shard, owner, list, (channel) => this.#sweepChannel(shard, owner, channel));
  }

  close(): void {
    this.#owned.clear();
    this.#toRemove.clear();
    this.#entries = 0;
  }

  async #sweepChannel(shard: Shard, owner: string, channel: string): Promise<void> {
    const { keys, scripts } = this.#deps;
    let cursor = '0';
    do {
      const reply = await shard.run(channel, {
        script: scripts.presenceSweep,
        keys: [keys.presence(channel), keys.users(channel)],
        args: [owner, cursor, SWEEP_STEP],
      });
      cursor = String(reply);
    } while (cursor !== '0');
  }

  async #tell(channel: string, info: ClientInfo): Promise<void> {
    const { keys, scripts, shardOf, ownerAt } = this.#deps;
    const shard = shardOf(channel);
    const owner = ownerAt(shard);
    const entry = Buffer.concat([Buffer.from(owner, 'latin1'), this.#writer.info(info)]);
    await Promise.all([
      this.#list(shard, owner, channel),
      shard.run(channel, {
        script: scripts.presenceAdd,
        keys: [keys.presence(channel), keys.users(channel)],
        args: [info.client, info.user, entry],
        bytes: entry.length,
      }),
    ]);
  }

  /** Once a channel and owner: without it a sweep would not find the entries there. */
  async #list(shard: Shard, owner: string, channel: string): Promise<void> {
    const owned = this.#owned.get(channel);
    if (owned === undefined) return;
    if (owned.listed?.owner !== owner) {
      const done = shard.call(owner, 'SADD', [this.#deps.keys.owned(owner), channel]);
      owned.listed = { owner, done };
    }
    const { listed } = owned;
    try {
      await listed.done;
    } catch (error) {
      if (owned.listed === listed) owned.listed = undefined;
      throw error;
    }
  }

  async #removeAt(shard: Shard, channel: string, client: string): Promise<void> {
    const { keys, scripts, ownerAt } = this.#deps;
    await shard.run(channel, {
      script: scripts.presenceRemove,
      keys: [keys.presence(channel), keys.users(channel)],
      args: [client, ownerAt(shard)],
    });
  }

  #removeLater(channel: string, client: string): void {
    const clients = this.#toRemove.get(channel);
    if (clients === undefined) this.#toRemove.set(channel, new Set([client]));
    else clients.add(client);
  }

  #removed(channel: string, client: string): void {
    const clients = this.#toRemove.get(channel);
    clients?.delete(client);
    if (clients?.size === 0) this.#toRemove.delete(channel);
  }

  #own(channel: string, info: ClientInfo): void {
    let owned = this.#owned.get(channel);
    if (owned === undefined) this.#owned.set(channel, (owned = { clients: new Map(), listed: undefined }));
    if (!owned.clients.has(info.client)) this.#entries += 1;
    owned.clients.set(info.client, info);
  }

  /** True when nothing is left in the channel. */
  #disown(channel: string, client: string): boolean {
    const owned = this.#owned.get(channel);
    if (owned?.clients.delete(client) !== true) return false;
    this.#entries -= 1;
    if (owned.clients.size > 0) return false;
    this.#owned.delete(channel);
    return true;
  }
}

async function inPortions<T>(all: readonly T[], tell: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < all.length; at += PORTION) await Promise.all(all.slice(at, at + PORTION).map(tell));
}
