// Sees to it that the other worker follows a channel before the first of its subscribers is sent there.
import { UnavailableError } from '../util/errors.ts';
import type { PeerMessage } from './peer-messages.ts';

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export interface ChannelPreparationDeps {
  readonly tell: (message: PeerMessage) => void;
  /** Never the same number twice, whoever asks. */
  readonly nextRequest: () => number;
}

/** Channels in one message. */
const MAX_AHEAD = 1024;

export class ChannelPreparation {
  readonly #deps: ChannelPreparationDeps;
  /** Settles when the other worker follows it. */
  readonly #channels = new Map<string, Promise<void>>();
  readonly #ready = new Set<string>();
  readonly #waiting = new Map<number, Waiting>();
  #isClosed = false;

  constructor(deps: ChannelPreparationDeps) {
    this.#deps = deps;
  }

  /** Rejects with UnavailableError. */
  async prepare(channels: Iterable<string>): Promise<void> {
    const all = [...channels];
    const unknown = all.filter((channel) => !this.#channels.has(channel));
    if (unknown.length > 0) {
      const prepared = this.#follow(unknown);
      for (const channel of unknown) this.#channels.set(channel, prepared);
    }
    await Promise.all(all.map(async (channel) => this.#channels.get(channel)));
  }

  /** Each by itself would cost the primary as much as a connection. What fails is asked for again by those who need it. */
  prepareAhead(channels: Iterable<string>): void {
    const some = new Set<string>();
    for (const channel of channels) {
      some.add(channel);
      if (some.size === MAX_AHEAD) break;
    }
    this.prepare(some).catch(() => undefined);
  }

  isReady(channels: Iterable<string>): boolean {
    for (const channel of channels) if (!this.#ready.has(channel)) return false;
    return true;
  }

  onAnswer(message: PeerMessage): void {
    if (message.kind !== 'prepared' && message.kind !== 'unprepared') return;
    const waiting = this.#waiting.get(message.request);
    this.#waiting.delete(message.request);
    if (message.kind === 'prepared') waiting?.resolve();
    else waiting?.reject(new UnavailableError(message.reason));
  }

  /** Whoever waits is refused. */
  close(): void {
    this.#isClosed = true;
    for (const { reject } of this.#waiting.values()) reject(new UnavailableError('nothing more is moved'));
    this.#waiting.clear();
  }

  async #follow(channels: readonly string[]): Promise<void> {
    try {
      await this.#ask(channels);
      for (const channel of channels) this.#ready.add(channel);
    } catch (error) {
      for (const channel of channels) this.#channels.delete(channel);
      throw error;
    }
  }

  #ask(channels: readonly string[]): Promise<void> {
    if (this.#isClosed) return Promise.reject(new UnavailableError('nothing more is moved'));
    const request = this.#deps.nextRequest();
    return new Promise((resolve, reject) => {
      this.#waiting.set(request, { resolve, reject });
      this.#deps.tell({ kind: 'prepare', request, channels });
    });
  }
}
