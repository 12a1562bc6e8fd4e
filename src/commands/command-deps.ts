// What the handlers of client commands work with; one object for all connections of a worker.
import type { TokenVerifier } from '../auth/token-verifier.ts';
import type { Broker } from '../engine/broker.ts';
import type { PresenceStore } from '../engine/presence-store.ts';
import type { Hub } from '../hub/hub.ts';
import type { Namespaces } from '../hub/namespaces.ts';
import type { Application } from '../hooks/application.ts';
import type { HotCounters } from '../observe/hot-counters.ts';
import type { Logger } from '../observe/logger.ts';
import type { CloseCause } from '../protocol/close-causes.ts';
import type { ReplyError } from '../protocol/reply-errors.ts';
import type { Clock } from '../util/clock.ts';
import type { DeadlineWheel } from '../util/deadline-wheel.ts';
import type { CommandLimits } from './command-limits.ts';
import type { UserSlots } from './user-slots.ts';

export interface CommandSettings {
  /** Development only: no authentication, everything allowed. */
  readonly insecure: boolean;
  readonly allowAnonymousConnectWithoutToken: boolean;
  readonly disallowAnonymousConnectionTokens: boolean;
  /** Lower-case name of a header that holds the user id; empty for none. */
  readonly userIdHttpHeader: string;
  /** Lower-case names of the headers in a connect command that the application wants to see. */
  readonly keptEmulatedHeaders: readonly string[];
  readonly channelLimit: number;
  readonly historyMaxPublications: number;
  readonly recoveryMaxPublications: number;
  readonly expiredCloseDelayMs: number;
  readonly expiredSubCloseDelayMs: number;
  readonly includeServerTime: boolean;
  readonly pingIntervalMs: number;
  /** What a user's personal channel is called before the user id; undefined when switched off. */
  readonly personalChannelPrefix: string | undefined;
  /** A new connection of a user ends the others, found by the presence of the personal channel. */
  readonly singleConnection: boolean;
  /** How a connect command that failed ends a unidirectional connection. */
  readonly unidirectionalCause: (error: ReplyError) => CloseCause;
}

export interface CommandDeps {
  readonly hub: Hub;
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly namespaces: Namespaces;
  readonly verifier: TokenVerifier;
  readonly application: Application;
  readonly clock: Clock;
  readonly wheel: DeadlineWheel;
  readonly log: Logger;
  readonly counters: Pick<HotCounters, 'commands' | 'recoveries' | 'closed' | 'slowConsumers'>;
  readonly settings: CommandSettings;
  /** Undefined: no limits. */
  readonly commandLimits: CommandLimits | undefined;
  /** Undefined: users may have any number. */
  readonly userConnections: UserSlots | undefined;
  readonly userSubscriptions: UserSlots | undefined;
  /** Ends connections of a user on all nodes, but this one. */
  readonly endOtherConnections: (user: string, client: string) => Promise<void>;
  /** Id of this process on the node bus. */
  readonly node: string;
  /** As told to clients. */
  readonly version: string;
  /** 0..1. */
  readonly random: () => number;
}
