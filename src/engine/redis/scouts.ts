// Connections to those who know where the masters are: sentinels, or nodes of a Cluster. Puts one question to all of them
// every second, and at once when something seems to have changed.
import { messageOf } from '../../util/errors.ts';
import { connectionOptions } from './connection-options.ts';
import { Link } from './link.ts';
import type { RedisContext } from './redis-node.ts';
import { type ServerTarget, targetName } from './settings.ts';

const INTERVAL_MS = 1000;
/** Between hints: when a master dies, thousands of calls notice. */
const MIN_INTERVAL_MS = 50;

type Question = readonly [command: string, ...args: string[]];

export interface ScoutsDeps {
  readonly context: RedisContext;
  readonly question: Question;
  /** Their pub/sub channel that tells of changes. */
  readonly news?: string;
  /** `answer`: undefined when there is none, and earlier ones count no more. */
  readonly onAnswer: (from: string, answer: unknown) => void;
}

export class Scouts {
  readonly #deps: ScoutsDeps;
  readonly #links = new Map<string, Link>();
  readonly #asked = new Set<Link>();
  readonly #timer: NodeJS.Timeout;
  readonly #closing = new Set<Promise<void>>();
  #soon: NodeJS.Timeout | undefined;
  #askedMs = -Infinity;
  #failure = 'nobody was asked yet';

  constructor(deps: ScoutsDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => this.#ask(), INTERVAL_MS);
  }

  /** Why there is no answer, for people: what the last one that failed says. */
  get failure(): string {
    return this.#failure;
  }

  /** From now on exactly these are asked. */
  use(targets: readonly ServerTarget[]): void {
    const names = new Set(targets.map(targetName));
    for (const [name, link] of this.#links) {
      if (names.has(name)) continue;
      this.#links.delete(name);
      this.#deps.onAnswer(name, undefined);
      const closing = link.close().finally(() => this.#closing.delete(closing));
      this.#closing.add(closing);
    }
    for (const target of targets) {
      const name = targetName(target);
      if (!this.#links.has(name)) this.#links.set(name, this.#connect(name, target));
    }
  }

  /** Something seems to have changed. */
  hint(): void {
    const sinceMs = this.#deps.context.clock.monotonicMs() - this.#askedMs;
    this.#soon ??= setTimeout(() => this.#ask(), Math.max(0, MIN_INTERVAL_MS - sinceMs));
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    const links = [...this.#links.values()];
    this.#links.clear();
    await Promise.all([...links.map((link) => link.close()), ...this.#closing]);
  }

  #connect(name: string, target: ServerTarget): Link {
    const { clock, random, logger, settings, maxQueuedBytes } = this.#deps.context;
    const { news } = this.#deps;
    const link = new Link({
      clock,
      random,
      logger,
      maxQueuedBytes,
      name: `${name} scout`,
      options: (retry) => connectionOptions(target, settings, 'holdfast-scout', retry),
      prepare: async () => {
        if (news !== undefined) await link.callAnyway('subscribe', [news]);
      },
      onUp: () => void this.#askOne(name, link),
      onDown: () => this.#tell(name, link, undefined),
    });
    if (news !== undefined) link.redis.on('message', () => this.#ask());
    link.open();
    return link;
  }

  #ask(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#askedMs = this.#deps.context.clock.monotonicMs();
    for (const [name, link] of this.#links) void this.#askOne(name, link);
  }

  async #askOne(name: string, link: Link): Promise<void> {
    if (this.#asked.has(link)) return;
    const [command, ...args] = this.#deps.question;
    this.#asked.add(link);
    let answer: unknown;
    try {
      answer = await link.call(command, args, 0);
    } catch (error) {
      this.#failure = `${name}: ${link.failure || messageOf(error)}`;
    } finally {
      this.#asked.delete(link);
    }
    this.#tell(name, link, answer);
  }

  #tell(name: string, link: Link, answer: unknown): void {
    if (this.#links.get(name) === link) this.#deps.onAnswer(name, answer);
  }
}
