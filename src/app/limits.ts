// From the configuration to what limits commands, connections and subscriptions; undefined is off and costs nothing.
import { CommandLimits } from '../commands/command-limits.ts';
import { UserSlots, type UserSlotsDeps } from '../commands/user-slots.ts';
import { type CommandRateRules, LIMITED_COMMANDS } from '../config/sections/rate-limit.ts';
import type { Config } from '../config/schema.ts';
import type { Hub } from '../hub/hub.ts';
import type { CommandKind } from '../protocol/commands.ts';
import type { Clock } from '../util/clock.ts';
import type { BucketRate } from '../util/token-bucket.ts';

export interface UserLimits {
  readonly userConnections: UserSlots | undefined;
  readonly userSubscriptions: UserSlots | undefined;
}

export function userLimits(deps: UserSlotsDeps, { client }: Config): UserLimits {
  const slots = (limit: number, prefix: `\u0001${string}`): UserSlots | undefined =>
    limit > 0 ? new UserSlots(deps, { limit, prefix }) : undefined;
  return {
    userConnections: slots(client.user_connection_limit, '\u0001connections:'),
    userSubscriptions: slots(client.user_channel_limit, '\u0001subscriptions:'),
  };
}

export function commandLimits(
  deps: { readonly hub: Hub; readonly clock: Clock },
  { client }: Config,
): CommandLimits | undefined {
  const { connection, user, max_refusals: maxRefusals } = client.rate_limit;
  if (connection.length === 0 && user.length === 0) return undefined;
  return new CommandLimits(deps, { connection: ratesOf(connection), user: ratesOf(user), maxRefusals });
}

function ratesOf(rules: CommandRateRules): ReadonlyMap<CommandKind, BucketRate> {
  const byDefault = rules.find(({ command }) => command === 'default');
  const rates = new Map<CommandKind, BucketRate>();
  for (const kind of LIMITED_COMMANDS) {
    const rule = rules.find(({ command }) => command === kind) ?? byDefault;
    if (rule === undefined) continue;
    const { rate, interval: intervalMs, burst } = rule;
    rates.set(kind, { perSecond: (rate * 1000) / intervalMs, burst: burst === 0 ? rate : burst });
  }
  return rates;
}
