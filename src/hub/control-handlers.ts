// What this worker does and answers when other nodes (the server API of any worker) ask about its connections.
import type { Connection } from '../connection/connection.ts';
import type { NodeBus } from '../engine/node-bus.ts';
import { applicationCause, CloseCauses } from '../protocol/close-causes.ts';
import { UnsubscribeCodes } from '../protocol/unsubscribe-codes.ts';
import type { Clock } from '../util/clock.ts';
import {
  type ChannelsAnswer,
  channelsSurvey,
  ControlKinds,
  type ControlTarget,
  disconnectControl,
  type NodeInfo,
  SurveyKinds,
  unsubscribeControl,
} from './control-messages.ts';
import type { Hub } from './hub.ts';

export interface ControlHandlersDeps {
  readonly hub: Hub;
  readonly bus: NodeBus;
  readonly clock: Clock;
  readonly node: string;
  /** Shown to people. */
  readonly name: string;
  readonly version: string;
}

export class ControlHandlers {
  readonly #deps: ControlHandlersDeps;
  readonly #startedMs: number;

  constructor(deps: ControlHandlersDeps) {
    this.#deps = deps;
    this.#startedMs = deps.clock.monotonicMs();
  }

  register(): void {
    const { bus } = this.#deps;
    bus.handle(ControlKinds.disconnect, (payload) => this.#disconnect(payload));
    bus.handle(ControlKinds.unsubscribe, (payload) => this.#unsubscribe(payload));
    bus.handle(SurveyKinds.info, () => this.#info());
    bus.handle(SurveyKinds.channels, (payload) => this.#channels(payload));
  }

  #disconnect(payload: unknown): void {
    const { target, whitelist, code, reason } = disconnectControl.parse(payload);
    const cause =
      code === CloseCauses.forceDisconnect.code
        ? CloseCauses.forceDisconnect
        : applicationCause(code, reason);
    for (const connection of this.#matching(target)) {
      if (!whitelist.includes(connection.session.client)) connection.close(cause);
    }
  }

  #unsubscribe(payload: unknown): void {
    const { target, channel } = unsubscribeControl.parse(payload);
    for (const connection of this.#matching(target)) {
      for (const subscription of connection.subscriptions.values()) {
        if (channel === '' || channel === subscription.state.channel) {
          this.#deps.hub.unsubscribe(subscription, UnsubscribeCodes.server);
        }
      }
    }
  }

  /** A copy, because acting on a connection changes the registries it comes from. */
  #matching(target: ControlTarget): readonly Connection[] {
    const { hub } = this.#deps;
    const { user, client, session, channel } = target;
    const candidates = user === undefined ? hub.connections() : hub.connectionsOf(user);
    return [...candidates].filter(
      (connection) =>
        (client === undefined || connection.session.client === client) &&
        (session === undefined || connection.session.secret === session) &&
        (channel === undefined || connection.subscriptions.has(channel)),
    );
  }

  #info(): NodeInfo {
    const { hub, clock, node, name, version } = this.#deps;
    return {
      uid: node,
      name,
      version,
      num_clients: hub.connectionCount,
      num_users: hub.userCount,
      num_channels: hub.channelCount,
      num_subs: hub.subscriptionCount,
      uptime: Math.round((clock.monotonicMs() - this.#startedMs) / 1000),
    };
  }

  #channels(payload: unknown): ChannelsAnswer {
    const { pattern } = channelsSurvey.parse(payload);
    const matches = globMatcher(pattern);
    const found = [...this.#deps.hub.channels()].filter(
      ({ members, name }) => members.size > 0 && matches(name),
    );
    return Object.fromEntries(found.map(({ members, name }) => [name, members.size]));
  }
}

/** `*` any run of characters, `?` one; an empty pattern matches all. */
function globMatcher(pattern: string): (name: string) => boolean {
  if (pattern === '') return () => true;
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  const expression = new RegExp(`^${source}$`, 's');
  return (name) => expression.test(name);
}
