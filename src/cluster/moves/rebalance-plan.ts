// Who gives connections to whom, so that no worker carries much more than its share. Pure.
//
// A worker's load is a weighed mean of its shares of the host's connections, traffic and event-loop time: 1 is what it would
// have if all were equal. Traffic and loop time weigh nothing on an idle host, where they are noise, and more the busier its
// workers are on average, so that nothing jumps. A plan begins where a worker is `imbalance` above the mean and then goes on
// to the mean itself: what it leaves is far below what would begin the next one.

export interface AverageLoad {
  readonly slot: number;
  readonly connections: number;
  /** From and to its clients, over the last while. */
  readonly bytesPerSecond: number;
  /** Part of the time in which its event loop was busy, over the last while. */
  readonly loopShare: number;
}

export interface WeighedWorker extends AverageLoad {
  /** 1 is the mean of all workers. */
  readonly load: number;
  /** What of it comes from the number of connections, 0 to 1; the rest comes from what they do. */
  readonly byCount: number;
}

/** Which of a worker's connections make up a part of its load. */
export interface MovePart {
  /** Of its load, 0 to 1. */
  readonly load: number;
  /** Of its load, 0 to 1: what each of its connections has an equal share in. The rest goes by their traffic. */
  readonly byCount: number;
  /** Idle ones even out numbers and disturb nobody; of busy ones fewer have to move. */
  readonly first: 'idle' | 'busy';
}

export interface PlannedMove {
  /** Worker slots. */
  readonly from: number;
  readonly to: number;
  readonly part: MovePart;
  /** How many that will be, if each carries the same. */
  readonly connections: number;
}

export interface RebalancePlan {
  readonly workers: readonly WeighedWorker[];
  /** How far the most loaded worker is above the mean; 0.1 is 10 %. */
  readonly imbalance: number;
  readonly moves: readonly PlannedMove[];
}

export interface RebalanceThresholds {
  /** Nothing is moved while no worker is so far above the mean. */
  readonly imbalance: number;
  /** A difference in numbers is evened out from so many connections on; traffic may weigh on few of them. */
  readonly minConnections: number;
}

/** So that 100 of 200 are not 99. */
const ROUNDING = 1e-9;

/** `full`: the mean of all workers from which on it has its whole weight. */
const WEIGHTS = {
  connections: 1,
  bytesPerSecond: { most: 1, full: 1_000_000 },
  loopShare: { most: 2, full: 0.2 },
} as const;

export function planRebalance(
  loads: readonly AverageLoad[],
  { imbalance: threshold, minConnections }: RebalanceThresholds,
): RebalancePlan {
  const { workers, weightOfNumber } = weigh(loads);
  const imbalance = Math.max(0, ...workers.map(({ load }) => load - 1));
  if (imbalance < threshold) return { workers, imbalance, moves: [] };
  const moves: PlannedMove[] = [];
  const givers = workers
    .filter(({ load }) => load > 1)
    .toSorted((one, other) => other.load - one.load)
    .map((worker) => ({ worker, excess: worker.load - 1, has: worker.load }));
  const takers = workers
    .filter(({ load }) => load < 1)
    .toSorted((one, other) => one.load - other.load)
    .map(({ slot, load }) => ({ slot, room: 1 - load }));
  for (const giver of givers) {
    const { slot: from, connections, load, byCount } = giver.worker;
    // What puts it above the mean: how many it has, or what they do?
    const first = load * byCount - weightOfNumber >= (load - 1) / 2 ? 'idle' : 'busy';
    const worthwhile = first === 'idle' ? Math.max(1, minConnections) : 1;
    for (const taker of takers) {
      const amount = Math.min(giver.excess, taker.room);
      const count = Math.floor((amount / load) * connections + ROUNDING);
      if (count < worthwhile) continue;
      // Of what it still has then: the moves of one worker come one after the other.
      const part: MovePart = { load: amount / giver.has, byCount, first };
      moves.push({ from, to: taker.slot, part, connections: count });
      giver.excess -= amount;
      giver.has -= amount;
      taker.room -= amount;
    }
  }
  return { workers, imbalance, moves };
}

function weigh(loads: readonly AverageLoad[]): {
  readonly workers: readonly WeighedWorker[];
  readonly weightOfNumber: number;
} {
  const mean = (read: (load: AverageLoad) => number): number =>
    loads.reduce((sum, load) => sum + read(load), 0) / Math.max(1, loads.length);
  const means = {
    connections: mean(({ connections }) => connections),
    bytesPerSecond: mean(({ bytesPerSecond }) => bytesPerSecond),
    loopShare: mean(({ loopShare }) => loopShare),
  };
  const weights = {
    connections: WEIGHTS.connections,
    bytesPerSecond: weightAt(WEIGHTS.bytesPerSecond, means.bytesPerSecond),
    loopShare: weightAt(WEIGHTS.loopShare, means.loopShare),
  };
  const sum = weights.connections + weights.bytesPerSecond + weights.loopShare;
  const workers = loads.map((worker) => {
    const part = (of: keyof typeof weights): number =>
      (weights[of] / sum) * (means[of] > 0 ? worker[of] / means[of] : 1);
    const ofNumber = part('connections');
    const load = ofNumber + part('bytesPerSecond') + part('loopShare');
    return { ...worker, load, byCount: load > 0 ? ofNumber / load : 1 };
  });
  return { workers, weightOfNumber: weights.connections / sum };
}

function weightAt({ most, full }: { readonly most: number; readonly full: number }, mean: number): number {
  return most * Math.min(1, mean / full);
}
