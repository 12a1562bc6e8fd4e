// What a worker has of its engine, whichever it is.
import type { Broker } from './broker.ts';
import type { NodeBus } from './node-bus.ts';
import type { PresenceStore } from './presence-store.ts';

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
