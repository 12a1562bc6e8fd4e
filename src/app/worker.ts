// Composition root of a worker process: makes everything, ties it together, and takes it down again.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { VerificationGate } from '../auth/verification-gate.ts';
import { serveAssignedConnections } from '../cluster/assignment/assigned-connections.ts';
import { WorkerLink } from '../cluster/worker-link.ts';
import { subjectOf } from '../commands/asking.ts';
import type { CommandDeps } from '../commands/command-deps.ts';
import { Control } from '../commands/control.ts';
import { releaseSlot } from '../commands/subscribe.ts';
import { CommandDispatcher } from '../commands/dispatcher.ts';
import type { Config } from '../config/schema.ts';
import type { ConnectionShared } from '../connection/surroundings.ts';
import { Flusher } from '../connection/flusher.ts';
import type { BrokerListener } from '../engine/broker.ts';
import { Admission } from '../gateway/admission.ts';
import { EngineProbe } from '../gateway/engine-probe.ts';
import { createHttpServers } from '../gateway/http-server.ts';
import { EmulatedSessions } from '../gateway/emulated-sessions.ts';
import { OpenConnections } from '../gateway/open-connections.ts';
import { selfCheck } from '../handoff/self-check.ts';
import { ControlKinds, type DisconnectControl } from '../hub/control-messages.ts';
import { Orders } from '../hub/control-orders.ts';
import { Surveys } from '../hub/control-surveys.ts';
import { Hub } from '../hub/hub.ts';
import { isReplyError, Namespaces } from '../hub/namespaces.ts';
import { PositionChecker } from '../hub/position-checker.ts';
import { createLogger, standardOutput } from '../observe/logger.ts';
import { Metrics } from '../observe/metrics.ts';
import { ProcessReadings } from '../observe/process-readings.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import { jsonCodec } from '../protocol/json-codec.ts';
import { protobufCodec } from '../protocol/protobuf-codec.ts';
import { systemClock } from '../util/clock.ts';
import { DeadlineWheel } from '../util/deadline-wheel.ts';
import { ConfigError, UnavailableError, messageOf } from '../util/errors.ts';
import { readVersion } from '../util/version.ts';
import { createApplication } from './application.ts';
import { createEngineClient } from './engine.ts';
import { channelSettings } from './channel-options.ts';
import { commandLimits, userLimits } from './limits.ts';
import { openTokenVerifier } from './token-verifier.ts';
import { answerRates } from './worker-rate.ts';
import { exposeFigures } from './worker-metrics.ts';
import {
  admissionLimits,
  commandSettings,
  connectionLimits,
  logLevel,
  wantsOccupancy,
} from './worker-settings.ts';
import { leaveWhenTold } from './worker-leaving.ts';
import { workerMoves } from './worker-moves.ts';
import { ownAcceptRate, overloadGuard } from './worker-overload.ts';
import { workerRoutes } from './worker-routes.ts';
import { clientTransports } from './worker-transports.ts';

const SURVEY_TIMEOUT_MS = 1000;

export async function runWorker(): Promise<void> {
  const link = await WorkerLink.open();
  const { slot, slots } = link.start;
  // The primary has validated it with the same schema that names this type.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const config = link.start.config as Config;
  const log = createLogger({
    level: logLevel(config),
    role: 'worker',
    slot,
    destination: await standardOutput(),
  });
  const clock = systemClock;
  const version = readVersion();
  const node = randomBytes(12).toString('hex');
  const metrics = new Metrics(node);
  const readings = new ProcessReadings({ metrics, worker: String(slot), version });

  const wheel = new DeadlineWheel({
    clock,
    onStall: (stalledMs) => log.warn({ stalled_ms: Math.round(stalledMs) }, 'event loop was stalled'),
  });
  const flusher = new Flusher();
  const codecs = { json: jsonCodec, protobuf: protobufCodec };
  const { naming, withoutNamespace, namespaces: byName } = channelSettings(config.channel);
  const namespaces = new Namespaces(naming, withoutNamespace, byName);

  const { hot: counters } = metrics;
  const toApplication = { clock, random: Math.random, log, counters, node, version };
  const hooks = await orFail(link, () => createApplication(config, toApplication));
  const { application } = hooks;

  // The engine needs its listener before there is a hub; it calls nobody before `connect`.
  const listener: BrokerListener = {
    onPublication: (...args) => inbound.onPublication(...args),
    onJoin: (...args) => inbound.onJoin(...args),
    onLeave: (...args) => inbound.onLeave(...args),
    onInterruption: (...args) => inbound.onInterruption(...args),
  };
  const { client: engine, checks: engineChecks } = await orFail(link, () =>
    createEngineClient(config.engine, {
      clock,
      random: Math.random,
      node,
      listener,
      onOccupancy: wantsOccupancy(config)
        ? (channel, isOccupied) => {
            // Channels of our own, such as the engine probe's, begin with a control character.
            if (channel < ' ') return;
            const kind = isOccupied ? 'channel_occupied' : 'channel_vacated';
            application.notify({ kind, timeMs: clock.wallMs(), channel });
          }
        : undefined,
      logger: log,
      metrics,
      socketPath: link.start.engineSocketPath,
    }),
  );
  const { broker, presence, nodes } = engine;
  const onCleanUpFailure = (error: unknown): void =>
    log.debug({ err: error }, 'engine missed a leaving subscriber');
  const limits = userLimits({ presence, random: Math.random, onReleaseFailure: onCleanUpFailure }, config);
  const hub = new Hub({
    broker,
    presence,
    codecs,
    flusher,
    counters: metrics.hot,
    nowMs: () => clock.monotonicMs(),
    observeDelivery: (publishedAtWallMs) =>
      metrics.hot.deliveryLatency.observe((clock.wallMs() - publishedAtWallMs) / 1000),
    onLeft: (subscription, { code, reason }) => {
      const { connection, state } = subscription;
      releaseSlot(limits.userSubscriptions, subscription);
      application.notify({
        kind: 'unsubscribe',
        timeMs: clock.wallMs(),
        subject: subjectOf(connection),
        channel: state.channel,
        code,
        reason,
      });
    },
    onDropped: (reason, publications) => {
      metrics.hot.dropped.cell(reason).value += publications;
    },
    onCleanUpFailure,
  });
  await orFail(link, () => engine.connect());
  const probe = new EngineProbe({ broker, clock, node, roundTrips: metrics.hot.engineSeconds.of('probe') });
  const inbound = probe.intercept(hub);
  const positions = new PositionChecker({
    hub,
    broker,
    checkDelayMs: config.client.channel_position_check_delay,
    historyMetaTtlMs: (channel) => {
      const resolved = namespaces.resolve(channel);
      return isReplyError(resolved) ? config.channel.history_meta_ttl : resolved.options.historyMetaTtlMs;
    },
    nowMs: () => clock.monotonicMs(),
  });

  const gate = new VerificationGate(
    {
      nowMs: () => clock.monotonicMs(),
      onPassed: (how) => {
        metrics.hot.verifications.cell(how).value += 1;
      },
    },
    { perSecond: Math.ceil(config.admission.verification_rate / slots) },
  );
  const tokens = openTokenVerifier(
    {
      clock,
      gate,
      observer: {
        jwksFetched: (facts) => log.debug(facts, 'token keys fetched'),
        jwksFailed: (facts) => log.warn(facts, 'token keys could not be fetched'),
      },
    },
    config.client,
  );
  void tokens.warmUp();
  const settings = commandSettings(config);
  const commands: CommandDeps = {
    hub,
    broker,
    presence,
    namespaces,
    verifier: tokens.verifier,
    application,
    clock,
    wheel,
    log,
    counters: metrics.hot,
    settings,
    ...limits,
    commandLimits: commandLimits({ hub, clock }, config),
    endOtherConnections: (user, client) => {
      const { code, reason } = CloseCauses.connectionLimit;
      const order: DisconnectControl = { target: { user }, whitelist: [client], code, reason, perSecond: 0 };
      return nodes.broadcast(ControlKinds.disconnect, order);
    },
    node,
    version: `holdfast ${version}`,
    random: Math.random,
  };
  const orders = new Orders({
    nowMs: () => clock.monotonicMs(),
    onTrouble: (error) => {
      if (error instanceof UnavailableError)
        log.debug({ err: error }, 'order was not carried out: what it needs is away');
      else log.error({ err: error }, 'order could not be carried out');
    },
  });
  const emulated = new EmulatedSessions();
  const open = new OpenConnections(new CommandDispatcher(commands), link.connections, emulated);
  const shared: ConnectionShared = {
    ...connectionLimits(config),
    owner: open,
    clock,
    wheel,
    flusher,
    codecs,
    outboxCounters: { sums: metrics.hot, dropped: metrics.hot.dropped.cell('connection_closed') },
  };
  const acceptRate = ownAcceptRate(link, config);
  const guard = overloadGuard(
    {
      link,
      log,
      metrics,
      open,
      onReading: (load) => {
        gate.adapt(load);
        acceptRate.learn(load);
      },
    },
    config,
  );
  const admission = new Admission(
    {
      nowMs: () => clock.monotonicMs(),
      openConnections: () => open.size,
      isDraining: () => link.draining,
      isOverloaded: () => guard.isOverloaded,
    },
    admissionLimits(config, slots),
  );
  const transports = clientTransports(
    {
      shared,
      emulated,
      admission,
      bus: nodes,
      counters: metrics.hot,
      clock,
      onOpened: (connection) => open.add(connection),
      onAdopted: (connection) => open.adopt(connection),
    },
    config,
  );
  exposeFigures({ metrics, hub, slot, open, queuedNotices: hooks.queuedNotices });
  new Control({ commands, bus: nodes, orders }).register();
  const name = `${hostname()}-${slot}`;
  new Surveys({
    hub,
    bus: nodes,
    clock,
    name,
    version,
    usage: () => readings.usage(),
    acceptRate: () => (guard.isOverloaded ? 0 : acceptRate.perSecond),
  }).register();

  answerRates({ questions: link.questions, bus: nodes, clock });
  link.vitals.of(() => ({
    outboxBytes: counters.queuedBytes,
    trafficBytes: counters.bytesIn + counters.bytesOut,
    loopLagMs: guard.takeWorstLagMs(),
  }));
  link.questions.answer('metrics', () => metrics.snapshot());
  const reach = {
    broker,
    presence,
    bus: nodes,
    namespaces,
    surveyTimeoutMs: SURVEY_TIMEOUT_MS,
    refusesPublications: () => guard.isShedding,
  };
  const routes = { link, log, metrics, version, open, admission, guard, reach };
  const groups = [
    ...transports.groups,
    ...workerRoutes({ ...routes, engineChecks: [probe, ...engineChecks] }, config),
  ];
  const hasInternal = config.http_server.internal_port !== null;
  const servers = await orFail(link, () => createHttpServers({ groups, hasInternal, logger: log }));
  transports.attach(servers.publicServer);
  serveAssignedConnections(servers.publicServer, servers.internalServer, link, (socket) =>
    transports.upgrades.welcome(socket),
  );

  const moves = workerMoves(
    { link, open, commands, transports, counters: metrics.hot, settle: () => engine.settle() },
    config,
  );

  const end = async (): Promise<void> => {
    guard.close();
    gate.close();
    orders.close();
    positions.close();
    hub.interests.close();
    wheel.close();
    await Promise.allSettled([servers.close(), probe.close(), tokens.close(), hooks.close()]);
    await engine.close();
    // What it has counted stays counted.
    link.lastWords('metrics', metrics.snapshot());
    readings.close();
    link.close();
  };
  leaveWhenTold({ link, log, clock, open, orders, moves, end }, config);

  await orFail(link, () => hooks.start(reach));
  wheel.start();
  positions.start();
  guard.start();
  hub.interests.start();
  const immovable = config.handoff.enabled ? await selfCheck() : 'switched off in the configuration';
  if (immovable !== '' && config.handoff.enabled) {
    log.warn({ reason: immovable }, 'connections cannot be moved: a reload will close them');
  }
  link.ready(immovable);
}

/** A worker without its engine or its application serves nobody: it says so and ends, and its slot tries again. */
async function orFail<T>(link: WorkerLink, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    link.fail(messageOf(error), error instanceof ConfigError);
    link.close();
    throw error;
  }
}
