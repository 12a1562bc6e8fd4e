// What has been sent to another worker and is nobody's for certain: it stays until somebody says what has become of it.

interface Entry<Sent> {
  readonly sent: Sent;
  readonly settle: (movedTo: string | undefined) => void;
  question: NodeJS.Timeout;
}

export class InFlight<Sent> {
  readonly #ask: (id: number) => void;
  readonly #askAfterMs: number;
  readonly #entries = new Map<number, Entry<Sent>>();
  #lastId = 0;

  /** A handle that could not be taken is dropped without a word: from `askAfterMs` on its number is asked about. */
  constructor(ask: (id: number) => void, askAfterMs: number) {
    this.#ask = ask;
    this.#askAfterMs = askAfterMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Numbers of those that are on their way. */
  get ids(): readonly number[] {
    return [...this.#entries.keys()];
  }

  /** Sends it under a new number. Resolves to the node where it is, undefined: it is still here. */
  send(sent: Sent, post: (id: number) => void): Promise<string | undefined> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((settle) => {
      this.#entries.set(id, { sent, settle, question: this.#askLater(id) });
      post(id);
    });
  }

  /** What has become of it; undefined when that is known already. */
  settle(id: number, movedTo: string | undefined): Sent | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    this.#entries.delete(id);
    clearTimeout(entry.question);
    entry.settle(movedTo);
    return entry.sent;
  }

  #askLater(id: number): NodeJS.Timeout {
    return setTimeout(() => {
      const entry = this.#entries.get(id);
      if (entry === undefined) return;
      this.#ask(id);
      entry.question = this.#askLater(id);
    }, this.#askAfterMs);
  }
}
