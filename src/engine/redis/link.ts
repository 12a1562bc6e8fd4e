// What both connections to a server have in common: made with ioredis, kept up with back-off, checked before use, written
// once a turn.
import { Redis } from 'ioredis';
import type { Logger } from '../../observe/logger.ts';
import { backoffMs, type Random } from '../../util/backoff.ts';
import type { Clock } from '../../util/clock.ts';
import { UnavailableError, messageOf } from '../../util/errors.ts';
import type { ConnectionOptions } from './connection-options.ts';
import { fromClient } from './redis-error.ts';
import { PendingCalls } from './pending-calls.ts';

/** Of ioredis: there is a socket, or will be, whose end it tells. */
const OPEN: ReadonlySet<string> = new Set(['connecting', 'connect', 'ready']);
const END_TIMEOUT_MS = 2000;
const RECONNECT = { minMs: 100, maxMs: 2000 };

export type Argument = string | number | Buffer;

export interface LinkDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger | undefined;
  /** For logs and health: which server, which of its connections. */
  readonly name: string;
  readonly options: (retryStrategy: (attempt: number) => number) => ConnectionOptions;
  /** What may wait for a Redis that does not answer; beyond it calls fail. */
  readonly maxQueuedBytes: number;
  /** Runs on a new connection before anything else; a rejection ends the connection. */
  readonly prepare: (link: Link) => Promise<void>;
  readonly onUp: () => void;
  readonly onDown: () => void;
}

export class Link {
  readonly redis: Redis;
  readonly #deps: LinkDeps;
  readonly #calls: PendingCalls;
  #up = false;
  #attempt = 0;
  /** Counts connections, so that what belongs to an earlier one is recognised. */
  #connection = 0;
  #corked = false;
  #refused = 0;
  #connects = 0;
  #closed: Promise<void> | undefined;
  #failure = 'not connected yet';

  constructor(deps: LinkDeps) {
    this.#deps = deps;
    this.#calls = new PendingCalls(deps.clock);
    this.redis = new Redis(deps.options(() => this.#nextDelayMs()));
    this.redis.on('ready', this.#onReady).on('close', this.#onClose).on('error', this.#onError);
  }

  get up(): boolean {
    return this.#up;
  }
  get pendingCalls(): number {
    return this.#calls.size;
  }
  get queuedBytes(): number {
    return this.#calls.bytes;
  }
  /** Times that it came up. */
  get connects(): number {
    return this.#connects;
  }
  /** Refused or given up. */
  get failedCalls(): number {
    return this.#refused + this.#calls.failed;
  }
  /** Why it is not up, for people. */
  get failure(): string {
    return this.#failure;
  }

  open(): void {
    // Whatever is wrong comes as an event, and it tries again.
    this.redis.connect().catch(() => undefined);
  }

  /** Why nothing can be sent now, or undefined. */
  refusal(): UnavailableError | undefined {
    if (!this.#up) return new UnavailableError(`Redis cannot be reached: ${this.#failure}`);
    if (this.#calls.stalled) return new UnavailableError('Redis does not answer');
    if (this.#calls.bytes <= this.#deps.maxQueuedBytes) return undefined;
    return new UnavailableError('Redis does not keep up with what it is asked');
  }

  /** Rejects with RedisReplyError or, within a second, with UnavailableError. `bytes`: about what it holds meanwhile. */
  call(command: string, args: readonly Argument[], bytes: number): Promise<unknown> {
    const refusal = this.refusal();
    if (refusal === undefined) return this.callAnyway(command, args, bytes);
    this.#refused += 1;
    return Promise.reject(refusal);
  }

  /** Also on a connection that is not up yet. */
  callAnyway(command: string, args: readonly Argument[], bytes = 0): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const call = this.#calls.add(bytes, reject);
      this.#cork();
      void this.redis.callBuffer(command, ...args, (error: unknown, reply: unknown) => {
        this.#calls.settled(call);
        if (error === null || error === undefined) resolve(reply);
        else reject(fromClient(error));
      });
    });
  }

  /** Ends the connection, to be made anew. */
  reset(reason: string): void {
    this.#failure = reason;
    if (this.redis.status !== 'connect' && this.redis.status !== 'ready') return;
    this.#mute();
    this.redis.stream.destroy();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** What is sent in one turn of the event loop leaves in one write. */
  #cork(): void {
    const { stream, status } = this.redis;
    if (this.#corked || status !== 'ready') return;
    this.#corked = true;
    stream.cork();
    setImmediate(() => {
      this.#corked = false;
      stream.uncork();
    });
  }

  #nextDelayMs(): number {
    const delayMs = backoffMs(RECONNECT, this.#attempt, this.#deps.random());
    this.#attempt += 1;
    return delayMs;
  }

  readonly #onReady = (): void => {
    this.#connection += 1;
    void this.#prepare(this.#connection);
  };

  async #prepare(connection: number): Promise<void> {
    try {
      await this.#deps.prepare(this);
    } catch (error) {
      if (connection === this.#connection) this.reset(messageOf(error));
      return;
    }
    if (connection !== this.#connection || this.redis.status !== 'ready' || this.#closed !== undefined)
      return;
    this.#up = true;
    this.#connects += 1;
    this.#attempt = 0;
    this.#failure = '';
    this.#deps.onUp();
  }

  readonly #onClose = (): void => {
    this.#connection += 1;
    if (this.#failure === '') this.#failure = 'the connection broke';
    if (!this.#up) return;
    this.#up = false;
    if (this.#closed === undefined) {
      this.#deps.logger?.warn({ redis: this.#deps.name, reason: this.#failure }, 'redis connection broke');
    }
    this.#deps.onDown();
  };

  // Never the object: it may hold the command, and with it a password.
  readonly #onError = (error: Error): void => {
    this.#mute();
    this.#failure = error.message;
    this.#deps.logger?.debug({ redis: this.#deps.name, reason: error.message }, 'redis connection error');
  };

  /** ioredis hears the first error of a socket only, and TLS may bring a second one. */
  #mute(): void {
    const stream: NodeJS.EventEmitter | undefined = this.redis.stream;
    stream?.off('error', ignore).on('error', ignore);
  }

  async #close(): Promise<void> {
    const { redis } = this;
    this.#mute();
    this.#calls.close();
    const isOpen = OPEN.has(redis.status);
    const ended = new Promise<void>((resolve) => {
      // What was written goes out, for as long as `disconnectTimeout` says. A search among sentinels may take longer.
      const tooLong = setTimeout(resolve, END_TIMEOUT_MS);
      redis.once('end', () => {
        clearTimeout(tooLong);
        resolve();
      });
      if (!isOpen) {
        clearTimeout(tooLong);
        resolve();
      }
    });
    redis.disconnect();
    await ended;
    redis.off('ready', this.#onReady).off('close', this.#onClose).off('error', this.#onError);
    redis.on('error', ignore);
  }
}

function ignore(): void {
  // It was told by another way.
}
