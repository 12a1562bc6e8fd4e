// What a connection keeps while it is held back, or is on its way between two workers; most never are.
import type { ConnectionEvent } from './connection-state.ts';

export class Moving {
  /** Neither reads nor writes nor ends. */
  isFrozen = false;
  /** Work for it beside its commands. */
  owed = 0;
  /** Node that it lives on at; empty when nobody knows. */
  movedTo: string | undefined;
  #holders = 0;
  #postponed: ConnectionEvent[] = [];
  #onIdle: (() => void) | undefined;
  #onSettled: ((movedTo: string | undefined) => void)[] = [];

  /** Of one that comes from elsewhere. */
  static arriving(): Moving {
    const moving = new Moving();
    moving.hold();
    moving.isFrozen = true;
    return moving;
  }

  /** Begins no further commands. */
  get isHeld(): boolean {
    return this.#holders > 0;
  }

  /** To be followed by one `letGo`: one that has only just arrived may be about to leave again. */
  hold(): void {
    this.#holders += 1;
  }

  letGo(): void {
    this.#holders = Math.max(0, this.#holders - 1);
    if (!this.isHeld) this.#onIdle = undefined;
  }

  /** While it is frozen, what happens to it waits. */
  postpones(event: ConnectionEvent): boolean {
    if (this.isFrozen) this.#postponed.push(event);
    return this.isFrozen;
  }

  owe(work: Promise<unknown>, onPaid: () => void): void {
    this.owed += 1;
    void work.finally(() => {
      this.owed -= 1;
      onPaid();
    });
  }

  takePostponed(): readonly ConnectionEvent[] {
    const postponed = this.#postponed;
    this.#postponed = [];
    return postponed;
  }

  whenIdle(listener: (() => void) | undefined): void {
    this.#onIdle = listener;
  }

  tellIdle(): void {
    const onIdle = this.#onIdle;
    this.#onIdle = undefined;
    onIdle?.();
  }

  whenSettled(listener: (movedTo: string | undefined) => void): void {
    this.#onSettled.push(listener);
  }

  tellSettled(): void {
    const listeners = this.#onSettled;
    this.#onSettled = [];
    for (const listener of listeners) listener(this.movedTo);
  }
}
