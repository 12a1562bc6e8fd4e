// Requests that this host has refused and that come back at once. A load balancer repeats a refused request elsewhere, but it
// remembers only the last host: between two that refuse it goes to and fro until its attempts are used up. Whoever comes back is
// therefore kept until the balancer's checks have told it about this host, and is judged again then.
import type { Socket } from 'node:net';
import type { Clock } from '../../util/clock.ts';
import { freeze } from '../../util/native-handle.ts';

export interface ReturnPolicy {
  /** Longer than a load balancer takes to hear that this host is full or leaving. */
  readonly keepMs: number;
  /** Beyond it they are refused at once. */
  readonly maxKept: number;
  /** A request that was refused is known for at least so long, and at most twice as long. */
  readonly rememberMs: number;
  /** Known requests, in each of two generations. */
  readonly maxRemembered: number;
}

export const defaultReturnPolicy: ReturnPolicy = {
  // Agent and health checks of the generated haproxy.cfg take 1.5 s at most.
  keepMs: 2000,
  maxKept: 2048,
  rememberMs: 5000,
  maxRemembered: 8192,
};

interface Kept {
  readonly socket: Socket;
  readonly untilMs: number;
  readonly again: () => void;
}

export class Returning {
  readonly #clock: Clock;
  readonly #policy: ReturnPolicy;
  /** Ids, and whether their request has been kept already: that is done once. */
  #recent = new Map<string, boolean>();
  #older = new Map<string, boolean>();
  #turnAtMs: number;
  /** Oldest first, which is due first. */
  readonly #kept = new Set<Kept>();
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock, policy: ReturnPolicy) {
    this.#clock = clock;
    this.#policy = policy;
    this.#turnAtMs = clock.monotonicMs() + policy.rememberMs;
  }

  get kept(): number {
    return this.#kept.size;
  }

  /** About to be refused: true when it is kept instead, and `again` called after a while, or at the end. */
  keep(requestId: string, socket: Socket, again: () => void): boolean {
    const nowMs = this.#clock.monotonicMs();
    this.#turn(nowMs);
    const wasKept = this.#recent.get(requestId) ?? this.#older.get(requestId);
    const isKept =
      wasKept === false && this.#kept.size < this.#policy.maxKept && freeze(socket) !== undefined;
    this.#recent.set(requestId, isKept || wasKept === true);
    if (!isKept) return false;
    this.#kept.add({ socket, untilMs: nowMs + this.#policy.keepMs, again });
    this.#timer ??= setTimeout(this.#release, this.#policy.keepMs);
    return true;
  }

  /** Judges all that are kept. May be called twice. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const kept of this.#kept) this.#judge(kept);
  }

  readonly #release = (): void => {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (const kept of this.#kept) {
      const leftMs = kept.untilMs - nowMs;
      if (leftMs > 0) {
        this.#timer = setTimeout(this.#release, leftMs);
        return;
      }
      this.#judge(kept);
    }
  };

  #judge(kept: Kept): void {
    this.#kept.delete(kept);
    if (!kept.socket.destroyed) kept.again();
  }

  /** Forgets by generations: no timer, no entry that stays. */
  #turn(nowMs: number): void {
    if (nowMs < this.#turnAtMs && this.#recent.size < this.#policy.maxRemembered) return;
    this.#older = this.#recent;
    this.#recent = new Map();
    this.#turnAtMs = nowMs + this.#policy.rememberMs;
  }
}
