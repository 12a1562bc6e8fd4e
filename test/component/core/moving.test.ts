// A connection changes its worker while its channels are busy, again and again: what it gets is what it would have got.
import { deserialize, serialize } from 'node:v8';
import t from 'tap';
import { Connection } from '../../../src/connection/connection.ts';
import type { SessionSnapshot } from '../../../src/connection/session.ts';
import { Arrivals } from '../../../src/hub/arrivals.ts';
import { Departure, type MovedSubscription } from '../../../src/hub/departures.ts';
import { Core } from '../../helpers/core-harness.ts';
import { FakeTransport } from '../../helpers/fake-transport.ts';
import { seeded } from '../../helpers/random.ts';
import { isJson } from '../../helpers/server-frames.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const OPTIONS = {
  client: { insecure: true },
  channel: {
    without_namespace: { presence: true },
    namespaces: [{ name: 'kept', history_size: 5000, history_ttl: '60s', force_recovery: true }],
  },
};
const CHANNELS = ['plain', 'kept:a'] as const;

const turn = (): Promise<void> => new Promise(setImmediate);

/** What a transport got in a channel: publisher and number of each publication. */
function received(transports: readonly FakeTransport[], channel: string): (readonly [string, number])[] {
  return transports
    .flatMap(({ messages }) => messages)
    .flatMap(({ push }) => {
      if (!isJson(push) || push['channel'] !== channel || !isJson(push['pub'])) return [];
      const { data } = push['pub'];
      return isJson(data) ? [[String(data['from']), Number(data['n'])] as const] : [];
    });
}

/** Publishes from both workers, in both channels, without waiting. */
class Publisher {
  readonly sent = new Map<string, number>();
  readonly #cores: Readonly<Record<string, Core>>;

  constructor(cores: Readonly<Record<string, Core>>) {
    this.#cores = cores;
  }

  burst(times: number): void {
    for (let each = 0; each < times; each++) {
      for (const [name, core] of Object.entries(this.#cores)) {
        for (const channel of CHANNELS) {
          const key = `${channel} ${name}`;
          const n = (this.sent.get(key) ?? 0) + 1;
          this.sent.set(key, n);
          void core.publish(channel, { from: name, n });
        }
      }
    }
  }
}

/** Takes the connection out of one worker; what travels is plain data. */
function depart(core: Core, connection: Connection) {
  const departure = Departure.of(core.hub, connection);
  if (departure === undefined) throw new Error('it cannot go');
  connection.flush();
  const subscriptions = departure.subscriptions;
  const data: unknown = deserialize(serialize({ snapshot: connection.freeze(), subscriptions }));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as it was written
  return { departure, moved: data as { snapshot: SessionSnapshot; subscriptions: MovedSubscription[] } };
}

async function twoCores(scope: Parameters<typeof Core.start>[0]) {
  const a = await Core.start(scope, OPTIONS);
  const b = await Core.start(scope, { ...OPTIONS, engine: a.engine });
  return { a, b };
}

const arrivalsAt = (core: Core, lost: { count: number }): Arrivals =>
  new Arrivals({
    hub: core.hub,
    settle: () => core.engineClient.settle(),
    matcher: () => undefined,
    onLost: () => {
      lost.count += 1;
    },
  });

t.test('moved to and fro under publications of both workers', async (t) => {
  const { a, b } = await twoCores(t);
  const cores = { a, b };
  const publisher = new Publisher(cores);
  const random = seeded(11);
  const client = await a.connected();
  for (const channel of CHANNELS) await client.subscribe(channel);
  const transports = [client.transport];
  let { connection } = client;
  let here: 'a' | 'b' = 'a';
  const lost = { count: 0 };
  for (let round = 1; round <= 30; round++) {
    const there: 'a' | 'b' = here === 'a' ? 'b' : 'a';
    const arrivals = arrivalsAt(cores[there], lost);
    publisher.burst(Math.floor(random() * 4));
    await arrivals.prepare(CHANNELS);
    publisher.burst(Math.floor(random() * 4));
    await connection.hold();
    await cores[here].engineClient.settle();
    publisher.burst(Math.floor(random() * 4));
    if (random() < 0.5) await turn();
    const { departure, moved } = depart(cores[here], connection);
    publisher.burst(Math.floor(random() * 4));
    for (let turns = Math.floor(random() * 4); turns > 0; turns--) await turn();
    const transport = new FakeTransport();
    const next = new Connection(transport, moved.snapshot.session, cores[there].shared, moved.snapshot);
    cores[there].hub.add(next);
    arrivals.adopt(next, round, moved.subscriptions);
    publisher.burst(Math.floor(random() * 4));
    next.thaw();
    await cores[there].engineClient.settle();
    next.letGo();
    departure.complete();
    cores[here].hub.withdraw(connection);
    connection.forsake(there);
    t.equal(cores[here].hub.subscriptionCount, 0);
    publisher.burst(1);
    await cores[here].engineClient.settle();
    await arrivals.settled(round);
    await arrivals.close();
    transports.push(transport);
    connection = next;
    here = there;
  }
  for (const [key, n] of publisher.sent) {
    const [channel = '', from] = key.split(' ');
    const numbers = await waitFor(`the last of ${key}`, () => {
      const all = received(transports, channel).filter(([publisherName]) => publisherName === from);
      return all.length >= n && all.map(([, number]) => number);
    });
    t.same(
      numbers,
      Array.from({ length: n }, (_, index) => index + 1),
      key,
    );
  }
  t.equal(lost.count, 0);
  t.same([...a.left, ...b.left], [], 'no subscription has ended');
  t.equal(a.hot.publicationsMissed + b.hot.publicationsMissed, 0);
});

t.test('one that stays after all has missed nothing, and can end as any other', async (t) => {
  const { a, b } = await twoCores(t);
  const publisher = new Publisher({ a, b });
  const client = await a.connected();
  for (const channel of CHANNELS) await client.subscribe(channel);
  publisher.burst(3);
  await client.connection.hold();
  const { departure } = depart(a, client.connection);
  publisher.burst(5);
  await b.engineClient.settle();
  await a.engineClient.settle();
  const before = client.transport.writes.length;
  await turn();
  t.equal(client.transport.writes.length, before, 'nothing is written meanwhile');
  departure.undo();
  client.connection.thaw();
  client.connection.letGo();
  publisher.burst(2);
  for (const [key, n] of publisher.sent) {
    const [channel = '', from] = key.split(' ');
    const numbers = await waitFor(`the last of ${key}`, () => {
      const all = received([client.transport], channel).filter(([name]) => name === from);
      return all.length >= n && all.map(([, number]) => number);
    });
    t.same(
      numbers,
      Array.from({ length: n }, (_, index) => index + 1),
      key,
    );
  }
  client.connection.onTransportClosed();
  t.same(
    a.left.map(({ channel }) => channel).toSorted(),
    CHANNELS.toSorted(),
    'its subscriptions have ended now',
  );
  t.equal(a.hub.subscriptionCount, 0);
});

t.test('what ends it while it is away ends it when it is back', async (t) => {
  const { a } = await twoCores(t);
  const client = await a.connected();
  await client.subscribe('plain');
  await client.connection.hold();
  const { departure } = depart(a, client.connection);
  let settled: string | undefined | null = null;
  client.connection.onSettled((movedTo) => {
    settled = movedTo;
  });
  client.connection.onTransportClosed();
  t.notOk(client.connection.isClosed);
  departure.undo();
  client.connection.thaw();
  t.ok(client.connection.isClosed);
  t.equal(settled, undefined);
  t.same(a.left.length, 1);
  t.equal(a.hub.connectionCount, 0);
});
