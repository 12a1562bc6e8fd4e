// Commands of one client: those that wait, in order, and how many are being carried out.
import type { Command } from '../protocol/commands.ts';

/** Commands that may wait before the peer is read no further; the few of a usual first frame are no reason to. */
const MAX_WAITING_COMMANDS = 32;
const MAX_WAITING_BYTES = 16_384;

export class Inbox {
  // Undefined when empty: nearly all connections are nearly always idle.
  #waiting: Command[] | undefined;
  /** Of frames since it was empty. */
  #waitingBytes = 0;
  #running = 0;

  static of(waiting: readonly Command[]): Inbox {
    const inbox = new Inbox();
    for (const command of waiting) inbox.add(command);
    return inbox;
  }

  get waiting(): readonly Command[] {
    return this.#waiting ?? [];
  }

  get running(): number {
    return this.#running;
  }

  get next(): Command | undefined {
    return this.#waiting?.[0];
  }

  add(command: Command): void {
    if (this.#waiting === undefined) this.#waiting = [command];
    else this.#waiting.push(command);
  }

  /** The frame that brought what was added last. */
  addBytes(bytes: number): void {
    if (this.#waiting !== undefined) this.#waitingBytes += bytes;
  }

  /** Takes `next` away. */
  take(): void {
    if (this.#waiting === undefined) return;
    if (this.#waiting.length === 1) this.clear();
    else this.#waiting.shift();
  }

  /** A command that will take its time. */
  begin(): void {
    this.#running += 1;
  }

  end(): void {
    this.#running -= 1;
  }

  /**
   * Whatever the concurrency, nothing overtakes connect: SDKs send subscribes in the same frame (§5.1). Nor does anything
   * precede an unsubscribe: it ends what a subscribe before it, perhaps still being decided, begins (§5.3).
   */
  mayStart(next: Command, isLive: boolean, concurrency: number): boolean {
    if (this.#running === 0) return true;
    return this.#running < concurrency && isLive && next.kind !== 'unsubscribe';
  }

  /** Whether the peer is read no further: from far behind on, until nothing waits. */
  isBehind(wasBehind: boolean): boolean {
    const count = this.#waiting?.length ?? 0;
    if (count === 0) return false;
    return wasBehind || count > MAX_WAITING_COMMANDS || this.#waitingBytes > MAX_WAITING_BYTES;
  }

  clear(): void {
    this.#waiting = undefined;
    this.#waitingBytes = 0;
  }
}
