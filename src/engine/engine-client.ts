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
  close(): Promise<void>;
}
