// The connect command (client protocol §5.1, §14, §15): who the client is, what it is subscribed to from the start.
import type { ConnectionClaims } from '../auth/token-claims.ts';
import { InvalidTokenError, TokenExpiredError } from '../auth/token-errors.ts';
import type { Connection } from '../connection/connection.ts';
import type { Application } from '../hooks/application.ts';
import { isReplyError } from '../hub/namespaces.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import { type ConnectRequest, PLAIN_SUBSCRIBE } from '../protocol/commands.ts';
import type { ConnectResult, SubscribeResult } from '../protocol/replies.ts';
import { ReplyErrors } from '../protocol/reply-errors.ts';
import { UnavailableError } from '../util/errors.ts';
import { answerOf, grantOf, subjectOf } from './asking.ts';
import type { CommandDeps } from './command-deps.ts';
import { connectionDeadlineMs, scheduleSubscriptionExpiry } from './expiry.ts';
import { CommandRefused, ConnectionEnded } from './failure.ts';
import { type Grant, PLAIN_GRANT, type StartedSubscription, startSubscription } from './subscribing.ts';
import { expiryOf, ttlSeconds } from './ttl.ts';

interface Identity {
  readonly user: string;
  readonly info: Buffer | undefined;
  readonly meta: Buffer | undefined;
  /** For the connect reply. */
  readonly data: Buffer | undefined;
  readonly expireAtWallMs: number;
  readonly clientSideRefresh: boolean;
  /** Server-side subscriptions to make. */
  readonly subs: ReadonlyMap<string, Grant>;
  /** Those among them that the token named. */
  readonly tokenChannels: readonly string[];
}

export async function connect(
  deps: CommandDeps,
  connection: Connection,
  id: number,
  request: ConnectRequest,
): Promise<void> {
  const { hub, settings, wheel, clock } = deps;
  const { session } = connection;
  session.name = request.name;
  session.version = request.version;
  session.emulatedHeaders = keptHeaders(request.headers, settings.keptEmulatedHeaders);
  const token = request.token === '' ? session.offeredToken : request.token;
  session.offeredToken = '';
  const identity = await identify(deps, connection, request, token);
  if (connection.isClosed) return;
  session.user = identity.user;
  session.connInfo = identity.info;
  session.meta = identity.meta;
  session.expireAtWallMs = identity.expireAtWallMs;
  session.clientSideRefresh = identity.clientSideRefresh;
  session.tokenChannels = identity.tokenChannels;
  if (!(await hasRoom(deps, connection))) throw new ConnectionEnded(CloseCauses.connectionLimit);
  const started = await startServerSide(deps, connection, request, identity.subs);
  if (connection.isClosed) {
    cancelAll(started);
    return;
  }
  hub.add(connection);
  connection.dispatch({
    type: 'accepted',
    nowMs: wheel.nowMs,
    expireAtMs: connectionDeadlineMs(connection, deps),
    jitter: deps.random(),
  });
  const { format } = connection.transport;
  const hasOwnPing = connection.transport.nativePing !== undefined;
  const result: ConnectResult = {
    client: session.client,
    version: deps.version,
    ttlS: session.clientSideRefresh ? ttlSeconds(session.expireAtWallMs, clock.wallMs()) : undefined,
    data: identity.data,
    subs: results(started),
    pingS: hasOwnPing ? undefined : Math.ceil(settings.pingIntervalMs / 1000),
    pong: !hasOwnPing && !format.unidirectional,
    session: session.secret === '' ? undefined : session.secret,
    node: session.secret === '' ? undefined : deps.node,
    time: settings.includeServerTime ? clock.wallMs() : undefined,
  };
  if (format.unidirectional) connection.push({ kind: 'connect', result });
  else connection.reply(id, { kind: 'connect', result });
  for (const { joined } of started.values()) joined.start();
  scheduleSubscriptionExpiry(connection, deps);
  if (settings.singleConnection) await endOthers(deps, connection);
}

/** Single-connection mode (§11): the newest one of a user stays. What cannot be looked up now ends nobody. */
async function endOthers(deps: CommandDeps, connection: Connection): Promise<void> {
  const { user, client } = connection.session;
  const channel = (deps.settings.personalChannelPrefix ?? '') + user;
  if (user === '' || !connection.subscriptions.has(channel)) return;
  try {
    const { clients } = await deps.presence.stats(channel);
    if (clients > 1) await deps.endOtherConnections(user, client);
  } catch (error) {
    deps.log.warn({ client, err: error }, 'other connections of the user could not be ended');
  }
}

/** What nobody will ask for is not kept. */
function keptHeaders(
  headers: ConnectRequest['headers'],
  names: readonly string[],
): Readonly<Record<string, string>> {
  if (names.length === 0) return NO_HEADERS;
  const given = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(given.filter(([name]) => names.includes(name)));
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** Whether the user may have one more connection; the connection's end gives its place back. */
async function hasRoom(deps: CommandDeps, connection: Connection): Promise<boolean> {
  const { hub, userConnections } = deps;
  const { user, client } = connection.session;
  if (userConnections === undefined || user === '') return true;
  try {
    return await userConnections.claim(user, client, () => !connection.isClosed);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    // Without the engine, what is here is all that is known.
    return hub.connectionsOf(user).size < userConnections.limit;
  }
}

async function identify(
  deps: CommandDeps,
  connection: Connection,
  request: ConnectRequest,
  token: string,
): Promise<Identity> {
  const { settings } = deps;
  if (token !== '') return withPersonalChannel(deps, await fromToken(deps, connection, request, token));
  const trustedUser = connection.session.headers[settings.userIdHttpHeader];
  // A proxy that knows nobody may send it empty: that is no proof of anything.
  if (trustedUser !== undefined && trustedUser !== '')
    return withPersonalChannel(deps, { ...ANONYMOUS, user: trustedUser });
  const { connect: ask } = deps.application;
  if (ask !== undefined)
    return withPersonalChannel(deps, await fromApplication(deps, connection, request, ask));
  if (settings.allowAnonymousConnectWithoutToken || settings.insecure) return ANONYMOUS;
  throw new ConnectionEnded(CloseCauses.badRequest);
}

const ANONYMOUS: Identity = Object.freeze({
  user: '',
  info: undefined,
  meta: undefined,
  data: undefined,
  expireAtWallMs: Infinity,
  clientSideRefresh: false,
  subs: new Map(),
  tokenChannels: [],
});

async function fromToken(
  deps: CommandDeps,
  connection: Connection,
  request: ConnectRequest,
  token: string,
): Promise<Identity> {
  const returning = [...request.subs.values()].some(({ recover }) => recover);
  const claims = await deps.verifier.verifyConnection(token, returning).catch((error: unknown) => {
    if (error instanceof TokenExpiredError) throw new CommandRefused(ReplyErrors.tokenExpired);
    if (!(error instanceof InvalidTokenError)) throw error;
    deps.log.info({ client: connection.session.client, reason: error.message }, 'connection token refused');
    throw new ConnectionEnded(CloseCauses.invalidToken);
  });
  if (claims.user === '' && deps.settings.disallowAnonymousConnectionTokens) {
    throw new ConnectionEnded(CloseCauses.permissionDenied);
  }
  const expireAtWallMs = expiryOf(claims.expiresAtMs);
  if (expireAtWallMs <= deps.clock.wallMs()) throw new CommandRefused(ReplyErrors.expired);
  return {
    user: claims.user,
    info: claims.info,
    meta: claims.meta,
    data: undefined,
    expireAtWallMs,
    clientSideRefresh: refreshesItself(deps, expireAtWallMs),
    subs: grants(claims),
    tokenChannels: [...claims.subs.keys()].toSorted(),
  };
}

async function fromApplication(
  deps: CommandDeps,
  connection: Connection,
  request: ConnectRequest,
  ask: NonNullable<Application['connect']>,
): Promise<Identity> {
  const { name, version, data, subs } = request;
  const subject = subjectOf(connection);
  const answer = await answerOf(ask({ subject, data, name, version, channels: [...subs.keys()] }));
  const expireAtWallMs = expiryOf(answer.expireAtMs);
  if (expireAtWallMs <= deps.clock.wallMs()) throw new CommandRefused(ReplyErrors.expired);
  return {
    user: answer.user,
    info: answer.info,
    meta: answer.meta,
    data: answer.data,
    expireAtWallMs,
    clientSideRefresh: refreshesItself(deps, expireAtWallMs),
    subs: new Map([...answer.subs].map(([channel, options]) => [channel, grantOf(options, false)])),
    tokenChannels: [],
  };
}

/** Where the application prolongs connections, clients are not asked to. */
function refreshesItself(deps: CommandDeps, expireAtWallMs: number): boolean {
  return expireAtWallMs !== Infinity && deps.application.refresh === undefined;
}

function grants(claims: ConnectionClaims): ReadonlyMap<string, Grant> {
  return new Map([...claims.subs].map(([channel, options]) => [channel, { ...PLAIN_GRANT, ...options }]));
}

function withPersonalChannel(deps: CommandDeps, identity: Identity): Identity {
  const { personalChannelPrefix } = deps.settings;
  if (personalChannelPrefix === undefined || identity.user === '') return identity;
  const subs = new Map(identity.subs).set(personalChannelPrefix + identity.user, PLAIN_GRANT);
  return { ...identity, subs };
}

/** All of them or, when one fails, none. */
async function startServerSide(
  deps: CommandDeps,
  connection: Connection,
  request: ConnectRequest,
  subs: ReadonlyMap<string, Grant>,
): Promise<ReadonlyMap<string, StartedSubscription>> {
  if (subs.size > deps.settings.channelLimit) throw new ConnectionEnded(CloseCauses.channelLimit);
  const started = new Map<string, StartedSubscription>();
  // All are waited for, so that none of them begins after the others were taken back.
  const outcomes = await Promise.allSettled(
    [...subs].map(async ([channel, grant]) => {
      const resolved = deps.namespaces.resolve(channel);
      if (isReplyError(resolved)) throw new CommandRefused(resolved);
      const position = request.subs.get(channel) ?? { ...PLAIN_SUBSCRIBE, channel };
      const one = await startSubscription(deps, connection, position, resolved.options, grant, true);
      if (one !== undefined) started.set(channel, one);
    }),
  );
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return started;
  cancelAll(started);
  throw failed.reason;
}

function cancelAll(started: ReadonlyMap<string, StartedSubscription>): void {
  for (const { joined } of started.values()) joined.cancel();
}

function results(started: ReadonlyMap<string, StartedSubscription>): ReadonlyMap<string, SubscribeResult> {
  return new Map([...started].map(([channel, { result }]) => [channel, result]));
}
