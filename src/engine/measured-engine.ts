// Counts and times what a worker asks of its engine, whichever it is. Callers get the engine's own promises: nothing is
// delayed or reordered by being counted.
import type { HotCounters } from '../observe/hot-counters.ts';
import type { Clock } from '../util/clock.ts';
import { UnavailableError } from '../util/errors.ts';
import type { Broker } from './broker.ts';
import type { EngineClient } from './engine-client.ts';
import type { NodeBus } from './node-bus.ts';
import type { PresenceStore } from './presence-store.ts';

export type EngineCounters = Pick<HotCounters, 'engineOperations' | 'engineSeconds'>;

/** Of one kind of operation: waits for the outcome, and counts it. An outcome at once took no time. */
interface Meter {
  <T>(answer: Promise<T>): Promise<T>;
  <T>(answer: T | Promise<T>): T | Promise<T>;
}

interface MeterDeps {
  readonly clock: Clock;
  readonly counters: EngineCounters;
}

export function measuredEngine(client: EngineClient, deps: MeterDeps): EngineClient {
  return {
    broker: measuredBroker(client.broker, deps),
    presence: measuredPresence(client.presence, deps),
    nodes: measuredNodes(client.nodes, deps),
    connect: () => client.connect(),
    ping: () => client.ping(),
    settle: () => client.settle(),
    close: () => client.close(),
  };
}

function measuredBroker(broker: Broker, deps: MeterDeps): Broker {
  const [subscribe, unsubscribe] = [meter('subscribe', deps), meter('unsubscribe', deps)];
  const [join, leave] = [meter('join', deps), meter('leave', deps)];
  const [history, removeHistory] = [meter('history', deps), meter('history_remove', deps)];
  const [publish, store] = [meter('publish', deps), meter('publish_stored', deps)];
  return {
    subscribe: (channel) => subscribe(broker.subscribe(channel)),
    unsubscribe: (channel) => unsubscribe(broker.unsubscribe(channel)),
    publish: (channel, draft, options) =>
      (options.historySize > 0 ? store : publish)(broker.publish(channel, draft, options)),
    publishJoin: (channel, info) => join(broker.publishJoin(channel, info)),
    publishLeave: (channel, info) => leave(broker.publishLeave(channel, info)),
    history: (channel, filter) => history(broker.history(channel, filter)),
    removeHistory: (channel) => removeHistory(broker.removeHistory(channel)),
  };
}

function measuredPresence(presence: PresenceStore, deps: MeterDeps): PresenceStore {
  const [add, remove] = [meter('presence_add', deps), meter('presence_remove', deps)];
  const [get, stats] = [meter('presence', deps), meter('presence_stats', deps)];
  return {
    add: (channel, info) => add(presence.add(channel, info)),
    remove: (channel, client) => remove(presence.remove(channel, client)),
    handOver: (channel, client) => presence.handOver(channel, client),
    get: (channel) => get(presence.get(channel)),
    stats: (channel) => stats(presence.stats(channel)),
  };
}

function measuredNodes(nodes: NodeBus, deps: MeterDeps): NodeBus {
  const [send, broadcast] = [meter('node_send', deps), meter('node_broadcast', deps)];
  const survey = meter('survey', deps);
  return {
    node: nodes.node,
    send: (node, kind, payload) => send(nodes.send(node, kind, payload)),
    broadcast: (kind, payload) => broadcast(nodes.broadcast(kind, payload)),
    survey: (kind, payload, timeoutMs) => survey(nodes.survey(kind, payload, timeoutMs)),
    handle: (kind, handler) => nodes.handle(kind, handler),
  };
}

function meter(op: string, { clock, counters }: MeterDeps): Meter {
  const seconds = counters.engineSeconds.of(op);
  const cells = counters.engineOperations;
  const [ok, unavailable, failed] = [
    cells.cell(op, 'ok'),
    cells.cell(op, 'unavailable'),
    cells.cell(op, 'error'),
  ];
  const succeeded = (startMs: number): void => {
    seconds.observe((clock.monotonicMs() - startMs) / 1000);
    ok.value += 1;
  };
  const gaveUp = (error: unknown): void => {
    (error instanceof UnavailableError ? unavailable : failed).value += 1;
  };
  return <T>(answer: T | Promise<T>) => {
    if (!(answer instanceof Promise)) {
      ok.value += 1;
      return answer;
    }
    const startMs = clock.monotonicMs();
    answer.then(() => succeeded(startMs), gaveUp);
    return answer;
  };
}
