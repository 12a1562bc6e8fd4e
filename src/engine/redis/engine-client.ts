// A worker's client of the Redis engine: broker, presence and node bus over one Redis or several.
import { randomBytes } from 'node:crypto';
import { UnavailableError, messageOf } from '../../util/errors.ts';
import { endsWithin } from '../../util/pause.ts';
import type { Broker } from '../broker.ts';
import type { EngineClientDeps } from '../engine-client.ts';
import type { NodeBus } from '../node-bus.ts';
import type { PresenceStore } from '../presence-store.ts';
import type { ChannelCounters } from './channels.ts';
import { Keys, NODES_TAG, type PubSubName } from './keys.ts';
import { Lease, type LeaseCounters } from './lease.ts';
import { makeShard } from './make-shard.ts';
import { Occupancy } from './occupancy.ts';
import { RedisBroker } from './redis-broker.ts';
import type { NodeHealth } from './redis-node.ts';
import { RedisNodeBus } from './redis-node-bus.ts';
import { RedisPresence } from './redis-presence.ts';
import { loadScripts } from './scripts.ts';
import type { RedisSettings } from './settings.ts';
import type { Shard, ShardListener } from './shard.ts';
import { ShardRing } from './shard-ring.ts';

const DEFAULT_CONNECT_TIMEOUT_MS = 5000;
const DEFAULT_MAX_QUEUED_BYTES = 16 * 1024 * 1024;
/** How long a Redis that does not answer may hold up the end of its worker. */
const RELEASE_TIMEOUT_MS = 500;
const BEGIN_RETRY_MS = 500;

export interface RedisEngineClientDeps extends EngineClientDeps {
  readonly settings: RedisSettings;
  /** Each second, for each server: how long a message to itself was on its way. */
  readonly onEcho?: ((roundTripMs: number) => void) | undefined;
}

export interface RedisEngineClientStats extends ChannelCounters {
  readonly up: boolean;
  readonly published: number;
  /** Of them, those that Redis did not take after all: nobody had asked for an acknowledgement. */
  readonly unsent: number;
  readonly channels: number;
  readonly presenceEntries: number;
  readonly pendingCalls: number;
  readonly failedCalls: number;
  /** Waiting for Redis. */
  readonly queuedBytes: number;
  /** Held back until what is missing before them has been read. */
  readonly heldBytes: number;
  /** Times that connections were made anew because nothing came back. */
  readonly resets: number;
  readonly leases: Readonly<LeaseCounters>;
  readonly servers: readonly RedisServerStats[];
}

export interface RedisServerStats {
  readonly name: string;
  readonly up: boolean;
  readonly reconnects: number;
}

interface ShardState {
  readonly lease: Lease;
  /** Presence under the present owner is complete. */
  isTold: boolean;
  isTelling: boolean;
  isBeginning: boolean;
  /** It came up while it was beginning. */
  beginAgain: boolean;
  retry: NodeJS.Timeout | undefined;
}

export class RedisEngineClient {
  readonly #deps: RedisEngineClientDeps;
  readonly #broker: RedisBroker;
  readonly #presence: RedisPresence;
  readonly #nodes: RedisNodeBus;
  readonly #occupancy: Occupancy;
  readonly #ring: ShardRing;
  readonly #shards = new Map<Shard, ShardState>();
  /** Registered there, and heard there. */
  readonly #begun = new Set<Shard>();
  #onBegun: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(deps: RedisEngineClientDeps) {
    this.#deps = deps;
    const { clock, random, settings, node, listener, logger } = deps;
    const keys = new Keys(settings.prefix);
    const scripts = loadScripts();
    const maxQueuedBytes = deps.maxQueuedBytes ?? DEFAULT_MAX_QUEUED_BYTES;
    const context = {
      clock,
      random,
      logger,
      settings,
      scripts,
      keys,
      node,
      maxQueuedBytes,
      onEcho: deps.onEcho,
    };
    const shardListener: ShardListener = {
      onMessage: (name, message) => this.#onMessage(name, message),
      onLost: (name) => this.#forChannel(keys, name, (channel) => this.#broker.channels.lost(channel)),
      onBack: (name) => this.#forChannel(keys, name, (channel) => this.#broker.channels.back(channel)),
      onUp: (shard) => this.#onUp(shard),
      onRenewed: (shard) => this.#onRenewed(shard),
    };
    this.#ring = new ShardRing(settings.targets.map((target) => makeShard(context, target, shardListener)));
    const shardOf = (channel: string): Shard => this.#ring.of(channel);
    const ownerAt = (shard: Shard): string => this.#state(shard).lease.owner;
    const { onOccupancy } = deps;
    const tell = onOccupancy ?? (() => undefined);
    this.#occupancy = new Occupancy({ keys, scripts, shardOf, ownerAt, tell });
    const occupancy = onOccupancy && this.#occupancy;
    this.#broker = new RedisBroker({
      clock,
      node,
      keys,
      scripts,
      listener,
      logger,
      newEpoch: epochs(),
      shardOf,
      occupancy,
    });
    this.#presence = new RedisPresence({ keys, scripts, shardOf, ownerAt });
    this.#nodes = new RedisNodeBus({ node, keys, ring: this.#ring, logger });
    const { presenceTtlMs } = settings;
    for (const shard of this.#ring.shards) {
      const lease = new Lease({
        clock,
        random,
        keys,
        scripts,
        shard,
        node,
        logger,
        presenceTtlMs,
        onHeld: () => void this.#tell(shard),
        onNewOwner: () => {
          this.#state(shard).isTold = false;
        },
        sweep: async (owner) => {
          await Promise.all([this.#presence.sweep(shard, owner), this.#occupancy.sweep(shard, owner)]);
        },
      });
      this.#shards.set(shard, {
        lease,
        isTold: true,
        isTelling: false,
        isBeginning: false,
        beginAgain: false,
        retry: undefined,
      });
    }
  }

  get broker(): Broker {
    return this.#broker;
  }
  get presence(): PresenceStore {
    return this.#presence;
  }
  get nodes(): NodeBus {
    return this.#nodes;
  }

  get stats(): RedisEngineClientStats {
    const servers = this.#ring.shards.flatMap(({ nodes }) => nodes);
    const sum = (value: (server: (typeof servers)[number]) => number): number =>
      servers.reduce((total, server) => total + value(server), 0);
    return {
      ...this.#broker.channels.counters,
      up: this.#ring.shards.every(({ up }) => up),
      published: this.#broker.published,
      unsent: this.#broker.unsent,
      channels: this.#broker.channels.size,
      presenceEntries: this.#presence.entries,
      pendingCalls: sum(({ commands }) => commands.stats.pendingCalls),
      failedCalls: sum(({ commands }) => commands.stats.failedCalls),
      queuedBytes: sum(({ commands }) => commands.stats.queuedBytes),
      heldBytes: this.#broker.channels.heldBytes,
      resets: sum(({ resets }) => resets),
      leases: this.#leaseCounters(),
      servers: servers.map(({ name, up, reconnects }) => ({ name, up, reconnects })),
    };
  }

  /** Every server that is in use, and whether messages come back from it. */
  get health(): readonly NodeHealth[] {
    return this.#ring.shards.flatMap(({ health }) => health);
  }

  /** Resolves when every Redis works, or at least one when the time is over; from then on all are kept up until `close`. Called once. */
  async connect(timeoutMs = DEFAULT_CONNECT_TIMEOUT_MS): Promise<void> {
    let deadline: NodeJS.Timeout | undefined;
    const isUp = new Promise<boolean>((resolve) => {
      this.#onBegun = () => {
        if (this.#ring.shards.every((shard) => shard.up && this.#begun.has(shard))) resolve(true);
      };
      deadline = setTimeout(() => resolve(this.#begun.size > 0), timeoutMs);
    });
    for (const shard of this.#ring.shards) shard.open();
    const hasWorking = await isUp;
    clearTimeout(deadline);
    this.#onBegun = undefined;
    if (hasWorking) return;
    const reasons = this.health.map(({ name, detail }) => `${name}: ${detail}`).join('; ');
    await this.close();
    throw new UnavailableError(`no Redis answers: ${reasons}`);
  }

  /** A message to Redis and back: resolves with the time it took, rejects with UnavailableError within a second. */
  async ping(): Promise<number> {
    const startMs = this.#deps.clock.monotonicMs();
    await Promise.all(this.#ring.shards.map((shard) => shard.call(NODES_TAG, 'PING', [])));
    return this.#deps.clock.monotonicMs() - startMs;
  }

  /** What was published comes in one queue with the answers of the connection that brings it. */
  async settle(): Promise<void> {
    const nodes = this.#ring.shards.flatMap((shard) => shard.nodes);
    await Promise.allSettled(nodes.map(({ commands }) => commands.call('PING', [], 0)));
    await Promise.allSettled(nodes.map(({ subscriber }) => subscriber.ping()));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const { retry } of this.#shards.values()) clearTimeout(retry);
    const released = Promise.allSettled(
      [...this.#shards].map(([shard, { lease }]) => {
        const ownsNothing = this.#presence.ownsNothingAt(shard) && this.#occupancy.ownsNothingAt(shard);
        return lease.release(ownsNothing);
      }),
    );
    await endsWithin(released, RELEASE_TIMEOUT_MS);
    this.#nodes.close();
    this.#broker.channels.close();
    await Promise.all(this.#ring.shards.map((shard) => shard.close()));
    this.#presence.close();
    this.#occupancy.close();
  }

  #leaseCounters(): LeaseCounters {
    const total: LeaseCounters = { renewed: 0, failed: 0, lost: 0, swept: 0 };
    for (const { lease } of this.#shards.values()) {
      const { renewed, failed, lost, swept } = lease.counters;
      total.renewed += renewed;
      total.failed += failed;
      total.lost += lost;
      total.swept += swept;
    }
    return total;
  }

  #state(shard: Shard): ShardState {
    const state = this.#shards.get(shard);
    if (state === undefined) throw new TypeError('a Redis that nobody made');
    return state;
  }

  #onUp(shard: Shard): void {
    if (this.#closed !== undefined) return;
    if (!this.#begun.has(shard)) {
      void this.#begin(shard);
      return;
    }
    this.#onBegun?.();
    this.#deps.logger?.info({ redis: shard.name }, 'redis is back');
    this.#state(shard).lease.renewSoon();
  }

  #onRenewed(shard: Shard): void {
    if (this.#begun.has(shard)) this.#state(shard).lease.abandon();
  }

  /** Before the first client comes this node must be known, and hear what is told to it. */
  async #begin(shard: Shard): Promise<void> {
    const state = this.#state(shard);
    state.beginAgain = true;
    if (state.isBeginning) return;
    state.isBeginning = true;
    // Of a Redis with several servers one may be up, and another that is needed not yet.
    while (state.beginAgain && !this.#begun.has(shard)) {
      state.beginAgain = false;
      try {
        // One after the other: nothing of this try is on its way when the next one begins.
        await this.#nodes.listen(shard);
        await state.lease.renew();
      } catch (error) {
        this.#deps.logger?.debug({ redis: shard.name, reason: messageOf(error) }, 'redis went away again');
        clearTimeout(state.retry);
        state.retry = setTimeout(() => this.#onUp(shard), BEGIN_RETRY_MS);
        continue;
      }
      clearTimeout(state.retry);
      this.#begun.add(shard);
      this.#onBegun?.();
    }
    state.isBeginning = false;
  }

  /** Brings presence at this Redis to what it is here. */
  async #tell(shard: Shard): Promise<void> {
    const state = this.#state(shard);
    if (state.isTelling) return;
    state.isTelling = true;
    const { owner } = state.lease;
    try {
      if (!state.isTold) {
        await Promise.all([this.#presence.retell(shard), this.#occupancy.retell(shard)]);
      }
      if (owner === state.lease.owner) state.isTold = true;
      await Promise.all([this.#presence.removeLeft(shard), this.#occupancy.retry(shard)]);
    } catch {
      // Again with the next renewal.
    } finally {
      state.isTelling = false;
    }
  }

  #onMessage(name: PubSubName, message: Buffer): void {
    try {
      if (name.kind === 'channel') this.#broker.onMessage(name.tag, message);
      else this.#nodes.onMessage(name, message);
    } catch (error) {
      // Somebody else publishes under our prefix.
      this.#deps.logger?.warn({ reason: messageOf(error) }, 'message from redis is not understood');
    }
  }

  #forChannel(keys: Keys, name: string, act: (channel: string) => void): void {
    const parsed = keys.parsePubSub(Buffer.from(name));
    if (parsed?.kind === 'channel') act(parsed.tag);
  }
}

/**
 * Names of streams that may be new: each call for one gets another. Drawn at random once, because every publication brings one along
 * and hardly any needs it.
 */
function epochs(): () => string {
  const prefix = randomBytes(6).toString('base64url');
  let count = 0;
  return () => {
    count += 1;
    return prefix + count.toString(36);
  };
}
