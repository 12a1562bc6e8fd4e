// Finds the connections of this worker that an order or a question is about, by the narrowest index there is.
import type { Connection } from '../connection/connection.ts';
import type { ControlTarget } from './control-messages.ts';
import type { Hub } from './hub.ts';

/** A copy where it is not a single one: acting on a connection changes the registries it comes from. */
export function connectionsOf(hub: Hub, target: ControlTarget): readonly Connection[] {
  return [...candidates(hub, target)].filter((connection) => isMeant(target, connection));
}

/** Of a connection that `candidates` gave for this target: whether the rest of the target fits as well. */
export function isMeant(target: ControlTarget, { session, subscriptions }: Connection): boolean {
  const { user, client, channel } = target;
  return (
    (user === undefined || user === session.user) &&
    (client === undefined || client === session.client) &&
    (channel === undefined || subscriptions.has(channel))
  );
}

/** Live: connections may come and go while it is read. */
export function candidates(hub: Hub, target: ControlTarget): Iterable<Connection> {
  const { user, client, session, channel } = target;
  if (session !== undefined) return only(hub.connectionOfSession(session));
  if (client !== undefined) return only(hub.connection(client));
  if (user !== undefined) return hub.connectionsOf(user);
  return channel === undefined ? hub.connections() : subscribersOf(hub, channel);
}

function only(connection: Connection | undefined): readonly Connection[] {
  return connection === undefined ? [] : [connection];
}

function* subscribersOf(hub: Hub, channel: string): Generator<Connection> {
  for (const { connection } of hub.channel(channel)?.members ?? []) yield connection;
}
