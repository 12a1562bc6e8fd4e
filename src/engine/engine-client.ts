// What a worker has of its engine, whichever it is.
import type { Logger } from '../observe/logger.ts';
import type { Random } from '../util/backoff.ts';
import type { Clock } from '../util/clock.ts';
import type { Broker, BrokerListener } from './broker.ts';
import type { NodeBus } from './node-bus.ts';
import type { PresenceStore } from './presence-store.ts';

export interface EngineClientDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** This process: unique per start. */
  readonly node: string;
  readonly listener: BrokerListener;
  /**
   * A channel got its first subscriber, or lost the last: of this host, or of all hosts that share a Redis. Every such change
   * is told to one worker of all (docs/redis.md says when twice); what this process subscribed to for its own purposes is
   * among it.
   */
  readonly onOccupancy?: ((channel: string, isOccupied: boolean) => void) | undefined;
  readonly logger?: Logger | undefined;
  /** What may wait for an engine that does not read, per connection, 16 MiB by default; beyond it requests fail. */
  readonly maxQueuedBytes?: number | undefined;
}

export interface EngineClient {
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly nodes: NodeBus;
  /** Resolves when the engine works; from then on it is kept up until `close`. Called once. */
  connect(): Promise<void>;
  /** A message to the engine and back: resolves with the time it took, rejects with UnavailableError within a second. */
  ping(): Promise<number>;
  /**
   * Resolves when what the engine had for this process until now has reached the listener, and what this process had sent
   * has reached the engine. A server that does not answer is not waited for beyond a second.
   */
  settle(): Promise<void>;
  close(): Promise<void>;
}
