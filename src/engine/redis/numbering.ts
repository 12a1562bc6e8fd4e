// Numbers what this node sends to channels without storing it, so that receivers notice what is missing.

/** Channels remembered, at most twice as many. One that is forgotten begins with 1 again. */
const MAX_CHANNELS = 50_000;
const MAX_NUMBER = 0xffffffff;

export class Numbering {
  #recent = new Map<string, number>();
  #older = new Map<string, number>();

  next(channel: string): number {
    const last = this.#recent.get(channel) ?? this.#older.get(channel) ?? 0;
    const number = last === MAX_NUMBER ? 1 : last + 1;
    if (this.#recent.size >= MAX_CHANNELS && !this.#recent.has(channel)) {
      this.#older = this.#recent;
      this.#recent = new Map<string, number>();
    }
    this.#recent.set(channel, number);
    return number;
  }
}
