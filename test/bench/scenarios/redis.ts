// The scenarios of several hosts on one Redis: what a publication costs from one host to another, how long it takes, how
// many there may be, and what it costs to join many channels.
import { asError } from '../../../src/util/errors.ts';
import { Histogram } from '../load/histogram.ts';
import type { OpenOrder } from '../load/orders.ts';
import { cpuMs } from '../measure/processes.ts';
import { holdfastRedis, socketioRedis } from '../servers/redis-hosts.ts';
import { holdfast } from '../servers/subjects.ts';
import { Delivery, type Load, measureDelivery, sourceAddress, strandedDoubt } from './delivery.ts';
import { type Figure, NO_FAULTS, type Run, type Sample, type Scenario } from './scenario.ts';

type Scale = Pick<Run, 'smoke' | 'durationMs'>;

const LATENCIES: readonly Figure[] = [
  { key: 'p50Ms', label: 'latency p50', unit: 'ms', digits: 2 },
  { key: 'p99Ms', label: 'latency p99', unit: 'ms', digits: 2 },
  { key: 'maxMs', label: 'latency max', unit: 'ms', digits: 1 },
];
const COSTS: readonly Figure[] = [
  { key: 'cpuUs', label: 'CPU of both hosts per publication', unit: 'µs', digits: 1 },
  { key: 'redisUs', label: 'CPU of Redis per publication', unit: 'µs', digits: 1 },
  { key: 'generatorUs', label: 'generator CPU per publication', unit: 'µs', digits: 1 },
];
const RATE: Figure = { key: 'perSecond', label: 'deliveries a second', unit: '', digits: 0 };

/** Every publication goes from a client at the first host to the one subscriber of its channel at the second. */
const ACROSS: Load = {
  name: 'across',
  subscribers: 200,
  channels: 200,
  publishers: 20,
  perSecond: 1000,
  burst: 1,
  sizeBytes: 100,
  jitter: true,
  light: false,
  hosts: { publishers: 0, subscribers: 1 },
};
const HERE: Load = { ...ACROSS, perSecond: 5000, hosts: { publishers: 0, subscribers: 0 } };

const PEERS = [
  socketioRedis('pubsub'),
  socketioRedis('streams'),
  holdfastRedis(),
  holdfastRedis('with history'),
];

const BESIDE_METHOD =
  'Two hosts, each with one worker (Holdfast: and its primary), on one redis-server without persistence, all of it and the ' +
  'generators on the cores of one machine, over TCP on loopback. ';

function describe(load: Load, { durationMs }: Scale, where: string): string {
  return (
    `${BESIDE_METHOD}${load.channels} channels with one subscriber each; ${load.perSecond} publications a second of ` +
    `${load.sizeBytes} bytes, unevenly spaced, from ${load.publishers} publishing clients ${where}; ` +
    `measured for ${(durationMs ?? 10_000) / 1000} s after a warm-up, until the last delivery. Latency is from the publishing ` +
    'client’s write to the read at the subscriber.'
  );
}

function planOf(load: Load, { smoke, durationMs }: Scale) {
  if (!smoke) return { loads: [load], warmUpMs: 3000, durationMs: durationMs ?? 10_000 };
  const small = { ...load, subscribers: 20, channels: 20, perSecond: 200 };
  return { loads: [small], warmUpMs: 250, durationMs: 1000 };
}

export const redis: Scenario = {
  name: 'redis',
  title: 'From one host to another through Redis',
  subjects: PEERS,
  smokeSubjects: ['socket.io redis', 'holdfast redis', 'holdfast redis with history'],
  rounds: 5,
  figures: [...LATENCIES, ...COSTS, RATE],
  plotted: 'cpuUs',
  goals: [],
  method: (scale) => describe(ACROSS, scale, 'at the first host, the subscribers at the second'),
  measure: async (subject, run) => (await measureDelivery(subject, run, planOf(ACROSS, run))).sample,
};

const local = holdfast(1);
const throughRedis = holdfastRedis();

export const redisDelay: Scenario = {
  name: 'redis-delay',
  title: 'The delay that Redis adds',
  subjects: [local, throughRedis],
  smokeSubjects: [],
  rounds: 5,
  figures: [...LATENCIES, ...COSTS, RATE],
  plotted: 'p99Ms',
  goals: [{ figure: 'p99Ms', of: throughRedis.name, atMost: 1 }],
  method: (scale) =>
    `${describe(HERE, scale, 'and subscribers of the same worker')} ${local.name} has the embedded engine, and its publications need ` +
    `no trip through it; those of ${throughRedis.name} go through Redis and come back to the worker they came from. The second host idles.`,
  measure: async (subject, run) => (await measureDelivery(subject, run, planOf(HERE, run))).sample,
};

const LIMIT_MS = 100;
const FIRST_RATE = 1000;
const GROWTH = 1.5;
/** Halvings of the last step, after the first rate that is too much. */
const REFINEMENTS = 2;
const MOST_PER_SECOND = 100_000;
/** A smaller share of the rate than this was not met. */
const MET = 0.9;

/** The highest rate with a p99 below the limit, found by steps. */
async function measureThroughput(delivery: Delivery, run: Run, isOurs: boolean): Promise<Sample> {
  const durationMs = run.smoke ? 500 : (run.durationMs ?? 4000);
  let best: Sample | undefined;
  let bestRate = 0;
  let tooMuch = Infinity;
  let rate = run.smoke ? 200 : FIRST_RATE;
  const found = (sample: Sample, doubt?: string): Sample => ({
    ...sample,
    figures: { ...(best ?? sample).figures, rate: bestRate },
    warnings: doubt === undefined ? sample.warnings : [...sample.warnings, doubt],
  });
  for (let refinements = 0; refinements <= REFINEMENTS && rate <= MOST_PER_SECOND;) {
    run.progress(`${rate} publications a second`);
    const sample = await attempt(delivery, durationMs, rate);
    if (sample instanceof Error) {
      if (best === undefined) throw sample;
      return found(best, `${rate} publications a second were refused: ${sample.message.slice(0, 100)}`);
    }
    const { lost, repeated, reordered, stray } = sample.faults;
    // What is lost once is missing in all later windows too: there is no way on.
    if (lost + repeated + reordered + stray > 0) {
      if (isOurs || best === undefined) return found(sample);
      return found(best, `at ${rate} a second ${lost} messages were lost: the rate before is its limit`);
    }
    if (tooMuch !== Infinity) refinements += 1;
    if (isFine(sample, rate)) [best, bestRate] = [sample, rate];
    else tooMuch = rate;
    if (run.smoke) break;
    rate = Math.round(tooMuch === Infinity ? rate * GROWTH : (bestRate + tooMuch) / 2);
  }
  if (best === undefined) throw new Error(`p99 was above ${LIMIT_MS} ms at every rate`);
  return found(best);
}

/** An error when the server has refused something: clients that were refused take no more part. */
async function attempt(delivery: Delivery, durationMs: number, rate: number): Promise<Sample | Error> {
  try {
    const { sample } = await delivery.measure(durationMs, rate);
    // Perhaps it was something else on this machine.
    return isFine(sample, rate) ? sample : (await delivery.measure(durationMs, rate)).sample;
  } catch (error) {
    return asError(error);
  }
}

function isFine({ figures }: Sample, rate: number): boolean {
  return (figures['p99Ms'] ?? Infinity) <= LIMIT_MS && (figures['perSecond'] ?? 0) >= rate * MET;
}

export const redisThroughput: Scenario = {
  name: 'redis-throughput',
  title: 'Publications a second between two hosts until p99 passes 100 ms',
  subjects: PEERS,
  smokeSubjects: [],
  rounds: 3,
  figures: [
    { key: 'rate', label: 'publications a second', unit: '', digits: 0 },
    { key: 'p50Ms', label: 'latency p50 there', unit: 'ms', digits: 2 },
    { key: 'p99Ms', label: 'latency p99 there', unit: 'ms', digits: 2 },
    ...COSTS,
  ],
  plotted: 'rate',
  goals: [],
  method: ({ durationMs }) =>
    `${BESIDE_METHOD}${ACROSS.channels} channels with one subscriber each at the second host, ${ACROSS.publishers} publishing clients at the ` +
    `first. The rate begins with ${FIRST_RATE} a second and grows by half as long as the p99 of a window of ` +
    `${(durationMs ?? 4000) / 1000} s stays below ${LIMIT_MS} ms in one of two attempts; the last step is halved ${REFINEMENTS} times. The other figures are those of the highest ` +
    'rate that was met. A peer that loses a message at a higher rate has found its limit; with Holdfast the run would be void.',
  async measure(subject, run) {
    const load = { ...ACROSS, jitter: false };
    const delivery = await Delivery.open(subject, run, planOf(load, run).loads);
    run.progress('warming up');
    await delivery.warmUp(run.smoke ? 250 : 2000);
    const sample = await measureThroughput(delivery, run, subject.dialect === 'holdfast');
    await delivery.close();
    return sample;
  },
};

const JOINS = { clients: 100, channelsEach: 100, atOnce: 10 };
const SMOKE_JOINS = { clients: 10, channelsEach: 10, atOnce: 10 };

export const redisJoin: Scenario = {
  name: 'redis-join',
  title: 'A worker joins ten thousand channels',
  subjects: PEERS,
  smokeSubjects: ['holdfast redis'],
  rounds: 3,
  figures: [
    { key: 'tookMs', label: 'until all are joined', unit: 'ms', digits: 0 },
    { key: 'cpuUs', label: 'CPU of the host per channel', unit: 'µs', digits: 1 },
    { key: 'redisUs', label: 'CPU of Redis per channel', unit: 'µs', digits: 1 },
    { key: 'p50Ms', label: 'a client with its channels p50', unit: 'ms', digits: 1 },
    { key: 'p99Ms', label: 'p99', unit: 'ms', digits: 1 },
    { key: 'generatorUs', label: 'generator CPU per channel', unit: 'µs', digits: 1 },
  ],
  plotted: 'cpuUs',
  goals: [],
  method: () =>
    `${BESIDE_METHOD}${JOINS.clients} clients come to the first host, ${JOINS.atOnce} at once, and each joins ${JOINS.channelsEach} channels ` +
    'of its own: no channel has another subscriber. Timed from the start of the TCP connect to the last acknowledged subscription. socket.io ' +
    'subscribes to nothing at Redis for a room: with its adapters every host gets everything.',
  async measure(subject, run) {
    const { clients, channelsEach, atOnce } = run.smoke ? SMOKE_JOINS : JOINS;
    const server = await run.server(subject);
    const generator = run.generator('clients');
    const order: OpenOrder = {
      op: 'open',
      target: { host: server.host, port: server.port },
      localAddress: sourceAddress(0),
      dialect: subject.dialect,
      count: clients,
      assignment: {
        channelBase: 0,
        channelCount: clients * channelsEach,
        subscribersPerChannel: 1,
        firstSubscription: 0,
        channelsEach,
      },
      perSecond: 0,
      atOnce,
    };
    const serverMs = cpuMs(server.pids);
    const redisMs = cpuMs(server.redisPids);
    const { latencies, tookMs, repeated } = await generator.ask(order);
    const channels = clients * channelsEach;
    const perChannelUs = (ms: number): number => (ms * 1000) / channels;
    const cpuUs = perChannelUs(cpuMs(server.pids) - serverMs);
    const redisUs = perChannelUs(cpuMs(server.redisPids) - redisMs);
    const generatorUs = perChannelUs(cpuMs([generator.pid]));
    server.assertUnchanged();
    await generator.ask({ op: 'close' });
    const times = Histogram.merged([latencies]);
    return {
      figures: {
        tookMs,
        cpuUs,
        redisUs,
        generatorUs,
        p50Ms: times.percentile(0.5) / 1000,
        p99Ms: times.percentile(0.99) / 1000,
      },
      faults: NO_FAULTS,
      warnings: strandedDoubt(repeated),
    };
  },
};
