// What this worker answers when a node asks all nodes about their connections and channels.
import type { Connection } from '../connection/connection.ts';
import type { NodeBus } from '../engine/node-bus.ts';
import type { Clock } from '../util/clock.ts';
import {
  type ChannelsAnswer,
  channelsSurvey,
  type ConnectionDetails,
  type ConnectionsAnswer,
  connectionsSurvey,
  type NodeInfo,
  SurveyKinds,
} from './control-messages.ts';
import { candidates, isMeant } from './control-target.ts';
import { firstAfter } from './first-after.ts';
import { globMatcher } from './glob.ts';
import type { Hub } from './hub.ts';

export interface SurveysDeps {
  readonly hub: Hub;
  readonly bus: NodeBus;
  readonly clock: Clock;
  /** Shown to people. */
  readonly name: string;
  readonly version: string;
  /** Percent of one core over the last few seconds, resident bytes. */
  readonly usage: () => { readonly cpu: number; readonly rss: number };
  /** New connections a second; undefined as long as nobody knows. */
  readonly acceptRate: () => number | undefined;
}

/** What clients call themselves is shown only so far. */
const MAX_NAME_LENGTH = 256;

export class Surveys {
  readonly #deps: SurveysDeps;
  readonly #startedMs: number;

  constructor(deps: SurveysDeps) {
    this.#deps = deps;
    this.#startedMs = deps.clock.monotonicMs();
  }

  register(): void {
    const { bus } = this.#deps;
    bus.handle(SurveyKinds.info, () => this.#info());
    bus.handle(SurveyKinds.channels, (payload) => this.#channels(payload));
    bus.handle(SurveyKinds.connections, (payload) => this.#connections(payload));
  }

  #info(): NodeInfo {
    const { hub, bus, clock, name, version, usage } = this.#deps;
    const acceptRate = this.#deps.acceptRate();
    return {
      uid: bus.node,
      name,
      version,
      num_clients: hub.connectionCount,
      num_users: hub.userCount,
      num_channels: hub.channelCount,
      num_subs: hub.subscriptionCount,
      uptime: Math.round((clock.monotonicMs() - this.#startedMs) / 1000),
      process: usage(),
      ...(acceptRate !== undefined && { accept_rate: Math.round(acceptRate) }),
    };
  }

  async #channels(payload: unknown): Promise<ChannelsAnswer> {
    const { pattern, after, limit } = channelsSurvey.parse(payload);
    const matches = globMatcher(pattern);
    const found = await firstAfter(this.#deps.hub.channels(), {
      keyOf: ({ members, name }) => (members.size > 0 && matches(name) ? name : undefined),
      after,
      limit,
    });
    return found.map(({ name, members }) => [name, members.size]);
  }

  async #connections(payload: unknown): Promise<ConnectionsAnswer> {
    const { target, after, limit } = connectionsSurvey.parse(payload);
    const found = await firstAfter(candidates(this.#deps.hub, target), {
      keyOf: (connection) => (isMeant(target, connection) ? connection.session.client : undefined),
      after,
      limit,
    });
    return found.filter((connection) => !connection.isClosed).map(detailsOf);
  }
}

function detailsOf(connection: Connection): ConnectionDetails {
  const { session, transport, subscriptions } = connection;
  const { lastFrameWallMs, roundTripMs } = session.signs;
  return {
    client: session.client,
    user: session.user,
    transport: transport.kind,
    protocol: transport.format.encoding,
    app_name: session.name.slice(0, MAX_NAME_LENGTH),
    app_version: session.version.slice(0, MAX_NAME_LENGTH),
    connected_at_ms: session.connectedAtWallMs,
    last_activity_ms: lastFrameWallMs,
    channels: [...subscriptions.keys()],
    outbox_bytes: connection.unsentBytes,
    ...(roundTripMs >= 0 && { ping_pong_latency_ms: Math.round(roundTripMs * 10) / 10 }),
    remote_address: session.remoteAddress,
    user_agent: session.userAgent,
  };
}
