// Changes of the workers (reload, rebalancing, ...) exclude each other: connections have one destination at a time.
import { HoldfastError } from '../../util/errors.ts';

class BusyError extends HoldfastError {
  constructor(message: string) {
    super('HOLDFAST_BUSY', message);
  }
}

/** What it is called, and how whoever wants something else ends it. */
const KINDS = {
  reload: { name: 'a reload', end: '`holdfast reload --abort` stops it' },
  upgrade: { name: 'an upgrade', end: '`holdfast upgrade --abort` stops it' },
  rebalancing: { name: 'a rebalancing', end: '`holdfast rebalance --abort` stops it' },
  drain: { name: 'a drain', end: '`holdfast drain --abort` takes it back' },
} as const;

type ChangeKind = keyof typeof KINDS;

interface Change {
  readonly kind: ChangeKind;
  readonly yieldTo: ((other: string) => void) | undefined;
  readonly over: Promise<void>;
}

export class OneAtATime {
  #current: Change | undefined;

  /** What is under way; undefined when nothing is. */
  get current(): ChangeKind | undefined {
    return this.#current?.kind;
  }

  /**
   * Runs it when nothing else is under way; else rejects with BusyError. One that was begun with `yieldTo` is asked by it to
   * end soon (for 'a reload', say), and is waited for.
   */
  async run<Result>(
    kind: ChangeKind,
    work: () => Promise<Result>,
    yieldTo?: (other: string) => void,
  ): Promise<Result> {
    while (this.#current !== undefined) {
      const { kind: other, yieldTo: ask, over } = this.#current;
      if (ask === undefined) throw new BusyError(busyText(other));
      ask(KINDS[kind].name);
      await over;
    }
    const working = work();
    const over = working.then(ignore, ignore);
    const change = { kind, yieldTo, over };
    this.#current = change;
    try {
      return await working;
    } finally {
      if (this.#current === change) this.#current = undefined;
    }
  }
}

function busyText(kind: ChangeKind): string {
  const { name, end } = KINDS[kind];
  return `${name} is under way already (${end})`;
}

function ignore(): void {
  // Whoever began it hears how it ended.
}
