// A worker's lease on one Redis: says every few seconds that the worker lives. Whoever sees that another's lease has ended
// clears up what that one owned.
import { randomBytes } from 'node:crypto';
import type { Logger } from '../../observe/logger.ts';
import type { Random } from '../../util/backoff.ts';
import type { Clock } from '../../util/clock.ts';
import { messageOf } from '../../util/errors.ts';
import { type Keys, NODES_TAG } from './keys.ts';
import type { Scripts } from './scripts.ts';
import type { Shard } from './shard.ts';

/** Of the time in which everything of a dead worker must be gone: lease, look, sweep. */
const LEASE_SHARE = 0.6;
const INTERVAL_SHARE = 0.2;
/** Expired leases looked at in one go. */
const MAX_EXPIRED = 8;
const CLAIM_MS = 30_000;
const RELEASED = 0;

export interface LeaseDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly keys: Keys;
  readonly scripts: Scripts;
  readonly shard: Shard;
  readonly node: string;
  readonly logger?: Logger | undefined;
  /** What a dead worker owned is gone after so long at the latest. */
  readonly presenceTtlMs: number;
  /** The lease holds: what Redis was not told yet can be told. */
  readonly onHeld: () => void;
  /** The lease was lost and there is a new owner: everything has to be told again. */
  readonly onNewOwner: () => void;
  /** Removes what a dead owner had. */
  readonly sweep: (owner: string) => Promise<void>;
}

export interface LeaseCounters {
  renewed: number;
  /** Redis could not be asked. */
  failed: number;
  /** Redis did not know it any more: a new owner began. */
  lost: number;
  /** Dead workers whose things this one has removed. */
  swept: number;
}

export class Lease {
  readonly counters: LeaseCounters = { renewed: 0, failed: 0, lost: 0, swept: 0 };
  readonly #deps: LeaseDeps;
  readonly #leaseMs: number;
  readonly #intervalMs: number;
  #owner = newOwner();
  #isNew = true;
  #timer: NodeJS.Timeout | undefined;
  #isRenewing = false;
  #isSweeping = false;
  #closed = false;
  #heldMs = -Infinity;
  /** Since then every renewal came in time. Undefined: the last one did not. */
  #steadySinceMs: number | undefined;

  constructor(deps: LeaseDeps) {
    this.#deps = deps;
    this.#leaseMs = Math.round(deps.presenceTtlMs * LEASE_SHARE);
    this.#intervalMs = Math.round(deps.presenceTtlMs * INTERVAL_SHARE);
  }

  /** Marks what this worker owns; 12 characters, another one after the lease was lost. */
  get owner(): string {
    return this.#owner;
  }

  /** Redis can be reached (again). Spread, for all workers see it at the same moment. */
  renewSoon(): void {
    this.#schedule(this.#heldMs === -Infinity ? 0 : (this.#deps.random() * this.#intervalMs) / 2);
  }

  /**
   * What was told under this lease may be lost in part. Everything is told again to a new owner; the old one is not renewed,
   * and so swept.
   */
  abandon(): void {
    this.#owner = newOwner();
    this.#isNew = true;
    this.#deps.onNewOwner();
  }

  /** Resolves when the lease is held, rejects when it could not be had. */
  async renew(): Promise<void> {
    if (this.#isRenewing || this.#closed) return;
    this.#isRenewing = true;
    try {
      await this.#renew();
    } catch (error) {
      this.#steadySinceMs = undefined;
      this.counters.failed += 1;
      throw error;
    } finally {
      this.#isRenewing = false;
      this.#schedule(this.#intervalMs);
    }
  }

  /** `ownsNothing`: then there is nothing to clear up. */
  async release(ownsNothing: boolean): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const { shard, keys } = this.#deps;
    if (ownsNothing) await shard.call(NODES_TAG, 'ZREM', [keys.leases, this.#member]);
    else await shard.call(NODES_TAG, 'ZADD', [keys.leases, 'XX', RELEASED, this.#member]);
  }

  get #member(): string {
    return `${this.#owner} ${this.#deps.node}`;
  }

  #schedule(delayMs: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // Away: it is renewed when Redis is back.
      this.renew().catch(() => undefined);
    }, delayMs);
  }

  async #renew(): Promise<void> {
    const { shard, keys, scripts, clock, onHeld } = this.#deps;
    const owner = this.#owner;
    const reply = await shard.run(NODES_TAG, {
      script: scripts.leaseRenew,
      keys: [keys.leases, keys.claim(this.#owner)],
      args: [this.#member, this.#leaseMs, this.#isNew ? '1' : '0', MAX_EXPIRED],
    });
    if (this.#closed) return;
    if (owner !== this.#owner) {
      await this.#renew();
      return;
    }
    const [isHeld, expired] = Array.isArray(reply) ? reply : [];
    if (isHeld !== 1) {
      // Redis has lost its data, or others took this worker for dead.
      this.counters.lost += 1;
      this.abandon();
      await this.#renew();
      return;
    }
    this.#isNew = false;
    this.counters.renewed += 1;
    const nowMs = clock.monotonicMs();
    // A late renewal: perhaps Redis was away, and then the leases of all others have ended too, while they live.
    if (nowMs - this.#heldMs > 2 * this.#intervalMs) this.#steadySinceMs = undefined;
    this.#steadySinceMs ??= nowMs;
    this.#heldMs = nowMs;
    onHeld();
    const isSteady = nowMs - this.#steadySinceMs > this.#leaseMs;
    void this.#sweepAll(sweepable(expired, isSteady));
  }

  async #sweepAll(members: readonly string[]): Promise<void> {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    try {
      for (const member of members) await this.#sweep(member);
    } catch (error) {
      // Somebody tries again, when the claim has ended.
      this.#deps.logger?.debug({ reason: messageOf(error) }, 'presence of a dead worker could not be swept');
    } finally {
      this.#isSweeping = false;
    }
  }

  async #sweep(member: string): Promise<void> {
    const { shard, keys, scripts, node, sweep, logger } = this.#deps;
    const [owner = '', itsNode = ''] = member.split(' ');
    const claim = keys.claim(owner);
    const isMine = await shard.run(NODES_TAG, {
      script: scripts.leaseClaim,
      keys: [keys.leases, claim],
      args: [member, node, CLAIM_MS],
    });
    if (isMine !== 1) return;
    await sweep(owner);
    await shard.call(NODES_TAG, 'ZREM', [keys.leases, member]);
    await shard.call(NODES_TAG, 'DEL', [claim]);
    this.counters.swept += 1;
    logger?.info({ redis: shard.name, node: itsNode }, 'presence of a dead worker swept');
  }
}

/** Members whose lease has ended, and for sure: given back, or seen to end by one whose own lease held all the time. */
function sweepable(expired: unknown, isSteady: boolean): string[] {
  const members: string[] = [];
  const flat: readonly unknown[] = Array.isArray(expired) ? expired : [];
  for (let at = 0; at + 1 < flat.length; at += 2) {
    if (isSteady || Number(flat[at + 1]) === RELEASED) members.push(String(flat[at]));
  }
  return members;
}

function newOwner(): string {
  return randomBytes(9).toString('base64url');
}
