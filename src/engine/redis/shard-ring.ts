// Gives each channel one of several Redis: the one with the highest score for it (rendezvous hashing), so that one more or
// less moves only its own share, and the order in the configuration does not matter.
import type { Shard } from './shard.ts';

export class ShardRing {
  /** By name, so that all hosts see the same order. */
  readonly shards: readonly Shard[];
  readonly #seeds: readonly number[];

  constructor(shards: readonly Shard[]) {
    this.shards = shards.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    this.#seeds = this.shards.map(({ name }) => hash(name));
  }

  of(channel: string): Shard {
    let best: Shard | undefined;
    let bestScore = -1;
    const base = this.shards.length > 1 ? hash(channel) : 0;
    for (const [index, shard] of this.shards.entries()) {
      const score = mix(base ^ (this.#seeds[index] ?? 0));
      if (score <= bestScore) continue;
      best = shard;
      bestScore = score;
    }
    if (best === undefined) throw new TypeError('there is no Redis');
    return best;
  }

  /** Any that works: for what has to reach everyone, and lives nowhere. */
  anyUp(tag: string): Shard {
    return this.shards.find((shard) => shard.refusal(tag) === undefined) ?? this.of(tag);
  }
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  }
  return value >>> 0;
}

/** The finaliser of MurmurHash3: every bit of the input changes half of the output. */
function mix(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
