// A connection as it travels between two workers: bytes that only they read, so that the primary passes them on as they are.
import { deserialize, serialize } from 'node:v8';
import type { Connection } from '../connection/connection.ts';
import { SESSION_SCHEMA, type SessionSnapshot } from '../connection/session.ts';
import { factsOf, type WebSocketFacts } from '../gateway/upgrade.ts';
import type { WebSocketTransport } from '../gateway/websocket-transport.ts';
import type { Departure, MovedSubscription } from '../hub/departures.ts';

export interface MovingConnection {
  readonly facts: WebSocketFacts;
  readonly snapshot: SessionSnapshot;
  readonly subscriptions: readonly MovedSubscription[];
  /** What the peer has sent of a message that is not whole. */
  readonly tail: Buffer;
  /** What the peer has not taken yet, to be written first; the first piece may begin within a frame. */
  readonly unsent: readonly Buffer[];
}

/** Raised whenever the shape above changes. */
const VERSION = 2;

interface Envelope {
  readonly version: number;
  readonly schema: number;
  readonly connection: MovingConnection;
}

export interface Departing {
  readonly connection: Connection;
  readonly transport: WebSocketTransport;
  readonly departure: Departure;
}

/** Freezes it. `unsent`: what its transport has written and the peer has not taken. */
export function pack(
  { connection, transport, departure }: Departing,
  tail: Buffer,
  unsent: readonly Buffer[],
): Buffer {
  const moving: MovingConnection = {
    facts: factsOf(transport),
    snapshot: connection.freeze(),
    subscriptions: departure.subscriptions,
    tail,
    unsent: [...unsent, ...connection.takeUnsent()],
  };
  const envelope: Envelope = { version: VERSION, schema: SESSION_SCHEMA, connection: moving };
  return serialize(envelope);
}

/** Undefined when it was written by a version that this one does not know. */
export function decodeConnection(payload: Uint8Array): MovingConnection | undefined {
  const envelope: unknown = deserialize(payload);
  return isEnvelope(envelope) ? envelope.connection : undefined;
}

function isEnvelope(value: unknown): value is Envelope {
  return (
    typeof value === 'object' &&
    value !== null &&
    'version' in value &&
    value.version === VERSION &&
    'schema' in value &&
    value.schema === SESSION_SCHEMA &&
    'connection' in value
  );
}
