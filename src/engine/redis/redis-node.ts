// One server as a worker uses it: a connection for commands, one for deliveries, and a message each second that goes out
// through the first and must come back through the second. A server that keeps its connections open and delivers nothing is
// found by that, and both connections are made anew.
import type { Logger } from '../../observe/logger.ts';
import type { Random } from '../../util/backoff.ts';
import type { Clock } from '../../util/clock.ts';
import { CommandLink } from './command-link.ts';
import { connectionOptions } from './connection-options.ts';
import type { Keys, PubSubName } from './keys.ts';
import type { Scripts } from './scripts.ts';
import type { RedisSettings, ServerTarget } from './settings.ts';
import { SubscriberLink } from './subscriber-link.ts';

const PROBE_INTERVAL_MS = 1000;
/** Longer than any call may take, so that a Redis which is merely busy is left alone. */
const PROBE_TIMEOUT_MS = 3000;

/** What all connections of a process share. */
export interface RedisContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger | undefined;
  readonly settings: RedisSettings;
  readonly scripts: Scripts;
  readonly keys: Keys;
  /** This process. */
  readonly node: string;
  readonly maxQueuedBytes: number;
  /** A message to itself came back. */
  readonly onEcho: ((roundTripMs: number) => void) | undefined;
}

export interface RedisNodeDeps {
  readonly context: RedisContext;
  readonly target: ServerTarget;
  /** For logs and health. */
  readonly name: string;
  /** Of a Cluster: pub/sub stays within the slot. */
  readonly sharded: boolean;
  readonly onMessage: (name: PubSubName, message: Buffer) => void;
  /** The server does not have all slots any more for which it was asked to deliver. */
  readonly onMoved: () => void;
  /** Both connections are up. `isRenewed`: to another start of the server than before. */
  readonly onUp: (isRenewed: boolean) => void;
  /** Deliveries are being lost. */
  readonly onDown: () => void;
}

export interface NodeHealth {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export class RedisNode {
  readonly commands: CommandLink;
  readonly subscriber: SubscriberLink;
  readonly #deps: RedisNodeDeps;
  readonly #timer: NodeJS.Timeout;
  #probeTag: string | undefined;
  /** The echo channel is subscribed under this name. */
  #echoName: string | undefined;
  #isProbing = false;
  #checking: NodeJS.Immediate | undefined;
  #runId = '';
  #upSinceMs = 0;
  #sent = 0;
  #sentAtMs = 0;
  /** When the oldest message that still owes its echo went out. */
  #owedSinceMs: number | undefined;
  #roundTripMs: number | undefined;
  #resets = 0;

  constructor(deps: RedisNodeDeps) {
    this.#deps = deps;
    const { context, target, name, sharded } = deps;
    const { clock, random, logger, settings, scripts, maxQueuedBytes } = context;
    const shared = { clock, random, logger, maxQueuedBytes };
    this.commands = new CommandLink({
      ...shared,
      scripts,
      name: `${name} commands`,
      options: (retry) => connectionOptions(target, settings, 'holdfast-commands', retry),
      onUp: () => this.#onLinkUp(),
      onDown: () => undefined,
    });
    this.subscriber = new SubscriberLink({
      ...shared,
      sharded,
      name: `${name} subscriber`,
      options: (retry) => connectionOptions(target, settings, 'holdfast-subscriber', retry),
      onMessage: (channel, message) => {
        const parsed = context.keys.parsePubSub(channel);
        if (parsed?.kind === 'echo') this.#onEcho(message);
        else if (parsed !== undefined) deps.onMessage(parsed, message);
      },
      onMoved: () => this.#checkLater(),
      onUp: () => this.#onLinkUp(),
      onDown: () => {
        this.#echoName = undefined;
        deps.onDown();
      },
    });
    this.#timer = setInterval(() => void this.#probe(), PROBE_INTERVAL_MS);
  }

  get target(): ServerTarget {
    return this.#deps.target;
  }
  get name(): string {
    return this.#deps.name;
  }
  get up(): boolean {
    return this.commands.up && this.subscriber.up;
  }
  /** Times that a message did not come back. */
  get resets(): number {
    return this.#resets;
  }
  /** Times that a connection was made anew, whatever the reason. */
  get reconnects(): number {
    return Math.max(0, this.commands.stats.connects - 1) + Math.max(0, this.subscriber.connects - 1);
  }
  get failure(): string {
    return this.commands.failure || this.subscriber.failure;
  }

  get health(): NodeHealth {
    const { name } = this.#deps;
    const owedMs = this.#owedMs;
    const tripMs = this.#roundTripMs ?? Infinity;
    const isProven = tripMs < Infinity && owedMs <= PROBE_TIMEOUT_MS;
    if (this.#probeTag === undefined) return { name, ok: true, detail: 'has no slots' };
    if (isProven) return { name, ok: true, detail: `a message came back in ${tripMs.toFixed(1)} ms` };
    const reason = this.failure === '' ? '' : `: ${this.failure}`;
    const seconds = (owedMs / 1000).toFixed(1);
    return { name, ok: false, detail: `no message came back for ${seconds} s${reason}` };
  }

  open(): void {
    this.commands.open();
    this.subscriber.open();
  }

  /** Where to prove delivery: a tag whose keys live on this server; undefined while there is none. */
  probeAt(tag: string | undefined): void {
    if (tag === this.#probeTag) return;
    if (this.#echoName !== undefined) this.subscriber.unsubscribe(this.#echoName);
    this.#echoName = undefined;
    this.#owedSinceMs = undefined;
    this.#probeTag = tag;
    void this.#probe();
  }

  reset(reason: string): void {
    this.commands.reset(reason);
    this.subscriber.reset(reason);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    clearImmediate(this.#checking);
    await Promise.all([this.commands.close(), this.subscriber.close()]);
  }

  get #owedMs(): number {
    if (this.#owedSinceMs === undefined) return 0;
    return this.#deps.context.clock.monotonicMs() - this.#owedSinceMs;
  }

  #onLinkUp(): void {
    if (!this.up) return;
    this.#upSinceMs = this.#deps.context.clock.monotonicMs();
    const { runId } = this.commands;
    const isRenewed = this.#runId !== '' && this.#runId !== runId;
    this.#runId = runId;
    this.#deps.onUp(isRenewed);
    void this.#probe();
  }

  /** Once for all names of a slot. */
  #checkLater(): void {
    this.#checking ??= setImmediate(() => {
      this.#checking = undefined;
      if (!this.subscriber.subscribed.has(this.#echoName ?? '')) this.#echoName = undefined;
      this.#deps.onMoved();
    });
  }

  #onEcho(message: Buffer): void {
    // An echo of an earlier message says that Redis is slow, not that it delivers now.
    if (message.toString() !== String(this.#sent)) return;
    this.#roundTripMs = this.#deps.context.clock.monotonicMs() - this.#sentAtMs;
    this.#owedSinceMs = undefined;
    this.#deps.context.onEcho?.(this.#roundTripMs);
  }

  async #probe(): Promise<void> {
    const tag = this.#probeTag;
    if (tag === undefined || this.#isProbing) return;
    const { clock, keys, node, logger } = this.#deps.context;
    this.#owedSinceMs ??= clock.monotonicMs();
    // New connections get their time, too.
    const upMs = this.up ? clock.monotonicMs() - this.#upSinceMs : 0;
    if (Math.min(this.#owedMs, upMs) > PROBE_TIMEOUT_MS) {
      this.#resets += 1;
      logger?.warn({ redis: this.name }, 'redis delivers nothing: connecting anew');
      this.reset('a message that was published did not come back');
      return;
    }
    this.#isProbing = true;
    const name = keys.echo(tag, node);
    try {
      if (this.#echoName !== name) {
        await this.subscriber.subscribe(name);
        this.#echoName = name;
      }
      this.#sent += 1;
      this.#sentAtMs = clock.monotonicMs();
      const publish = this.#deps.sharded ? 'SPUBLISH' : 'PUBLISH';
      await this.commands.call(publish, [name, String(this.#sent)], 0);
    } catch {
      // Told by the links; what is owed stays owed.
    } finally {
      this.#isProbing = false;
    }
  }
}
