// The connections of this worker whose commands come by requests of their own, by the secret that those requests show.
import { createHash } from 'node:crypto';

/** Where the commands of such a connection go. */
export interface EmulatedSession {
  receive(frame: Buffer): void;
}

export class EmulatedSessions {
  /** By digest: how long a look-up takes says nothing about the secrets that are there. */
  readonly #byDigest = new Map<string, EmulatedSession>();

  get size(): number {
    return this.#byDigest.size;
  }

  add(secret: string, session: EmulatedSession): void {
    this.#byDigest.set(digestOf(secret), session);
  }

  delete(secret: string): void {
    this.#byDigest.delete(digestOf(secret));
  }

  find(digest: string): EmulatedSession | undefined {
    return this.#byDigest.get(digest);
  }
}

export function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}
