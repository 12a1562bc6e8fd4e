// What a primary and the one that replaces it say to each other. They may be of different versions: whoever says hello with
// another number is refused before anything is handed over.
import { type Fields, isFields } from '../../util/fields.ts';
import { type DoorKind, isDoorKind, type MoveReport } from '../ipc.ts';

/** Raised when a message changes meaning, of those here or of those that pass from worker to worker. */
export const SUCCESSION_VERSION = 4;

/** What the successor is told before it starts its workers. */
export interface SuccessionFacts {
  readonly version: number;
  /** The configuration of the primary that is replaced, for what may not differ. */
  readonly config: unknown;
  /** UNIX socket of the embedded engine; empty with another one. */
  readonly engineSocketPath: string;
  /** Since when the gateway serves, on the monotonic clock of this host; an upgrade is no start. */
  readonly servingSinceMs: number;
  /** Descriptors that were inherited, by the names of their places. */
  readonly sockets: readonly (readonly [place: string, fd: number])[];
}

export type BetweenPrimaries =
  | { readonly type: 'ask'; readonly id: number; readonly method: string; readonly params: unknown }
  | { readonly type: 'answer'; readonly id: number; readonly result: unknown }
  | { readonly type: 'refusal'; readonly id: number; readonly reason: string }
  /** A worker of this end is ready. */
  | { readonly type: 'worker'; readonly pid: number; readonly slot: number; readonly immovable: string }
  | { readonly type: 'worker-gone'; readonly pid: number }
  /** For a worker of the other end; a connection may come with it. */
  | { readonly type: 'to-worker'; readonly to: number; readonly message: unknown }
  | { readonly type: 'report'; readonly from: number; readonly report: MoveReport }
  /** Comes with the handle of a connection that nobody has answered; `bytes` were read from it. */
  | { readonly type: 'connection'; readonly bytes: Uint8Array; readonly door: DoorKind }
  /** Of the state of the embedded engine. */
  | { readonly type: 'piece'; readonly bytes: Uint8Array };

function isReport(value: unknown): value is MoveReport {
  return (
    isFields(value) &&
    typeof value['number'] === 'number' &&
    typeof value['moved'] === 'number' &&
    typeof value['left'] === 'number'
  );
}

const checks: { readonly [Type in BetweenPrimaries['type']]: (message: Fields) => boolean } = {
  ask: (m) => typeof m['id'] === 'number' && typeof m['method'] === 'string',
  answer: (m) => typeof m['id'] === 'number',
  refusal: (m) => typeof m['id'] === 'number' && typeof m['reason'] === 'string',
  worker: (m) =>
    typeof m['pid'] === 'number' && typeof m['slot'] === 'number' && typeof m['immovable'] === 'string',
  'worker-gone': (m) => typeof m['pid'] === 'number',
  'to-worker': (m) => typeof m['to'] === 'number',
  report: (m) => typeof m['from'] === 'number' && isReport(m['report']),
  connection: (m) => m['bytes'] instanceof Uint8Array && isDoorKind(m['door']),
  piece: (m) => m['bytes'] instanceof Uint8Array,
};

const toCheck: Readonly<Record<string, (message: Fields) => boolean>> = checks;

export function isBetweenPrimaries(message: unknown): message is BetweenPrimaries {
  if (!isFields(message)) return false;
  const type = message['type'];
  if (typeof type !== 'string' || !Object.hasOwn(checks, type)) return false;
  return toCheck[type]?.(message) === true;
}

export function isSuccessionFacts(value: unknown): value is SuccessionFacts {
  return (
    isFields(value) &&
    typeof value['version'] === 'number' &&
    typeof value['engineSocketPath'] === 'string' &&
    typeof value['servingSinceMs'] === 'number' &&
    Array.isArray(value['sockets']) &&
    'config' in value
  );
}
