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

/** Raised whenever the shape above or what follows changes. */
const VERSION = 3;

type State = Omit<MovingConnection, 'tail' | 'unsent'>;

/**
 * Stands first, and is read by every version:
 *
 *   envelope | state | tail | unsent ...
 */
interface Envelope {
  readonly version: number;
  readonly schema: number;
  readonly stateBytes: number;
  readonly tailBytes: number;
  readonly unsentBytes: readonly number[];
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
  return encodeConnection({
    facts: factsOf(transport),
    snapshot: connection.freeze(),
    subscriptions: departure.subscriptions,
    tail,
    unsent: [...unsent, ...connection.takeUnsent()],
  });
}

export function encodeConnection({ tail, unsent, ...rest }: MovingConnection): Buffer {
  const state: State = rest;
  const stateBytes = serialize(state);
  const envelope: Envelope = {
    version: VERSION,
    schema: SESSION_SCHEMA,
    stateBytes: stateBytes.length,
    tailBytes: tail.length,
    unsentBytes: unsent.map(({ length }) => length),
  };
  return Buffer.concat([serialize(envelope), stateBytes, tail, ...unsent]);
}

/** Undefined when it was written by a version that this one does not know. */
export function decodeConnection(payload: Uint8Array): MovingConnection | undefined {
  const envelope: unknown = deserialize(payload);
  if (!isEnvelope(envelope)) return undefined;
  const { stateBytes, tailBytes, unsentBytes } = envelope;
  let at = payload.length - unsentBytes.reduce((sum, bytes) => sum + bytes, stateBytes + tailBytes);
  const next = (bytes: number): Buffer => {
    const piece = Buffer.from(payload.buffer, payload.byteOffset + at, bytes);
    at += bytes;
    return piece;
  };
  // What it holds of bytes are views of where it is read from, for as long as it lives: of a copy, not of everything that came.
  const copy = Buffer.allocUnsafeSlow(stateBytes);
  next(stateBytes).copy(copy);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by this version, as the envelope says
  const state = deserialize(copy) as State;
  return { ...state, tail: next(tailBytes), unsent: unsentBytes.map(next) };
}

function isEnvelope(value: unknown): value is Envelope {
  return (
    typeof value === 'object' &&
    value !== null &&
    'version' in value &&
    value.version === VERSION &&
    'schema' in value &&
    value.schema === SESSION_SCHEMA &&
    'stateBytes' in value
  );
}
