// A connection as it travels between two workers: bytes that only they read, so that the primary passes them on as they are.
import { deserialize, serialize } from 'node:v8';
import { SESSION_SCHEMA, type SessionSnapshot } from '../connection/session.ts';
import type { WebSocketFacts } from '../gateway/upgrade.ts';
import type { MovedSubscription } from '../hub/departures.ts';

export interface MovingConnection {
  readonly facts: WebSocketFacts;
  readonly snapshot: SessionSnapshot;
  readonly subscriptions: readonly MovedSubscription[];
  /** What the peer has sent of a message that is not whole. */
  readonly tail: Buffer;
}

/** Raised whenever the shape above changes. */
const VERSION = 1;

interface Envelope {
  readonly version: number;
  readonly schema: number;
  readonly connection: MovingConnection;
}

export function encodeConnection(connection: MovingConnection): Buffer {
  const envelope: Envelope = { version: VERSION, schema: SESSION_SCHEMA, connection };
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
