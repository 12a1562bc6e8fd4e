// The moment in which nothing is under way between the embedded engine and its workers, so that another engine can go on from
// exactly there. The engine that gives asks its workers to send nothing more, until each has said that it does not and all is
// answered. The one that takes lets none of them go on before every one has told its interest and presence again.
//
//   engine that gives    pause ──► paused (each) ──► state ──► moved (each)
//   engine that takes                                state ──► retold (each) ──► resume (all)
import type { ServerLink } from './server-link.ts';

interface StandstillDeps {
  readonly links: () => Iterable<ServerLink>;
  /** No worker has to be waited for before a request can be answered. */
  readonly isSettled: () => boolean;
}

export class Standstill {
  readonly #deps: StandstillDeps;
  readonly #paused = new Set<ServerLink>();
  #state: 'none' | 'pausing' | 'gathering' | 'gone' = 'none';
  /** Nodes that have not told everything again. */
  readonly #expected = new Set<string>();
  #onChange: (() => void) | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #gatherMs = 0;

  constructor(deps: StandstillDeps) {
    this.#deps = deps;
  }

  /** Channels are not occupied or vacated by what happens to links now. */
  get isMoving(): boolean {
    return this.#state === 'gathering' || this.#state === 'gone';
  }

  get isGone(): boolean {
    return this.#state === 'gone';
  }

  /** Resolves to true when nothing is under way; to false, and everybody goes on, when that takes longer. */
  async pause(timeoutMs: number): Promise<boolean> {
    this.#state = 'pausing';
    for (const link of this.#deps.links()) if (link.node !== '') link.pause();
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
      this.#onChange = (): void => {
        if (this.#isStill()) resolve();
      };
      this.#onChange();
    });
    clearTimeout(timer);
    this.#onChange = undefined;
    if (this.#isStill()) return true;
    this.resume();
    return false;
  }

  resume(): void {
    this.#state = 'none';
    clearTimeout(this.#deadline);
    this.#expected.clear();
    this.#paused.clear();
    for (const link of this.#deps.links()) if (link.node !== '') link.resume();
  }

  /** Another engine goes on: links end by themselves. */
  leave(): void {
    this.#state = 'gone';
    for (const link of this.#deps.links()) link.moved();
  }

  /** These nodes are about to come; from the first to the last one it may take so long. */
  gather(nodes: readonly string[], timeoutMs: number): void {
    if (nodes.length === 0) return;
    this.#state = 'gathering';
    this.#gatherMs = timeoutMs;
    for (const node of nodes) this.#expected.add(node);
  }

  greeted(link: ServerLink): void {
    if (this.#state === 'gathering') this.#deadline ??= setTimeout(() => this.resume(), this.#gatherMs);
    // Those that are expected pause already.
    if (this.#state === 'pausing' || (this.#state === 'gathering' && !this.#expected.has(link.node)))
      link.pause();
  }

  paused(link: ServerLink): void {
    this.#paused.add(link);
  }

  retold(link: ServerLink): void {
    if (this.#state !== 'gathering') {
      link.resume();
      return;
    }
    this.#expected.delete(link.node);
    if (this.#expected.size === 0) this.resume();
  }

  ended(link: ServerLink): void {
    this.#paused.delete(link);
    this.#onChange?.();
  }

  /** After every frame: it may have been the last one. */
  look(): void {
    this.#onChange?.();
  }

  close(): void {
    clearTimeout(this.#deadline);
  }

  #isStill(): boolean {
    for (const link of this.#deps.links()) if (link.node !== '' && !this.#paused.has(link)) return false;
    return this.#deps.isSettled();
  }
}
