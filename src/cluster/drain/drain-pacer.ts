// Closes the connections of all workers together at one pace: tells each, every tenth of a second, how many of its own are
// due. What workers report corrects what is thought of them.
import type { Clock } from '../../util/clock.ts';
import { nextSlice, shareOut } from './drain-slices.ts';
import type { ToPrimary } from '../ipc.ts';
import type { WorkerProcess } from '../worker-process.ts';

const TICK_MS = 100;
/** Clients also leave by themselves: workers are asked how many are left. */
const ASK_EVERY_TICKS = 10;

interface PacerDeps {
  readonly clock: Clock;
  /** Connections a second that the rest takes, as known now. */
  readonly perSecond: () => number;
  /** After every tick, and every report of a worker. */
  readonly onChange: () => void;
}

interface Share {
  /** As last reported; undefined until then. */
  remaining: number | undefined;
  /** Closes that it has been told of since its start, and those that its last report knew of. */
  ordered: number;
  done: number;
}

type Mode =
  | { readonly name: 'holding' }
  | { readonly name: 'pacing'; readonly endMs: number | null }
  | { readonly name: 'all' };

export class DrainPacer {
  readonly #deps: PacerDeps;
  readonly #shares = new Map<WorkerProcess, Share>();
  #mode: Mode = { name: 'holding' };
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;
  #tickedMs = 0;
  #owed = 0;
  #perSecond = 0;

  constructor(deps: PacerDeps) {
    this.#deps = deps;
  }

  get workers(): number {
    return this.#shares.size;
  }

  /** As workers last said; undefined until all of them have. */
  get remaining(): number | undefined {
    let sum = 0;
    for (const { remaining } of this.#shares.values()) {
      if (remaining === undefined) return undefined;
      sum += remaining;
    }
    return sum;
  }

  /** At which connections are closed now; 0 while none are. */
  get perSecond(): number {
    return this.#mode.name === 'pacing' ? this.#perSecond : 0;
  }

  /** Asks all workers how many they have, and from then on every second. */
  open(): void {
    for (const share of this.#shares.values()) share.remaining = undefined;
    this.#tickedMs = this.#deps.clock.monotonicMs();
    this.#timer ??= setInterval(this.#tick, TICK_MS);
    this.#ask();
  }

  pace(closeWithinMs: number | null): void {
    const nowMs = this.#deps.clock.monotonicMs();
    this.#mode = { name: 'pacing', endMs: closeWithinMs === null ? null : nowMs + closeWithinMs };
    this.#perSecond = this.#deps.perSecond();
    this.#owed = 0;
    this.#tickedMs = nowMs;
  }

  closeAll(): void {
    this.#mode = { name: 'all' };
    this.#tick();
  }

  hold(): void {
    this.#mode = { name: 'holding' };
  }

  /** May be called twice. */
  close(): void {
    this.hold();
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** It may have connections from now on. */
  add(process: WorkerProcess): void {
    const isOpen = this.#timer !== undefined;
    this.#shares.set(process, { remaining: isOpen ? undefined : 0, ordered: 0, done: 0 });
    if (isOpen) process.post({ type: 'close-some', count: 0 });
  }

  report(process: WorkerProcess, { remaining, ordered }: Extract<ToPrimary, { type: 'draining' }>): void {
    const share = this.#shares.get(process);
    if (share === undefined) return;
    share.remaining = remaining;
    share.done = ordered;
    this.#deps.onChange();
  }

  delete(process: WorkerProcess): void {
    if (this.#shares.delete(process)) this.#deps.onChange();
  }

  #ask(): void {
    for (const process of this.#shares.keys()) process.post({ type: 'close-some', count: 0 });
  }

  readonly #tick = (): void => {
    const nowMs = this.#deps.clock.monotonicMs();
    const elapsedMs = nowMs - this.#tickedMs;
    this.#tickedMs = nowMs;
    this.#ticks += 1;
    if (this.#ticks % ASK_EVERY_TICKS === 0) this.#ask();
    const shares = [...this.#shares];
    // Reports are on their way while orders are, too.
    const has = shares.map(([, { remaining, ordered, done }]) =>
      Math.max(0, (remaining ?? 0) - (ordered - done)),
    );
    const counts = shareOut(this.#due(has, elapsedMs, nowMs), has);
    for (const [index, [process, share]] of shares.entries()) {
      const count = counts[index] ?? 0;
      if (count === 0) continue;
      share.ordered += count;
      process.post({ type: 'close-some', count });
    }
    this.#deps.onChange();
  };

  #due(has: readonly number[], elapsedMs: number, nowMs: number): number {
    const mode = this.#mode;
    const remaining = has.reduce((sum, each) => sum + each, 0);
    if (mode.name === 'holding') return 0;
    if (mode.name === 'all') return remaining;
    const slice = nextSlice({
      remaining,
      perSecond: this.#deps.perSecond(),
      elapsedMs,
      owed: this.#owed,
      leftMs: mode.endMs === null ? null : mode.endMs - nowMs,
    });
    this.#owed = slice.owed;
    this.#perSecond = slice.perSecond;
    return slice.count;
  }
}
