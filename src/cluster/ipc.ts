// What primary and workers say to each other. The channel carries control messages and socket handles, never
// publications: one handle in flight holds back everything behind it until the other side has acknowledged it.
import { type Fields, isFields } from '../util/fields.ts';
import type { MovePart } from './moves/rebalance-plan.ts';

/** Raised when a message changes meaning: a worker of another version is refused instead of misunderstood. */
export const IPC_VERSION = 6;

/** What a worker is told about itself when it starts; it never reads the configuration file again. */
export interface StartFacts {
  /** As the primary validated it. The composition root knows its type. */
  readonly config: unknown;
  /** 1-based; a replacement keeps the number of the worker it replaces. */
  readonly slot: number;
  readonly slots: number;
  /** How many processes this slot has had, this one included. */
  readonly incarnation: number;
  /** UNIX socket of the embedded engine; empty when another engine is configured. */
  readonly engineSocketPath: string;
}

export interface WorkerVitals {
  /** Longest time that the event loop was late since the last answer. */
  readonly loopLagMs: number;
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
  /** Waiting for clients to read. */
  readonly outboxBytes: number;
  /** From and to clients since the start of the process. */
  readonly trafficBytes: number;
  /** Time in which the event loop was at work since the start of the process. */
  readonly loopBusyMs: number;
}

/** Which connections are to move. */
export interface MoveOrder {
  /** Of the one who orders; reports name it. */
  readonly number: number;
  /** Process id of the worker that takes them. */
  readonly to: number;
  /** Only the one whose URL named this sid; empty for all. */
  readonly sid: string;
  /** Only a part of the worker's load; null for all of it. See rebalance-plan.ts. */
  readonly part: (MovePart & { readonly perSecond: number }) | null;
}

/** What a worker says of the last fraction of a second while it opens connections, or has too much to do. */
export interface WorkerLoad {
  /** Time that the report is about. */
  readonly overMs: number;
  /** Median lateness of the event loop in it. */
  readonly lagMs: number;
  /** Share of it that the event loop was not idle, 0 to 1. */
  readonly busyShare: number;
  /** Connections opened in it. */
  readonly opened: number;
  /** It takes nobody new until it says otherwise. */
  readonly overloaded: boolean;
}

/** One process's answer to a question that went to the whole host. */
export interface CollectedAnswer {
  /** 'primary' or 'worker-<slot>'. */
  readonly from: string;
  readonly pid: number;
  readonly value: unknown;
}

/** Where a connection came in: for clients, or for back ends and operators. */
export type DoorKind = 'public' | 'internal';

export function isDoorKind(value: unknown): value is DoorKind {
  return value === 'public' || value === 'internal';
}

/** Of a connection on its way between two workers. */
export interface MoveId {
  /** Process id of the worker that sends it. */
  readonly from: number;
  readonly id: number;
}

/** A connection that lives on elsewhere. */
export interface MovedTo {
  readonly id: number;
  /** Where, on the node bus; empty when nobody can say. */
  readonly node: string;
}

export interface MoveReport {
  /** Of the order that it is about. */
  readonly number: number;
  readonly moved: number;
  readonly left: number;
  /** Why nothing more is moved; null while it goes on, empty when all is moved that can be. */
  readonly ended: string | null;
  /** It ended because connections did not arrive: none would, whatever their clients do. */
  readonly refused: boolean;
}

export type ToWorker =
  | { readonly type: 'start'; readonly facts: StartFacts }
  | { readonly type: 'ping'; readonly id: number }
  /**
   * Comes with the handle of a connection; `head` is everything read from it so far, nothing at the internal door. `isClient`:
   * it asks to become one, and is no mere request. `isOwn`: it is the primary's, which no limit refuses.
   */
  | {
      readonly type: 'assign';
      readonly head: Uint8Array;
      readonly door: DoorKind;
      readonly isClient: boolean;
      readonly isOwn?: boolean;
    }
  | { readonly type: 'drain'; readonly durationMs: number }
  | { readonly type: 'hurry' }
  /** The host leaves, and how far it is, for people; empty when it stays after all. Nobody new is taken meanwhile. */
  | { readonly type: 'leaving'; readonly detail: string }
  /** Close so many connections and say how many are left. */
  | { readonly type: 'close-some'; readonly count: number }
  | { readonly type: 'stop' }
  | { readonly type: 'question'; readonly id: number; readonly kind: string; readonly params: unknown }
  | { readonly type: 'collected'; readonly id: number; readonly answers: readonly CollectedAnswer[] }
  | ({ readonly type: 'move' } & MoveOrder)
  | { readonly type: 'move-stop' }
  /** Comes with the handle of a connection of another worker. */
  | ({ readonly type: 'move-in'; readonly payload: Uint8Array } & MoveId)
  /** The primary keeps its copy of this connection until it is told where to send it, or `unpark`. */
  | { readonly type: 'parked'; readonly id: number }
  | { readonly type: 'moved'; readonly moves: readonly MovedTo[] }
  | { readonly type: 'not-moved'; readonly id: number; readonly reason: string }
  /** What another worker says about connections that move. */
  | { readonly type: 'peer'; readonly from: number; readonly body: unknown }
  | { readonly type: 'peer-gone'; readonly from: number };

export type ToPrimary =
  | { readonly type: 'hello'; readonly version: number }
  /** `immovable`: why this process can neither give connections away alive nor take them; empty when it can. */
  | { readonly type: 'ready'; readonly immovable: string }
  /** `isConfig`: it will be so at every start, until somebody changes the configuration. */
  | { readonly type: 'failed'; readonly reason: string; readonly isConfig: boolean }
  /** An answer that nobody asked for: what a question of this kind would have brought, said before the end. */
  | { readonly type: 'last-words'; readonly kind: string; readonly value: unknown }
  | { readonly type: 'pong'; readonly id: number; readonly vitals: WorkerVitals }
  /** What became of assigned connections since the last report: clients that are gone, requests that are over. */
  | {
      readonly type: 'connections';
      readonly closed: number;
      readonly answered: number;
      readonly boundSids: readonly string[];
      readonly unboundSids: readonly string[];
    }
  | ({ readonly type: 'load' } & WorkerLoad)
  /** `ordered`: closes that `close-some` has told of since the start of the process. */
  | { readonly type: 'draining'; readonly remaining: number; readonly ordered: number }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'collect'; readonly id: number; readonly kind: string; readonly params: unknown }
  /** Comes with the handle of a connection that is about to move. */
  | { readonly type: 'park'; readonly id: number }
  /** It stays. */
  | { readonly type: 'unpark'; readonly id: number }
  /** Comes with the handle of a connection for the worker with the process id `to`, unless it was parked. */
  | {
      readonly type: 'move-out';
      readonly to: number;
      readonly id: number;
      /** Of the message `park`; 0 when it comes with the handle. */
      readonly parked: number;
      readonly payload: Uint8Array;
    }
  /** Is this one of ours still on its way? Answered by `not-moved` when it is not and never arrived. */
  | { readonly type: 'move-query'; readonly id: number }
  | ({ readonly type: 'arrived'; readonly node: string } & MoveId)
  | ({ readonly type: 'declined'; readonly reason: string } & MoveId)
  | { readonly type: 'peer'; readonly to: number; readonly body: unknown }
  | ({ readonly type: 'moves' } & MoveReport);

const isMovedTo = (value: unknown): boolean =>
  isFields(value) && isCount(value['id']) && typeof value['node'] === 'string';

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0;

const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');

function isVitals(value: unknown): value is WorkerVitals {
  return (
    isFields(value) &&
    isCount(value['loopLagMs']) &&
    isCount(value['rssBytes']) &&
    isCount(value['heapUsedBytes']) &&
    isCount(value['outboxBytes']) &&
    isCount(value['trafficBytes']) &&
    isCount(value['loopBusyMs'])
  );
}

function isPart(value: unknown): value is NonNullable<MoveOrder['part']> {
  return (
    isFields(value) &&
    isCount(value['load']) &&
    isCount(value['byCount']) &&
    isCount(value['perSecond']) &&
    (value['first'] === 'idle' || value['first'] === 'busy')
  );
}

function isStartFacts(value: unknown): value is StartFacts {
  return (
    isFields(value) &&
    isCount(value['slot']) &&
    isCount(value['slots']) &&
    isCount(value['incarnation']) &&
    typeof value['engineSocketPath'] === 'string'
  );
}

const toWorkerChecks: { readonly [Type in ToWorker['type']]: (message: Fields) => boolean } = {
  start: (m) => isStartFacts(m['facts']),
  ping: (m) => isCount(m['id']),
  assign: (m) =>
    m['head'] instanceof Uint8Array && isDoorKind(m['door']) && typeof m['isClient'] === 'boolean',
  drain: (m) => isCount(m['durationMs']),
  hurry: () => true,
  leaving: (m) => typeof m['detail'] === 'string',
  'close-some': (m) => isCount(m['count']),
  stop: () => true,
  question: (m) => isCount(m['id']) && typeof m['kind'] === 'string',
  collected: (m) => isCount(m['id']) && Array.isArray(m['answers']),
  move: (m) =>
    isCount(m['number']) &&
    isCount(m['to']) &&
    typeof m['sid'] === 'string' &&
    (m['part'] === null || isPart(m['part'])),
  'move-stop': () => true,
  'move-in': (m) => isCount(m['from']) && isCount(m['id']) && m['payload'] instanceof Uint8Array,
  parked: (m) => isCount(m['id']),
  moved: (m) => Array.isArray(m['moves']) && m['moves'].every(isMovedTo),
  'not-moved': (m) => isCount(m['id']) && typeof m['reason'] === 'string',
  peer: (m) => isCount(m['from']),
  'peer-gone': (m) => isCount(m['from']),
};

const toPrimaryChecks: { readonly [Type in ToPrimary['type']]: (message: Fields) => boolean } = {
  hello: (m) => isCount(m['version']),
  ready: (m) => typeof m['immovable'] === 'string',
  failed: (m) => typeof m['reason'] === 'string' && typeof m['isConfig'] === 'boolean',
  'last-words': (m) => typeof m['kind'] === 'string',
  pong: (m) => isCount(m['id']) && isVitals(m['vitals']),
  connections: (m) =>
    isCount(m['closed']) &&
    isCount(m['answered']) &&
    isStrings(m['boundSids']) &&
    isStrings(m['unboundSids']),
  load: (m) =>
    isCount(m['overMs']) &&
    isCount(m['lagMs']) &&
    isCount(m['busyShare']) &&
    isCount(m['opened']) &&
    typeof m['overloaded'] === 'boolean',
  draining: (m) => isCount(m['remaining']) && isCount(m['ordered']),
  answer: (m) => isCount(m['id']),
  collect: (m) => isCount(m['id']) && typeof m['kind'] === 'string',
  park: (m) => isCount(m['id']),
  unpark: (m) => isCount(m['id']),
  'move-out': (m) =>
    isCount(m['to']) && isCount(m['id']) && isCount(m['parked']) && m['payload'] instanceof Uint8Array,
  'move-query': (m) => isCount(m['id']),
  arrived: (m) => isCount(m['from']) && isCount(m['id']) && typeof m['node'] === 'string',
  declined: (m) => isCount(m['from']) && isCount(m['id']) && typeof m['reason'] === 'string',
  peer: (m) => isCount(m['to']),
  moves: (m) =>
    isCount(m['number']) &&
    isCount(m['moved']) &&
    isCount(m['left']) &&
    (m['ended'] === null || typeof m['ended'] === 'string') &&
    typeof m['refused'] === 'boolean',
};

function narrow(checks: Readonly<Record<string, (message: Fields) => boolean>>, message: unknown): boolean {
  if (!isFields(message)) return false;
  const type = message['type'];
  if (typeof type !== 'string' || !Object.hasOwn(checks, type)) return false;
  return checks[type]?.(message) === true;
}

/** True for a message of ours; false for those of sticky, pm2 or anybody else. */
export const isToWorker = (message: unknown): message is ToWorker => narrow(toWorkerChecks, message);
export const isToPrimary = (message: unknown): message is ToPrimary => narrow(toPrimaryChecks, message);
