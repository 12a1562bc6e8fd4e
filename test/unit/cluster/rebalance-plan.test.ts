import t from 'tap';
import { planRebalance, type AverageLoad } from '../../../src/cluster/moves/rebalance-plan.ts';
import { costsOf, LoadBudget } from '../../../src/handoff/part-choice.ts';
import { seeded } from '../../helpers/random.ts';

const THRESHOLDS = { imbalance: 0.1, minConnections: 10 };

/** Of small hosts as well. */
const FINE = { imbalance: 0.1, minConnections: 1 };

function worker(slot: number, over: Partial<AverageLoad>): AverageLoad {
  return { slot, connections: 0, bytesPerSecond: 0, loopShare: 0, ...over };
}

t.test('all on one worker of an idle host: half of them go, idle ones first', async (t) => {
  const plan = planRebalance([worker(1, { connections: 200 }), worker(2, {})], THRESHOLDS);
  t.equal(plan.imbalance, 1);
  t.match(plan.moves, [{ from: 1, to: 2, connections: 100, part: { load: 0.5, byCount: 1, first: 'idle' } }]);
  t.equal(plan.moves.length, 1);
});

t.test('several take from several, and each part is one of what is left by then', async (t) => {
  const plan = planRebalance(
    [500, 0, 300, 0].map((connections, at) => worker(at + 1, { connections })),
    THRESHOLDS,
  );
  const has = new Map([
    [1, 500],
    [2, 0],
    [3, 300],
    [4, 0],
  ]);
  for (const { from, to, part } of plan.moves) {
    const moved = (has.get(from) ?? 0) * part.load;
    has.set(from, (has.get(from) ?? 0) - moved);
    has.set(to, (has.get(to) ?? 0) + moved);
  }
  t.same(
    [...has.values()].map((connections) => Math.round(connections)),
    [200, 200, 200, 200],
  );
});

function movesOf(...loads: AverageLoad[]): number {
  return planRebalance(loads, THRESHOLDS).moves.length;
}

t.test('what is not worth it is left alone', async (t) => {
  t.equal(movesOf(), 0, 'no worker');
  t.equal(movesOf(worker(1, { connections: 1000 })), 0, 'nobody to give to');
  t.equal(movesOf(worker(1, {}), worker(2, {})), 0, 'no connections');
  t.equal(movesOf(worker(1, { connections: 108 }), worker(2, { connections: 92 })), 0, 'below the threshold');
  t.equal(movesOf(worker(1, { connections: 18 }), worker(2, {})), 0, 'fewer than are worth it');
  t.equal(movesOf(worker(1, { connections: 20 }), worker(2, {})), 1);
  const quiet = { connections: 100, bytesPerSecond: 500 };
  t.equal(
    movesOf(worker(1, { ...quiet, loopShare: 0.004 }), worker(2, { ...quiet, loopShare: 0.001 })),
    0,
    'loop time of an idle host is noise',
  );
  t.equal(
    movesOf(worker(1, { loopShare: 0.9 }), worker(2, { connections: 10, loopShare: 0.1 })),
    0,
    'a loaded worker without connections has nothing to give',
  );
});

t.test('the same numbers, but one works: busy ones go, few as they may be', async (t) => {
  const plan = planRebalance(
    [
      worker(1, { connections: 8, bytesPerSecond: 8_000_000, loopShare: 0.8 }),
      worker(2, { connections: 8, bytesPerSecond: 1_000, loopShare: 0.02 }),
    ],
    THRESHOLDS,
  );
  const [move] = plan.moves;
  t.match(move, { from: 1, to: 2, part: { first: 'busy' } });
  t.ok((move?.part.byCount ?? 1) < 0.3, 'what counts is what they do');
});

/** Of the busy one of two. */
function loadAt(loopShare: number): number {
  const loads = [worker(1, { connections: 100, loopShare }), worker(2, { connections: 100 })];
  return planRebalance(loads, THRESHOLDS).workers[0]?.load ?? 0;
}

t.test('the busier the host, the more its traffic and loop time weigh, without a jump', async (t) => {
  const steps = Array.from({ length: 101 }, (_, at) => loadAt(at / 100));
  for (const [at, load] of steps.entries()) {
    const before = steps[at - 1] ?? load;
    t.ok(load >= before - 1e-9 && load - before < 0.06, `${at} %: ${load} after ${before}`);
  }
});

interface Client {
  readonly bytesPerSecond: number;
  readonly loopShare: number;
}

/** What a worker does on its own account. */
const OWN_LOOP_SHARE = 0.005;

/** Workers with clients, measured as badly as real ones. */
class SimulatedHost {
  readonly workers: Client[][];
  readonly #random: () => number;

  constructor(workers: Client[][], random: () => number) {
    this.workers = workers;
    this.#random = random;
  }

  measured(noise: number): AverageLoad[] {
    const about = (value: number): number => value * (1 + noise * (2 * this.#random() - 1));
    return this.workers.map((clients, at) => ({
      slot: at + 1,
      connections: clients.length,
      bytesPerSecond: about(sumOf(clients, 'bytesPerSecond')),
      loopShare: Math.min(1, about(OWN_LOOP_SHARE + sumOf(clients, 'loopShare'))),
    }));
  }

  /** One round as the gateway would do it; returns how many moved. */
  round(noise: number): number {
    let moved = 0;
    for (const { from, to, part } of planRebalance(this.measured(noise), FINE).moves) {
      const source = this.workers[from - 1] ?? [];
      // A second of watching: half of the quiet ones say nothing at all.
      const bytes = source.map(({ bytesPerSecond }) => bytesPerSecond * (this.#random() < 0.5 ? 0.5 : 1.5));
      const costs = costsOf(bytes, part.byCount);
      const sign = part.first === 'idle' ? 1 : -1;
      const inOrder = source
        .map((client, at) => ({ client, cost: costs[at] ?? 0 }))
        .toSorted((one, other) => sign * (one.cost - other.cost));
      const budget = new LoadBudget(part.load);
      const leaving = new Set(inOrder.filter(({ cost }) => budget.take(cost)).map(({ client }) => client));
      this.workers[from - 1] = source.filter((client) => !leaving.has(client));
      this.workers[to - 1]?.push(...leaving);
      moved += leaving.size;
    }
    return moved;
  }
}

function sumOf(clients: readonly Client[], of: keyof Client): number {
  return clients.reduce((sum, client) => sum + client[of], 0);
}

function randomHost(random: () => number): SimulatedHost {
  const count = 2 + Math.floor(random() * 7);
  const hotShare = random() * 0.5;
  const hotBytes = 10 ** (2 + random() * 3.5);
  const cpuPerByte = 10 ** (-8.5 + random() * 1.5);
  const workers = Array.from({ length: count }, () => {
    const size = Math.floor(random() * 400);
    const isHot = random() < 0.4;
    return Array.from({ length: size }, () => {
      const bytesPerSecond =
        random() < (isHot ? 0.9 : hotShare) ? hotBytes * (0.5 + random()) : 20 * random();
      return { bytesPerSecond, loopShare: bytesPerSecond * cpuPerByte };
    });
  });
  return new SimulatedHost(workers, random);
}

t.test('random hosts are even after a few runs, and stay at rest', async (t) => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const host = randomHost(seeded(seed));
    const runs = Array.from({ length: 150 }, () => host.round(0.03)).filter((moved) => moved > 0);
    t.ok(runs.length <= 4, `host ${seed}: ${runs.join(', ')} connections moved in 150 looks`);
    const { imbalance } = planRebalance(host.measured(0), FINE);
    t.ok(imbalance < 0.12, `host ${seed} ends ${imbalance} above the mean`);
  }
});

function many(count: number, client: Client): Client[] {
  return Array.from({ length: count }, () => ({ ...client }));
}

t.test('a lasting hot channel is shared out; one that is over leaves numbers even again', async (t) => {
  const cold = { bytesPerSecond: 20, loopShare: 0.00001 };
  const hot = { bytesPerSecond: 100_000, loopShare: 0.004 };
  const host = new SimulatedHost([many(200, hot), many(200, cold), many(200, cold)], seeded(1));
  t.ok(sumOf(host.workers[0] ?? [], 'loopShare') > 0.75);
  for (let look = 0; look < 5; look += 1) host.round(0.03);
  for (const clients of host.workers) t.ok(sumOf(clients, 'loopShare') < 0.4, 'none is an outlier');
  const quiet = new SimulatedHost(
    host.workers.map(({ length }) => many(length, cold)),
    seeded(2),
  );
  for (let look = 0; look < 5; look += 1) quiet.round(0.03);
  for (const { length } of quiet.workers) t.ok(length > 180 && length < 220, `${length} connections`);
});
