// What is asked of the engine is counted by kind and outcome, and callers get the engine's own promises.
import t from 'tap';
import type { Broker } from '../../../src/engine/broker.ts';
import type { EngineClient } from '../../../src/engine/engine-client.ts';
import { measuredEngine } from '../../../src/engine/measured-engine.ts';
import type { NodeBus } from '../../../src/engine/node-bus.ts';
import type { PresenceStore } from '../../../src/engine/presence-store.ts';
import { HotCounters } from '../../../src/observe/hot-counters.ts';
import { UnavailableError } from '../../../src/util/errors.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

const DRAFT = { data: Buffer.from('x') };
const PLAIN = { historySize: 0, historyTtlMs: 0, historyMetaTtlMs: 0 };
const KEPT = { historySize: 1, historyTtlMs: 1, historyMetaTtlMs: 1 };
const TAKEN = { position: { offset: 0, epoch: '' }, suppressed: false } as const;
const INFO = { user: 'u', client: 'c' };

/** Everything resolves, or everything rejects. */
class Engine implements EngineClient {
  readonly answers = new Map<string, Promise<unknown>>();
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly nodes: NodeBus;

  constructor(failure?: Error) {
    const answer = <T>(name: string, value: T): Promise<T> => {
      const promise = failure === undefined ? Promise.resolve(value) : Promise.reject(failure);
      this.answers.set(name, promise);
      return promise;
    };
    this.broker = {
      subscribe: () => answer('subscribe', undefined),
      unsubscribe: () => answer('unsubscribe', undefined),
      publish: () => answer('publish', TAKEN),
      publishJoin: () => answer('join', undefined),
      publishLeave: () => answer('leave', undefined),
      history: () => answer('history', { publications: [], top: TAKEN.position }),
      removeHistory: () => answer('history_remove', undefined),
    };
    this.presence = {
      add: () => answer('presence_add', undefined),
      remove: () => answer('presence_remove', undefined),
      handOver: () => undefined,
      get: () => answer('presence', []),
      stats: () => answer('presence_stats', { clients: 0, users: 0 }),
    };
    this.nodes = {
      node: 'me',
      send: () => answer('node_send', true),
      broadcast: () => answer('node_broadcast', undefined),
      survey: () => answer('survey', { answers: [], missing: [] }),
      handle: () => undefined,
    };
  }

  connect(): Promise<void> {
    return Promise.resolve();
  }
  ping(): Promise<number> {
    return Promise.resolve(1);
  }
  settle(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

function everything({ broker, presence, nodes }: EngineClient): Promise<unknown>[] {
  return [
    broker.subscribe('a'),
    broker.unsubscribe('a'),
    Promise.resolve(broker.publish('a', DRAFT, PLAIN)),
    Promise.resolve(broker.publish('a', DRAFT, KEPT)),
    broker.publishJoin('a', INFO),
    broker.publishLeave('a', INFO),
    broker.history('a', { limit: 0, reverse: false, historyMetaTtlMs: 1 }),
    broker.removeHistory('a'),
    presence.add('a', INFO),
    presence.remove('a', 'c'),
    presence.get('a'),
    presence.stats('a'),
    nodes.send('n', 'k', 1),
    nodes.broadcast('k', 1),
    nodes.survey('k', 1, 1),
  ];
}

const OPERATIONS = [
  'subscribe',
  'unsubscribe',
  'publish',
  'publish_stored',
  'join',
  'leave',
  'history',
  'history_remove',
  'presence_add',
  'presence_remove',
  'presence',
  'presence_stats',
  'node_send',
  'node_broadcast',
  'survey',
];

for (const [result, failure] of [
  ['ok', undefined],
  ['unavailable', new UnavailableError('away')],
  ['error', new Error('broken')],
] as const) {
  t.test(`everything that ends with ${result}`, async (t) => {
    const counters = new HotCounters();
    const engine = measuredEngine(new Engine(failure), { clock: new FakeClock(), counters });
    await Promise.allSettled(everything(engine));
    const counted = [...counters.engineOperations.entries()].filter(([, value]) => value > 0);
    t.same(
      new Set(counted.map(([[op, how], value]) => `${op} ${how} ${value}`)),
      new Set(OPERATIONS.map((op) => `${op} ${result} 1`)),
    );
    const timed = [...counters.engineSeconds.entries()].filter(([, { counts }]) => counts.some((n) => n > 0));
    t.equal(timed.length, failure === undefined ? OPERATIONS.length : 0);
  });
}

t.test('the promise is the engine’s own, and so is everything that is not counted', async (t) => {
  const inner = new Engine();
  const engine = measuredEngine(inner, { clock: new FakeClock(), counters: new HotCounters() });
  t.equal(engine.broker.publish('a', DRAFT, PLAIN), inner.answers.get('publish'));
  t.equal(engine.presence.get('a'), inner.answers.get('presence'));
  t.equal(engine.nodes.node, 'me');
  t.equal(await engine.ping(), 1);
  await engine.connect();
  await engine.close();
});
