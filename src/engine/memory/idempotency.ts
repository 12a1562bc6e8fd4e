// Results of publishes that named an idempotency key, for as long as the same key must not publish again. Bounded: when
// it is full, the oldest result goes first.
import type { StreamPosition } from '../../protocol/publication.ts';

interface Result {
  readonly position: StreamPosition;
  readonly untilMs: number;
}

export class IdempotencyCache {
  readonly #maxEntries: number;
  /** In order of insertion, which is the order of expiry where all lifetimes are equal. */
  readonly #results = new Map<string, Result>();

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#results.size;
  }

  get(channel: string, key: string, nowMs: number): StreamPosition | undefined {
    const result = this.#results.get(nameOf(channel, key));
    return result === undefined || nowMs >= result.untilMs ? undefined : result.position;
  }

  set(channel: string, key: string, position: StreamPosition, untilMs: number): void {
    const name = nameOf(channel, key);
    this.#results.delete(name);
    this.#results.set(name, { position, untilMs });
    for (const oldest of this.#results.keys()) {
      if (this.#results.size <= this.#maxEntries) break;
      this.#results.delete(oldest);
    }
  }

  /** Name, position and end of every result, the oldest first. */
  *entries(): Generator<readonly [name: string, position: StreamPosition, untilMs: number]> {
    for (const [name, { position, untilMs }] of this.#results) yield [name, position, untilMs];
  }

  /** Puts back what `entries` gave. */
  restore(name: string, position: StreamPosition, untilMs: number): void {
    this.#results.set(name, { position, untilMs });
  }

  /** Drops what is due, from the oldest on; one with a longer life keeps those behind it until it is due itself. */
  expire(nowMs: number): void {
    for (const [name, result] of this.#results) {
      if (nowMs < result.untilMs) break;
      this.#results.delete(name);
    }
  }
}

/** The length keeps ("a", "bc") apart from ("ab", "c"). */
function nameOf(channel: string, key: string): string {
  return `${String(channel.length)}:${channel}${key}`;
}
