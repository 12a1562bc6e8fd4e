// The part of a connection that is plain data: it can be written down here and taken up by another worker.
import type { Command, CommandKind } from '../protocol/commands.ts';
import type { BucketState } from '../util/token-bucket.ts';
import type { ConnectionState } from './connection-state.ts';
import type { SubscriptionState } from './subscription.ts';
import type { TransportKind } from './transport.ts';

/** Raised whenever the shape below changes: a worker refuses what it does not know. */
export const SESSION_SCHEMA = 4;

/** Who is at the other end and how it came; written once at connect, but for what a refresh may change. */
export interface Session {
  /** Client id, public. */
  readonly client: string;
  /** Secret that owns the session of an emulated or unidirectional transport (§10); empty on a WebSocket. */
  readonly secret: string;
  /** The `sid` of its URL, by which the primary leads others with the same one to this worker; empty for none. */
  readonly sid: string;
  user: string;
  /** Raw JSON shown to others as `conn_info`. */
  connInfo: Buffer | undefined;
  /** Raw JSON that only the application sees. */
  meta: Buffer | undefined;
  /** SDK and version as the client named them. */
  name: string;
  version: string;
  /** Unix milliseconds; Infinity is never. */
  expireAtWallMs: number;
  /** The client refreshes with a token (else the application does). */
  clientSideRefresh: boolean;
  /** Server-side channels that the connection token asked for, to notice a change at refresh (§14.3). */
  tokenChannels: readonly string[];
  readonly connectedAtWallMs: number;
  readonly remoteAddress: string;
  /** As the request named it, shortened; empty for none. */
  readonly userAgent: string;
  /** Lower-case names; only those that someone may read later. */
  readonly headers: Readonly<Record<string, string>>;
  emulatedHeaders: Readonly<Record<string, string>>;
  /** Connection token that came with the request instead of the connect command; empty for none, and once it was used. */
  offeredToken: string;
  readonly signs: SignsOfLife;
  /** Undefined until a limit is looked at. */
  rates: CommandRates | undefined;
  /** What it may still send of `bytes_per_second`; undefined until it is looked at. */
  inboundBytes: BucketState | undefined;
}

export type CommandBuckets = Partial<Record<CommandKind, BucketState>>;

/** How far the limits on commands are used up. Times are milliseconds on the monotonic clock. */
export interface CommandRates {
  readonly ofConnection: CommandBuckets;
  /** One object for all connections of the user on this worker. */
  readonly ofUser: CommandBuckets;
  refused: number;
  /** Begin of the minute in which `refused` counts. */
  refusedSinceMs: number;
}

/** What was last heard of the peer. */
export interface SignsOfLife {
  /** Unix milliseconds of the last frame from the peer. */
  lastFrameWallMs: number;
  /** When the last ping left, on the monotonic clock; -1 before the first. */
  pingSentMs: number;
  /** From the last answered ping to its pong; -1 before the first. */
  roundTripMs: number;
}

/** For a connection that opens now. */
export function signsOfLife(nowWallMs: number): SignsOfLife {
  return { lastFrameWallMs: nowWallMs, pingSentMs: -1, roundTripMs: -1 };
}

/** One object that holds all of a connection (structured clone and v8.serialize keep it). */
export interface SessionSnapshot {
  readonly schema: typeof SESSION_SCHEMA;
  readonly transport: TransportKind;
  readonly formatIndex: number;
  readonly session: Session;
  /** Its times count from `takenAtMs`. */
  readonly lifecycle: ConnectionState;
  /** On the monotonic clock of the host. */
  readonly takenAtMs: number;
  /** Commands that were read and not begun. */
  readonly inbox: readonly Command[];
  readonly subscriptions: readonly SubscriptionState[];
}
