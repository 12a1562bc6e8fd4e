// Walks through the channels that Redis lists for an owner, a few at a time.
import type { Shard } from './shard.ts';

/** Channels that one step looks for. */
const STEP = 500;
const AT_ONCE = 16;

/** Removes the list when all of it is done; rejects half-way when Redis goes away: then it can be done again. */
export async function takeOwned(
  shard: Shard,
  owner: string,
  list: string,
  take: (channel: string) => Promise<void>,
): Promise<void> {
  let cursor = '0';
  do {
    const reply = await shard.call(owner, 'SSCAN', [list, cursor, 'COUNT', STEP]);
    const [next, channels]: readonly unknown[] = Array.isArray(reply) ? reply : [];
    const names = Array.isArray(channels) ? channels.map(String) : [];
    cursor = Buffer.isBuffer(next) ? next.toString() : '0';
    for (let at = 0; at < names.length; at += AT_ONCE) {
      await Promise.all(names.slice(at, at + AT_ONCE).map(take));
    }
  } while (cursor !== '0');
  await shard.call(owner, 'UNLINK', [list]);
}
