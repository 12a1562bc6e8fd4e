// Carries out what the server API orders about live connections: every worker does it for its own.
import type { Connection } from '../connection/connection.ts';
import type { NodeBus } from '../engine/node-bus.ts';
import {
  ControlKinds,
  type ControlTarget,
  disconnectControl,
  type RefreshControl,
  refreshControl,
  subscribeControl,
  type UnsubscribeControl,
  unsubscribeControl,
} from '../hub/control-messages.ts';
import type { Orders } from '../hub/control-orders.ts';
import { connectionsOf } from '../hub/control-target.ts';
import { isReplyError } from '../hub/namespaces.ts';
import { causeOfCode, CloseCauses } from '../protocol/close-causes.ts';
import { UnsubscribeCodes } from '../protocol/unsubscribe-codes.ts';
import type { CommandDeps } from './command-deps.ts';
import { connectionDeadlineMs } from './expiry.ts';
import { renewConnInfo } from './renewed-info.ts';
import { subscribeByServer } from './server-subscribe.ts';
import { expiryOf, ttlSeconds } from './ttl.ts';

export interface ControlDeps {
  readonly commands: CommandDeps;
  readonly bus: NodeBus;
  readonly orders: Orders;
}

export class Control {
  readonly #deps: ControlDeps;

  constructor(deps: ControlDeps) {
    this.#deps = deps;
  }

  register(): void {
    const { bus } = this.#deps;
    bus.handle(ControlKinds.subscribe, (payload) => this.#subscribe(payload));
    bus.handle(ControlKinds.unsubscribe, (payload) => this.#unsubscribe(payload));
    bus.handle(ControlKinds.disconnect, (payload) => this.#disconnect(payload));
    bus.handle(ControlKinds.refresh, (payload) => this.#refresh(payload));
  }

  #subscribe(payload: unknown): void {
    const { commands, orders } = this.#deps;
    const order = subscribeControl.parse(payload);
    const resolved = commands.namespaces.resolve(order.channel);
    if (isReplyError(resolved)) {
      // The worker that took the API call knew the namespace: their configurations differ.
      commands.log.warn({ channel: order.channel }, 'ordered to subscribe to a channel that is unknown here');
      return;
    }
    orders.run({
      connections: connectionsOf(commands.hub, order.target),
      perSecond: order.perSecond,
      act: (connection) => {
        const done = subscribeByServer(commands, connection, order, resolved.options);
        connection.keepHere(done.catch(() => undefined));
        return done;
      },
      forward: this.#forward(ControlKinds.subscribe, order),
    });
  }

  #unsubscribe(payload: unknown): void {
    const { commands, orders } = this.#deps;
    const order = unsubscribeControl.parse(payload);
    orders.run({
      connections: connectionsOf(commands.hub, order.target),
      perSecond: order.perSecond,
      act: (connection) => unsubscribe(commands, connection, order),
      forward: this.#forward(ControlKinds.unsubscribe, order),
    });
  }

  #disconnect(payload: unknown): void {
    const { commands, orders } = this.#deps;
    const order = disconnectControl.parse(payload);
    const { target, whitelist, code, reason, perSecond } = order;
    const cause = causeOfCode(code, reason);
    const spared = new Set(whitelist);
    orders.run({
      connections: connectionsOf(commands.hub, target).filter(({ session }) => !spared.has(session.client)),
      perSecond,
      act: (connection) => {
        // It may have left the channel since the order came.
        if (target.channel === undefined || connection.subscriptions.has(target.channel)) {
          connection.close(cause);
        }
      },
      forward: this.#forward(ControlKinds.disconnect, order),
    });
  }

  /** The same order for one connection that lives on at another node. */
  #forward(kind: string, order: { readonly target: ControlTarget; readonly perSecond: number }) {
    return async ({ session: { client } }: Connection, node: string): Promise<void> => {
      const target = { ...order.target, client };
      await this.#deps.bus.send(node, kind, { ...order, target, perSecond: 0 });
    };
  }

  #refresh(payload: unknown): void {
    const { commands, orders } = this.#deps;
    const order = refreshControl.parse(payload);
    orders.run({
      connections: connectionsOf(commands.hub, order.target),
      perSecond: order.perSecond,
      act: (connection) => refresh(commands, connection, order),
      forward: this.#forward(ControlKinds.refresh, order),
    });
  }
}

function unsubscribe(deps: CommandDeps, connection: Connection, { channel }: UnsubscribeControl): void {
  for (const subscription of connection.subscriptions.values()) {
    if (channel !== '' && channel !== subscription.state.channel) continue;
    // One that is not live yet has not been told of: whoever is making it sees that it has ended.
    if (subscription.live) deps.hub.unsubscribe(subscription, UnsubscribeCodes.server);
    else deps.hub.leave(subscription, UnsubscribeCodes.server);
  }
}

/** As the reference server does it for all connections, whoever refreshes them otherwise. */
function refresh(deps: CommandDeps, connection: Connection, order: RefreshControl): void {
  const { session } = connection;
  const expireAtWallMs = expiryOf(order.expireAt * 1000);
  if (order.expired || expireAtWallMs <= deps.clock.wallMs()) {
    connection.close(CloseCauses.expired);
    return;
  }
  session.expireAtWallMs = expireAtWallMs;
  if (order.info !== undefined) renewConnInfo(connection, Buffer.from(order.info, 'base64'), deps);
  connection.dispatch({ type: 'expiry', atMs: connectionDeadlineMs(connection, deps) });
  connection.push({ kind: 'refresh', ttlS: ttlSeconds(expireAtWallMs, deps.clock.wallMs()) });
}
