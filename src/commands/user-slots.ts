// Limits per user that hold over all workers and hosts: each connection (or subscription) of the user holds an entry in
// the presence store, which counts them and drops those of a worker that dies.
import type { PresenceStore } from '../engine/presence-store.ts';
import { pause } from '../util/pause.ts';

export interface UserSlotsDeps {
  readonly presence: PresenceStore;
  /** 0..1. */
  readonly random: () => number;
  /** An entry could not be given back; it goes with this worker's link to the engine. */
  readonly onReleaseFailure: (error: unknown) => void;
}

export interface UserSlotsOptions {
  /** No client can name such a channel: names have no control characters. */
  readonly prefix: `\u0001${string}`;
  /** Slots of one user. */
  readonly limit: number;
}

/** Two who ask for the last slot at the same moment each see the other: they ask again, at different times. */
const ATTEMPTS = 3;
const RETRY_MS = 50;

export class UserSlots {
  readonly limit: number;
  readonly #deps: UserSlotsDeps;
  readonly #prefix: string;

  constructor(deps: UserSlotsDeps, options: UserSlotsOptions) {
    this.#deps = deps;
    this.#prefix = options.prefix;
    this.limit = options.limit;
  }

  /**
   * False when the user has as many already: then nothing is held. Whoever gets one, or loses interest meanwhile, calls
   * `release`. Rejects with UnavailableError, holding nothing.
   */
  async claim(user: string, key: string, isWanted: () => boolean): Promise<boolean> {
    const { presence, random } = this.#deps;
    const channel = this.#prefix + user;
    for (let attempt = 1; isWanted(); attempt += 1) {
      // In one go: the engine counts right after it has added.
      const asked = Promise.all([presence.add(channel, { user: '', client: key }), presence.stats(channel)]);
      const [, { clients }] = await asked.catch((error: unknown) => {
        this.release(user, key);
        throw error;
      });
      if (clients <= this.limit) return true;
      this.release(user, key);
      if (attempt === ATTEMPTS) return false;
      await pause(RETRY_MS * random());
    }
    return false;
  }

  /** What another worker holds for a connection that has come from there is held by this one from now on. */
  takeOver(user: string, key: string): Promise<void> {
    return this.#deps.presence.add(this.#prefix + user, { user: '', client: key });
  }

  /** Another worker holds it from now on. */
  handOver(user: string, key: string): void {
    this.#deps.presence.handOver(this.#prefix + user, key);
  }

  /** Harmless when nothing is held. */
  release(user: string, key: string): void {
    this.#deps.presence.remove(this.#prefix + user, key).catch(this.#deps.onReleaseFailure);
  }
}
