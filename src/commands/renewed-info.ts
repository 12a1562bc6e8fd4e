// After a refresh others see the new info of a connection or subscription: with what it publishes, and among who is present.
import type { Connection } from '../connection/connection.ts';
import type { Subscription } from '../connection/subscription.ts';
import type { CommandDeps } from './command-deps.ts';

export function renewConnInfo(
  connection: Connection,
  connInfo: Buffer | undefined,
  { hub }: CommandDeps,
): void {
  connection.session.connInfo = connInfo;
  for (const subscription of connection.subscriptions.values()) {
    hub.showAs(subscription, { ...subscription.state.info, connInfo });
  }
}

/** Undefined leaves it as it is. */
export function renewChanInfo(
  subscription: Subscription,
  chanInfo: Buffer | undefined,
  { hub }: CommandDeps,
): void {
  if (chanInfo !== undefined) hub.showAs(subscription, { ...subscription.state.info, chanInfo });
}
