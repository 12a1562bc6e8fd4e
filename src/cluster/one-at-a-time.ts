// Changes of the workers (reload, rebalancing, ...) exclude each other: connections have one destination at a time.
import { HoldfastError } from '../util/errors.ts';

class BusyError extends HoldfastError {
  constructor(message: string) {
    super('HOLDFAST_BUSY', message);
  }
}

interface Change {
  readonly name: string;
  readonly yieldTo: ((other: string) => void) | undefined;
  readonly over: Promise<void>;
}

export class OneAtATime {
  #current: Change | undefined;

  /** What is under way, such as 'a reload'; undefined when nothing is. */
  get current(): string | undefined {
    return this.#current?.name;
  }

  /**
   * Runs it when nothing else is under way; else rejects with BusyError. One that was begun with `yieldTo` is asked by it to
   * end soon, and is waited for.
   */
  async run<Result>(
    name: string,
    work: () => Promise<Result>,
    yieldTo?: (other: string) => void,
  ): Promise<Result> {
    while (this.#current !== undefined) {
      const { name: other, yieldTo: ask, over } = this.#current;
      if (ask === undefined) throw new BusyError(`${other} is under way already`);
      ask(name);
      await over;
    }
    const working = work();
    const over = working.then(ignore, ignore);
    const change = { name, yieldTo, over };
    this.#current = change;
    try {
      return await working;
    } finally {
      if (this.#current === change) this.#current = undefined;
    }
  }
}

function ignore(): void {
  // Whoever began it hears how it ended.
}
