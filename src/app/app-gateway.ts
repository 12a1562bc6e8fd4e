// The gateway as the app module sees it, over the same engine, node bus and rules that the server API uses.
import { ApiFailure } from '../api/api-errors.ts';
import { optionsOf } from '../api/channel-options.ts';
import { inTurns, publicationsAtOnce } from '../api/in-turns.ts';
import { type ApplicationPublishDeps, publishByApplication } from '../api/publish-by-application.ts';
import type { Broker } from '../engine/broker.ts';
import type { NodeBus, SurveyResult } from '../engine/node-bus.ts';
import type { PresenceStore } from '../engine/presence-store.ts';
import type { Data } from '../hooks/app/app-data.ts';
import { GatewayError } from '../hooks/app/app-errors.ts';
import type {
  ConnectionDetails,
  DisconnectOptions,
  Found,
  Gateway,
  History,
  HistoryOptions,
  Position,
  Present,
  PublishOptions,
  SubscribeOptions,
  Target,
} from '../hooks/app/gateway.ts';
import { parsedJson, payloadFrom, received } from '../hooks/app/payloads.ts';
import {
  channelsAnswer,
  type ChannelsSurvey,
  connectionsAnswer,
  type ConnectionsSurvey,
  ControlKinds,
  type ControlTarget,
  type DisconnectControl,
  type SubscribeControl,
  SurveyKinds,
  type UnsubscribeControl,
} from '../hub/control-messages.ts';
import { MAX_GLOB_LENGTH } from '../hub/glob.ts';
import type { Namespaces } from '../hub/namespaces.ts';
import type { ChannelOptions } from '../protocol/channel-options.ts';
import { CloseCauses, safeReason } from '../protocol/close-causes.ts';
import type { ClientInfo, Publication } from '../protocol/publication.ts';
import { ReplyErrors } from '../protocol/reply-errors.ts';
import { UnavailableError, asError } from '../util/errors.ts';

export interface AppGatewayDeps extends ApplicationPublishDeps {
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly bus: NodeBus;
  readonly namespaces: Namespaces;
  /** How long a node has to answer. */
  readonly surveyTimeoutMs: number;
}

const MAX_CONNECTIONS = 1_000;

export class AppGateway implements Gateway {
  readonly #deps: AppGatewayDeps;

  constructor(deps: AppGatewayDeps) {
    this.#deps = deps;
  }

  publish(channel: string, data: Data, options: PublishOptions = {}): Promise<Position> {
    return guarded(() => this.#publish(channel, payloadFrom(data), options));
  }

  broadcast(
    channels: readonly string[],
    data: Data,
    options: PublishOptions = {},
  ): Promise<readonly (Position | Error)[]> {
    return guarded(async () => {
      const payload = payloadFrom(data);
      return inTurns(channels, publicationsAtOnce(payload?.length ?? 0), (channel) =>
        guarded(() => this.#publish(channel, payload, options)).catch(asError),
      );
    });
  }

  async #publish(channel: string, data: Buffer | undefined, options: PublishOptions): Promise<Position> {
    this.#rules(channel);
    const { tags, skipHistory = false, idempotencyKey, version, versionEpoch, delta = false } = options;
    const publication = { data, tags, skipHistory, idempotencyKey, version, versionEpoch, delta };
    return publishByApplication(this.#deps, channel, publication);
  }

  subscribe(target: Target, channel: string, options: SubscribeOptions = {}): Promise<void> {
    return guarded(async () => {
      this.#rules(channel);
      const { expireAt, recoverSince } = options;
      const info = payloadFrom(options.info)?.toString('base64');
      const data = payloadFrom(options.data)?.toString('base64');
      await this.#order<SubscribeControl>(ControlKinds.subscribe, target, {
        channel,
        ...(info !== undefined && { info }),
        ...(data !== undefined && { data }),
        expireAt: expireAt === undefined ? 0 : Math.floor(expireAt.getTime() / 1000),
        ...(recoverSince !== undefined && { recoverSince }),
        override: overrideOf(options.override),
      });
    });
  }

  unsubscribe(target: Target, channel = ''): Promise<void> {
    return guarded(async () => {
      if (channel !== '') this.#rules(channel);
      await this.#order<UnsubscribeControl>(ControlKinds.unsubscribe, target, { channel });
    });
  }

  disconnect(target: Target, options: DisconnectOptions = {}): Promise<void> {
    return guarded(async () => {
      const { code = CloseCauses.forceDisconnect.code, except = [] } = options;
      const initialReason = options.code === undefined ? CloseCauses.forceDisconnect.reason : '';
      if (!Number.isInteger(code) || code < 3000 || code > 4999) {
        throw badRequest(`expected a close code from 3000 to 4999, got ${code}`);
      }
      await this.#order<DisconnectControl>(ControlKinds.disconnect, target, {
        whitelist: [...except],
        code,
        reason: safeReason(options.reason ?? initialReason),
      });
    });
  }

  presence(channel: string): Promise<readonly Present[]> {
    return guarded(async () => {
      this.#withPresence(channel);
      return (await this.#deps.presence.get(channel)).map(presentOf);
    });
  }

  presenceStats(channel: string): Promise<{ readonly clients: number; readonly users: number }> {
    return guarded(async () => {
      this.#withPresence(channel);
      return this.#deps.presence.stats(channel);
    });
  }

  history(channel: string, options: HistoryOptions = {}): Promise<History> {
    return guarded(async () => {
      const { historyMetaTtlMs } = this.#withHistory(channel);
      const { since, limit = -1, reverse = false } = options;
      const { publications, top } = await this.#deps.broker.history(channel, {
        limit: limit < 0 ? -1 : limit,
        since,
        reverse,
        historyMetaTtlMs,
      });
      if (since !== undefined && since.epoch !== '' && since.epoch !== top.epoch) {
        throw failure(ReplyErrors.unrecoverablePosition, 'the stream has another epoch now');
      }
      return { publications: publications.map(publicationOf), ...top };
    });
  }

  removeHistory(channel: string): Promise<void> {
    return guarded(async () => {
      this.#withHistory(channel);
      await this.#deps.broker.removeHistory(channel);
    });
  }

  connections(
    target: Target,
    { limit = MAX_CONNECTIONS }: { readonly limit?: number | undefined } = {},
  ): Promise<Found<readonly ConnectionDetails[]>> {
    return guarded(async () => {
      if (!Number.isInteger(limit) || limit < 1)
        throw badRequest('expected limit to be a whole number, 1 or more');
      const question: ConnectionsSurvey = { target: controlTarget(target), after: '', limit };
      const survey = await this.#survey(SurveyKinds.connections, question);
      const all = survey.answers.flatMap(({ result }) => connectionsAnswer.safeParse(result).data ?? []);
      const sorted = all.toSorted((a, b) => (a.client < b.client ? -1 : 1)).slice(0, limit);
      const details = sorted.map((each) => ({
        client: each.client,
        user: each.user,
        transport: each.transport,
        protocol: each.protocol,
        name: each.app_name,
        version: each.app_version,
        connectedAt: new Date(each.connected_at_ms),
        lastActivityAt: new Date(each.last_activity_ms),
        channels: each.channels,
        outboxBytes: each.outbox_bytes,
        roundTripMs: each.ping_pong_latency_ms,
        remoteAddress: each.remote_address,
        userAgent: each.user_agent,
      }));
      return { found: details, complete: survey.missing.length === 0 };
    });
  }

  channels(pattern = ''): Promise<Found<ReadonlyMap<string, number>>> {
    return guarded(async () => {
      if (pattern.length > MAX_GLOB_LENGTH) {
        throw badRequest(`expected a pattern of at most ${MAX_GLOB_LENGTH} characters`);
      }
      const question: ChannelsSurvey = { pattern, after: '', limit: 0 };
      const survey = await this.#survey(SurveyKinds.channels, question);
      const found = new Map<string, number>();
      for (const { result } of survey.answers) {
        for (const [name, clients] of channelsAnswer.safeParse(result).data ?? []) {
          found.set(name, (found.get(name) ?? 0) + clients);
        }
      }
      return { found, complete: survey.missing.length === 0 };
    });
  }

  #order<Order extends { readonly target: ControlTarget; readonly perSecond: number }>(
    kind: string,
    target: Target,
    order: Omit<Order, 'target' | 'perSecond'>,
  ): Promise<void> {
    const { perSecond = 0 } = target;
    if (!(perSecond >= 0)) throw badRequest('expected perSecond to be a number, 0 or more');
    return this.#deps.bus.broadcast(kind, { ...order, target: controlTarget(target), perSecond });
  }

  #survey(kind: string, question: object): Promise<SurveyResult> {
    return this.#deps.bus.survey(kind, question, this.#deps.surveyTimeoutMs);
  }

  #rules(channel: string): ChannelOptions {
    if (channel === '') throw badRequest('expected the name of a channel');
    return optionsOf(this.#deps.namespaces, channel);
  }

  #withPresence(channel: string): void {
    if (this.#rules(channel).presence) return;
    throw failure(ReplyErrors.notAvailable, `channel ${JSON.stringify(channel)} has no presence`);
  }

  #withHistory(channel: string): ChannelOptions {
    const rules = this.#rules(channel);
    if (rules.historySize > 0) return rules;
    throw failure(ReplyErrors.notAvailable, `channel ${JSON.stringify(channel)} keeps no history`);
  }
}

/** Whatever fails in the gateway is a GatewayError to the application. */
async function guarded<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof ApiFailure) throw failure({ ...error.spec, temporary: false }, error.message, error);
    if (error instanceof UnavailableError) throw failure(ReplyErrors.internal, error.message, error);
    throw error;
  }
}

function failure(
  { code, temporary }: { readonly code: number; readonly temporary: boolean },
  message: string,
  cause?: unknown,
): GatewayError {
  return new GatewayError(code, message, { temporary, cause });
}

function badRequest(message: string): GatewayError {
  return failure(ReplyErrors.badRequest, message);
}

function controlTarget({ user, client, channel, everyone }: Target): ControlTarget {
  const isNarrow = user !== undefined || client !== undefined || channel !== undefined;
  // One forgotten variable must not close all connections there are.
  if (isNarrow === (everyone === true)) {
    throw badRequest('expected a target: user, client or channel, or everyone: true');
  }
  return {
    ...(user !== undefined && { user }),
    ...(client !== undefined && { client }),
    ...(channel !== undefined && { channel }),
  };
}

function presentOf({ user, client, connInfo, chanInfo }: ClientInfo): Present {
  return { user, client, connInfo: parsedJson(connInfo), chanInfo: parsedJson(chanInfo) };
}

function publicationOf({ data, offset, tags, info }: Publication): History['publications'][number] {
  return { ...received(data), offset, tags: tags ?? {}, info: info && presentOf(info) };
}

function overrideOf(given: SubscribeOptions['override']): SubscribeControl['override'] {
  const names = ['presence', 'joinLeave', 'forcePushJoinLeave', 'forcePositioning', 'forceRecovery'] as const;
  const override: SubscribeControl['override'] = {};
  for (const name of names) {
    const value = given?.[name];
    if (value !== undefined) override[name] = value;
  }
  return override;
}
