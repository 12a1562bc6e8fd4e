// Remembers whom this host has let in, by a hash of what identifies them from outside: enough to let those who come back
// go first, and no more. Bounded; the ones not seen for longest are forgotten.

export class SeenLately {
  readonly #max: number;
  /** Oldest first. */
  readonly #hashes = new Set<number>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#hashes.size;
  }

  has(key: string): boolean {
    return key !== '' && this.#hashes.has(hashOf(key));
  }

  add(key: string): void {
    if (key === '') return;
    const hash = hashOf(key);
    this.#hashes.delete(hash);
    this.#hashes.add(hash);
    if (this.#hashes.size <= this.#max) return;
    const oldest = this.#hashes.values().next();
    if (oldest.done !== true) this.#hashes.delete(oldest.value);
  }
}

/** FNV-1a, 32 bits: who is taken for another by chance comes in a little earlier, and that is all. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) {
    hash ^= key.charCodeAt(at);
    hash = Math.imul(hash, 0x01000193);
  }
  return hash;
}
