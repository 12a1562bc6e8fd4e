// Which channels have subscribers anywhere: each worker is a member of a set for each of its channels, under the owner of its
// lease. Whoever makes the first or the last member tells it, so that each change is told by one worker of all.
//
// Redis is told of one change of a channel at a time, and again until it has it; what a dead worker leaves behind is taken by
// whoever sweeps after it. Where Redis has lost its data, channels become occupied anew, and are told anew.
import type { Keys } from './keys.ts';
import { takeOwned } from './owned-channels.ts';
import type { Script, Scripts } from './scripts.ts';
import type { Shard } from './shard.ts';

/** Told again at once; the next portion waits for the answers. */
const PORTION = 500;
/** What occupancy-remove.lua answers. */
const WAS_LAST = 1;
const NOBODY = 2;

export interface OccupancyDeps {
  readonly keys: Keys;
  readonly scripts: Scripts;
  readonly shardOf: (channel: string) => Shard;
  readonly ownerAt: (shard: Shard) => string;
  readonly tell: (channel: string, isOccupied: boolean) => void;
}

export class Occupancy {
  readonly #deps: OccupancyDeps;
  /** With subscribers here. */
  readonly #wanted = new Set<string>();
  /** What Redis knows of it, under which owner. */
  readonly #known = new Map<string, string>();
  readonly #settling = new Set<string>();
  /** Redis could not be told. */
  readonly #unsettled = new Set<string>();

  constructor(deps: OccupancyDeps) {
    this.#deps = deps;
  }

  /** This worker has subscribers there. */
  want(channel: string): void {
    this.#wanted.add(channel);
    void this.#settle(channel);
  }

  unwant(channel: string): void {
    if (this.#wanted.delete(channel)) void this.#settle(channel);
  }

  ownsNothingAt(shard: Shard): boolean {
    return ![...this.#known.keys(), ...this.#settling].some((channel) => this.#isAt(shard, channel));
  }

  /** Tells Redis what it does not know yet. */
  async retry(shard: Shard): Promise<void> {
    await this.#settleAll([...this.#unsettled].filter((channel) => this.#isAt(shard, channel)));
  }

  /** Under a new owner: everything. */
  async retell(shard: Shard): Promise<void> {
    const all = new Set([...this.#wanted, ...this.#known.keys()]);
    await this.#settleAll([...all].filter((channel) => this.#isAt(shard, channel)));
  }

  /** Takes a worker that is gone out of all channels, and tells which it was the last of. */
  async sweep(shard: Shard, owner: string): Promise<void> {
    await takeOwned(shard, owner, this.#deps.keys.audiences(owner), async (channel) => {
      if ((await this.#remove(channel, owner)) === WAS_LAST) this.#deps.tell(channel, false);
    });
  }

  close(): void {
    this.#wanted.clear();
    this.#known.clear();
    this.#unsettled.clear();
  }

  async #settleAll(channels: readonly string[]): Promise<void> {
    for (let at = 0; at < channels.length; at += PORTION) {
      await Promise.all(channels.slice(at, at + PORTION).map((channel) => this.#settle(channel)));
    }
  }

  /** One at a time for each channel; what changes meanwhile is seen in the next step. */
  async #settle(channel: string): Promise<void> {
    if (this.#settling.has(channel)) return;
    this.#settling.add(channel);
    this.#unsettled.delete(channel);
    try {
      let isChanging = true;
      while (isChanging) isChanging = await this.#step(channel);
    } catch {
      this.#unsettled.add(channel);
    } finally {
      this.#settling.delete(channel);
    }
  }

  /** False when Redis knows what is so. */
  async #step(channel: string): Promise<boolean> {
    const { keys, shardOf, ownerAt, tell } = this.#deps;
    const shard = shardOf(channel);
    const owner = ownerAt(shard);
    const known = this.#known.get(channel);
    if (this.#wanted.has(channel)) {
      if (known === owner) return false;
      // First: without it nobody would find the channel when this worker dies.
      await shard.call(owner, 'SADD', [keys.audiences(owner), channel]);
      const isFirst = await this.#run(this.#deps.scripts.occupancyAdd, channel, owner);
      this.#known.set(channel, owner);
      if (isFirst === 1) tell(channel, true);
      return true;
    }
    if (known === undefined) return false;
    const left = await this.#remove(channel, known);
    this.#known.delete(channel);
    if (left === WAS_LAST || left === NOBODY) tell(channel, false);
    if (!this.#wanted.has(channel)) await shard.call(known, 'SREM', [keys.audiences(known), channel]);
    return true;
  }

  #remove(channel: string, owner: string): Promise<unknown> {
    return this.#run(this.#deps.scripts.occupancyRemove, channel, owner);
  }

  #run(script: Script, channel: string, owner: string): Promise<unknown> {
    const { keys, shardOf } = this.#deps;
    return shardOf(channel).run(channel, { script, keys: [keys.audience(channel)], args: [owner] });
  }

  #isAt(shard: Shard, channel: string): boolean {
    return this.#deps.shardOf(channel) === shard;
  }
}
