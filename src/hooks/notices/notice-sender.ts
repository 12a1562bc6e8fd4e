// Tells the application of events: in batches, in order, again until it says 2xx. Nobody waits for it, but for `close`.
import { randomUUID } from 'node:crypto';
import type { LabelledCells } from '../../observe/hot-counters.ts';
import type { Logger } from '../../observe/logger.ts';
import { backoffMs, type Random } from '../../util/backoff.ts';
import type { Clock } from '../../util/clock.ts';
import { messageOf } from '../../util/errors.ts';
import type { Notice } from '../application.ts';
import { CallError } from '../call-error.ts';
import { HttpEndpoint } from '../http-endpoint.ts';
import { batchJson, noticeJson } from './notice-json.ts';
import { NoticeQueue } from './notice-queue.ts';
import { signature } from './signature.ts';

export interface NoticeSettings {
  readonly url: string;
  readonly kinds: ReadonlySet<Notice['kind']>;
  /** Empty: requests are not signed. */
  readonly secret: string;
  readonly staticHeaders: Readonly<Record<string, string>>;
  readonly includeMeta: boolean;
  readonly timeoutMs: number;
  readonly maxBatch: number;
  readonly maxDelayMs: number;
  readonly maxEvents: number;
  readonly maxBytes: number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** How long `close` may go on telling what waits. */
  readonly flushMs: number;
}

export interface NoticeSenderDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Pick<Logger, 'warn'>;
  readonly counters: { readonly notices: LabelledCells };
  readonly node: string;
  readonly version: string;
}

const TOO_LARGE = 413;
/** Longest pause while the worker waits for the end. */
const CLOSING_RETRY_MS = 200;

export class NoticeSender {
  readonly #deps: NoticeSenderDeps;
  readonly #settings: NoticeSettings;
  readonly #endpoint: HttpEndpoint;
  readonly #queue: NoticeQueue;
  /** Taken out of the queue and not told yet. */
  #batch: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #isClosing = false;
  #isClosed = false;
  #isOverflowing = false;

  constructor(deps: NoticeSenderDeps, settings: NoticeSettings) {
    this.#deps = deps;
    this.#settings = settings;
    this.#queue = new NoticeQueue({ maxEvents: settings.maxEvents, maxBytes: settings.maxBytes });
    this.#endpoint = new HttpEndpoint({
      url: settings.url,
      timeoutMs: settings.timeoutMs,
      maxAnswerBytes: 65_536,
      maxConnections: 1,
      maxCalls: 1,
    });
  }

  /** Events that wait, those under way included. */
  get size(): number {
    return this.#queue.size + this.#batch.length;
  }

  /** Never throws, never waits. */
  notify(notice: Notice): void {
    if (!this.#settings.kinds.has(notice.kind)) return;
    if (this.#isClosed) {
      this.#countDropped(1);
      return;
    }
    const { node } = this.#deps;
    const { includeMeta } = this.#settings;
    this.#countDropped(this.#queue.push(noticeJson(notice, { id: randomUUID(), node, includeMeta })));
    this.#schedule();
  }

  /** Tells what waits, for a limited time, and drops the rest. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const limit = setTimeout(() => this.#giveUp(), this.#settings.flushMs);
    this.#schedule();
    this.#wake?.();
    while (this.#sending !== undefined) await this.#sending;
    clearTimeout(limit);
    this.#giveUp();
  }

  #schedule(): void {
    if (this.#sending !== undefined || this.#queue.size === 0 || this.#isClosed) return;
    if (this.#isClosing || this.#queue.size >= this.#settings.maxBatch) this.#begin();
    else this.#timer ??= setTimeout(() => this.#begin(), this.#settings.maxDelayMs);
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending = this.#send().finally(() => {
      this.#sending = undefined;
      this.#schedule();
    });
  }

  /** One batch, until it is told. Later ones wait: order is kept. */
  async #send(): Promise<void> {
    this.#batch = this.#queue.take(this.#settings.maxBatch);
    for (let attempt = 0; this.#batch.length > 0 && !this.#isClosed; attempt += 1) {
      try {
        await this.#post(this.#batch);
        this.#deps.counters.notices.cell('delivered').value += this.#batch.length;
        this.#batch = [];
      } catch (error) {
        if (this.#isClosed) return;
        this.#tellFailure(error, attempt);
        if (error instanceof CallError && error.status === TOO_LARGE) this.#shrinkBatch();
        else await this.#pause(attempt);
      }
    }
    if (this.#queue.size === 0) this.#isOverflowing = false;
  }

  async #post(events: readonly string[]): Promise<void> {
    const { secret, staticHeaders } = this.#settings;
    const body = batchJson(events);
    const { status } = await this.#endpoint.post(body, {
      ...staticHeaders,
      'content-type': 'application/json',
      'user-agent': `holdfast/${this.#deps.version}`,
      ...(secret !== '' && {
        'x-holdfast-signature': signature(secret, body, this.#deps.clock.wallMs()),
      }),
    });
    if (status >= 200 && status < 300) return;
    throw new CallError('status', `answered with status ${status}`, { status });
  }

  /** The application takes smaller bodies only; a single event that is too large would stand in the way for ever. */
  #shrinkBatch(): void {
    const half = Math.floor(this.#batch.length / 2);
    if (half === 0) this.#countDropped(this.#batch.length);
    else this.#queue.putBack(this.#batch.slice(half));
    this.#batch = this.#batch.slice(0, half);
  }

  #pause(attempt: number): Promise<void> {
    const { retryMinMs, retryMaxMs } = this.#settings;
    const maxMs = this.#isClosing ? CLOSING_RETRY_MS : retryMaxMs;
    // Half of it is certain, so that a dead endpoint is not called all the time.
    const ceilingMs = Math.max(1, backoffMs({ minMs: retryMinMs, maxMs }, attempt, 1));
    const delayMs = ceilingMs / 2 + (this.#deps.random() * ceilingMs) / 2;
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(wake, delayMs);
      this.#wake = wake;
    });
  }

  #giveUp(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const left = this.size;
    this.#batch = [];
    this.#queue.take(this.#queue.size);
    this.#countDropped(left);
    this.#endpoint.close();
    this.#wake?.();
  }

  #countDropped(count: number): void {
    if (count === 0) return;
    this.#deps.counters.notices.cell('dropped').value += count;
    // Once for each time that it overflows: the counter says how many.
    if (this.#isOverflowing) return;
    this.#isOverflowing = true;
    this.#deps.log.warn({ endpoint: this.#endpoint.label, waiting: this.#queue.size }, 'notices dropped');
  }

  #tellFailure(error: unknown, attempt: number): void {
    this.#deps.log.warn(
      {
        endpoint: this.#endpoint.label,
        reason: messageOf(error),
        attempt: attempt + 1,
        waiting: this.size,
      },
      'notices not delivered',
    );
  }
}
