// How many commands of each kind a connection, and a user, may send in a time (error 111, close 3509).
import type { Connection } from '../connection/connection.ts';
import type { CommandBuckets, CommandRates } from '../connection/session.ts';
import type { Hub } from '../hub/hub.ts';
import type { CommandKind } from '../protocol/commands.ts';
import type { Clock } from '../util/clock.ts';
import { type BucketRate, fullBucket, takeToken } from '../util/token-bucket.ts';

export interface CommandLimitSettings {
  /** By kind; what has no entry is not limited. */
  readonly connection: ReadonlyMap<CommandKind, BucketRate>;
  /** Over all connections of a user on this worker. Anonymous users have none of their own. */
  readonly user: ReadonlyMap<CommandKind, BucketRate>;
  /** Refused commands within a minute beyond which a connection has to go; 0: never. */
  readonly maxRefusals: number;
}

/** yes · no: it is refused · never: and it was refused too often. */
export type Permission = 'yes' | 'no' | 'never';

const REFUSALS_MS = 60_000;

export class CommandLimits {
  readonly #hub: Pick<Hub, 'connectionsOf'>;
  readonly #clock: Clock;
  readonly #settings: CommandLimitSettings;

  constructor(
    deps: { readonly hub: Pick<Hub, 'connectionsOf'>; readonly clock: Clock },
    settings: CommandLimitSettings,
  ) {
    this.#hub = deps.hub;
    this.#clock = deps.clock;
    this.#settings = settings;
  }

  /** Counts the command. */
  permission(connection: Connection, kind: CommandKind): Permission {
    const ofConnection = this.#settings.connection.get(kind);
    const ofUser = connection.session.user === '' ? undefined : this.#settings.user.get(kind);
    if (ofConnection === undefined && ofUser === undefined) return 'yes';
    const nowMs = this.#clock.monotonicMs();
    const rates = (connection.session.rates ??= this.#newRates(connection, nowMs));
    const mayRun =
      (ofConnection === undefined || take(rates.ofConnection, kind, ofConnection, nowMs)) &&
      (ofUser === undefined || take(rates.ofUser, kind, ofUser, nowMs));
    return mayRun ? 'yes' : this.#refuse(rates, nowMs);
  }

  #refuse(rates: CommandRates, nowMs: number): 'no' | 'never' {
    const { maxRefusals } = this.#settings;
    if (nowMs - rates.refusedSinceMs >= REFUSALS_MS) {
      rates.refused = 0;
      rates.refusedSinceMs = nowMs;
    }
    rates.refused += 1;
    return maxRefusals > 0 && rates.refused > maxRefusals ? 'never' : 'no';
  }

  /** Connections of one user share one object for what the user may; each of them carries it along. */
  #newRates(connection: Connection, nowMs: number): CommandRates {
    let ofUser: CommandBuckets = {};
    for (const { session } of this.#hub.connectionsOf(connection.session.user)) {
      if (session.rates === undefined || session.user === '') continue;
      ofUser = session.rates.ofUser;
      break;
    }
    return { ofConnection: {}, ofUser, refused: 0, refusedSinceMs: nowMs };
  }
}

function take(buckets: CommandBuckets, kind: CommandKind, rate: BucketRate, nowMs: number): boolean {
  return takeToken((buckets[kind] ??= fullBucket(rate, nowMs)), rate, nowMs);
}
