// One measurement of deliveries: opens the clients of one or more loads, warms up, publishes on schedule, waits until all
// has come, and sets the CPU time of both sides against the number of deliveries.
import { Histogram } from '../load/histogram.ts';
import type { GeneratorProcess } from '../load/generator-process.ts';
import { descriptorLimit } from '../load/group.ts';
import type { Assignment, PublishOrder, PublishResult, Results } from '../load/orders.ts';
import { cpuMs, machineCpuMs, memory } from '../measure/processes.ts';
import type { ServerUnderTest } from '../servers/running.ts';
import type { Subject } from '../servers/subjects.ts';
import type { Faults, Run, Sample } from './scenario.ts';

export interface Load {
  readonly name: string;
  readonly subscribers: number;
  readonly channels: number;
  readonly publishers: number;
  readonly perSecond: number;
  readonly burst: number;
  readonly sizeBytes: number;
  readonly jitter: boolean;
  /** Few deliveries whose latency is what is measured. */
  readonly light: boolean;
  /** Of several hosts, where its clients are; default: all at the first. */
  readonly hosts?: { readonly publishers: number; readonly subscribers: number };
}

export interface DeliveryPlan {
  readonly loads: readonly Load[];
  readonly warmUpMs: number;
  readonly durationMs: number;
}

const AT_ONCE = 100;
const PATIENCE_MS = 15_000;
const GENERATOR_DESCRIPTORS = 150;
/** Beyond these shares of the window a sample is doubted. */
const BUSY_GENERATOR = 0.95;
const FOREIGN_SHARE = 0.05;

/** The processes and numbers of one load in one measurement. */
interface Part {
  readonly load: Load;
  readonly channelBase: number;
  readonly subscribers: readonly GeneratorProcess[];
  readonly publisher: GeneratorProcess;
}

interface Window {
  readonly startMs: number;
  readonly serverMs: number;
  readonly redisMs: number;
  readonly generatorMs: readonly number[];
  readonly busyMs: number;
  readonly stolenMs: number;
}

export interface LoadOutcome {
  readonly deliveries: number;
  readonly latencies: Histogram;
  readonly perSecond: number;
  readonly latestPublishMs: number;
}

export interface DeliveryOutcome {
  readonly byLoad: ReadonlyMap<string, LoadOutcome>;
  readonly sample: Sample;
}

export async function measureDelivery(
  subject: Subject,
  run: Run,
  plan: DeliveryPlan,
): Promise<DeliveryOutcome> {
  const delivery = await Delivery.open(subject, run, plan.loads);
  run.progress('warming up');
  await delivery.warmUp(plan.warmUpMs);
  run.progress('measuring');
  const outcome = await delivery.measure(plan.durationMs);
  await delivery.close();
  return outcome;
}

/** The clients of some loads at a server, ready to publish and count. */
export class Delivery {
  readonly #server: ServerUnderTest;
  readonly #parts: readonly Part[];
  readonly #generators: readonly GeneratorProcess[];
  readonly #stranded: number;

  private constructor(server: ServerUnderTest, parts: readonly Part[], stranded: number) {
    this.#server = server;
    this.#parts = parts;
    this.#generators = parts.flatMap((part) => [...part.subscribers, part.publisher]);
    this.#stranded = stranded;
  }

  static async open(subject: Subject, run: Run, loads: readonly Load[]): Promise<Delivery> {
    const server = await run.server(subject);
    const { parts, stranded } = await openParts(subject, server, run, loads);
    return new Delivery(server, parts, stranded);
  }

  async warmUp(durationMs: number): Promise<void> {
    await publishAndSettle(this.#parts, durationMs, undefined);
  }

  /** One window, until the last delivery. `perSecond` instead of the loads' own. */
  async measure(durationMs: number, perSecond?: number): Promise<DeliveryOutcome> {
    const generators = this.#generators;
    await Promise.all(generators.map(async (generator) => generator.ask({ op: 'mark' })));
    const before = windowAt(this.#server, generators);
    const { published, settled } = await publishAndSettle(this.#parts, durationMs, perSecond);
    const after = windowAt(this.#server, generators);
    this.#server.assertUnchanged();
    const serverMemory = memory(this.#server.pids);

    const byLoad = new Map(
      this.#parts.map((part, index) => [part.load.name, loadOutcome(published[index], settled[index] ?? [])]),
    );
    let deliveries = 0;
    for (const outcome of byLoad.values()) deliveries += outcome.deliveries;
    const generatorMs = after.generatorMs.map((ms, index) => ms - (before.generatorMs[index] ?? 0));
    const main = [...byLoad.values()][0];
    return {
      byLoad,
      sample: {
        figures: {
          cpuUs: ((after.serverMs - before.serverMs) * 1000) / deliveries,
          redisUs: ((after.redisMs - before.redisMs) * 1000) / deliveries,
          generatorUs: (sum(generatorMs) * 1000) / deliveries,
          ...latencyFigures(main),
          perSecond: main?.perSecond ?? 0,
          rssMb: serverMemory.rssKb / 1024,
          deliveries,
        },
        faults: sumFaults(settled.flat()),
        warnings: [...strandedDoubt(this.#stranded), ...doubts(before, after, generatorMs)],
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#generators.map(async (generator) => generator.ask({ op: 'close' })));
  }
}

export function latencyFigures(outcome: LoadOutcome | undefined): {
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
} {
  const percentileMs = (fraction: number): number => (outcome?.latencies.percentile(fraction) ?? 0) / 1000;
  return {
    p50Ms: percentileMs(0.5),
    p99Ms: percentileMs(0.99),
    maxMs: (outcome?.latencies.max ?? 0) / 1000,
  };
}

/** How many processes hold `connections` clients, and how many connections each. Says so when descriptors limit it. */
export function splitOverGenerators(
  connections: number,
  perProcess: number,
  say: (text: string) => void,
): number[] {
  const limit = descriptorLimit() - GENERATOR_DESCRIPTORS;
  const room = Math.min(perProcess, limit);
  if (room === limit && connections > limit) {
    say(`descriptors limit a process to ${limit} connections: more generators`);
  }
  const processes = Math.max(1, Math.ceil(connections / room));
  return Array.from(
    { length: processes },
    (_, index) =>
      Math.floor(((index + 1) * connections) / processes) - Math.floor((index * connections) / processes),
  );
}

/** Loopback addresses of their own, so that no generator runs out of source ports. */
export function sourceAddress(generator: number): string {
  return `127.0.0.${2 + (generator % 200)}`;
}

async function openParts(
  subject: Subject,
  server: ServerUnderTest,
  run: Run,
  loads: readonly Load[],
): Promise<{ parts: Part[]; stranded: number }> {
  const parts: Part[] = [];
  const { host, ports } = server;
  const open = { op: 'open', dialect: subject.dialect, perSecond: 0, atOnce: AT_ONCE } as const;
  let channelBase = 0;
  let firstPublisher = 0;
  let generatorCount = 0;
  let stranded = 0;
  for (const load of loads) {
    const assignment: Assignment = {
      channelBase,
      channelCount: load.channels,
      subscribersPerChannel: Math.max(1, Math.floor(load.subscribers / load.channels)),
      firstSubscription: 0,
      channelsEach: 1,
    };
    const { publishers: from, subscribers: to } = load.hosts ?? { publishers: 0, subscribers: 0 };
    const publisher = run.generator(`${load.name} publisher`, { firstPublisher, light: true });
    const subscribers: GeneratorProcess[] = [];
    let firstSubscription = 0;
    for (const count of splitOverGenerators(load.subscribers, 10_000, run.progress.bind(run))) {
      const generator = run.generator(`${load.name} subscribers`, { light: load.light });
      const { repeated } = await generator.ask({
        ...open,
        target: { host, port: ports[to] ?? server.port },
        count,
        localAddress: sourceAddress(generatorCount++),
        assignment: { ...assignment, firstSubscription },
      });
      stranded += repeated;
      subscribers.push(generator);
      firstSubscription += count;
    }
    await publisher.ask({
      ...open,
      target: { host, port: ports[from] ?? server.port },
      count: load.publishers,
      localAddress: sourceAddress(generatorCount++),
      assignment: { ...assignment, channelsEach: 0 },
    });
    parts.push({ load, channelBase, subscribers, publisher });
    channelBase += load.channels;
    firstPublisher += load.publishers;
  }
  return { parts, stranded };
}

/** A doubt about a server that left clients without an answer. */
export function strandedDoubt(clients: number): string[] {
  return clients === 0 ? [] : [`${clients} clients got no answer while connecting and had to come again`];
}

async function publishAndSettle(
  parts: readonly Part[],
  durationMs: number,
  perSecond: number | undefined,
): Promise<{ published: PublishResult[]; settled: Results['settle'][][] }> {
  const published = await Promise.all(
    parts.map(async (part) => part.publisher.ask(publishOrder(part, durationMs, perSecond))),
  );
  const settled = await Promise.all(
    parts.map(async (part, index) =>
      Promise.all(
        part.subscribers.map(async (generator) =>
          generator.ask({
            op: 'settle',
            published: published[index]?.published ?? [],
            patienceMs: PATIENCE_MS,
          }),
        ),
      ),
    ),
  );
  return { published, settled };
}

function publishOrder(
  { load, channelBase }: Part,
  durationMs: number,
  perSecond = load.perSecond,
): PublishOrder {
  return {
    op: 'publish',
    channels: Array.from({ length: load.channels }, (_, index) => channelBase + index),
    perSecond,
    burst: load.burst,
    durationMs,
    sizeBytes: load.sizeBytes,
    jitter: load.jitter,
  };
}

function windowAt(server: ServerUnderTest, generators: readonly GeneratorProcess[]): Window {
  return {
    startMs: performance.now(),
    serverMs: cpuMs(server.pids),
    redisMs: cpuMs(server.redisPids),
    generatorMs: generators.map((generator) => cpuMs([generator.pid])),
    ...machineCpuMs(),
  };
}

function loadOutcome(
  published: PublishResult | undefined,
  settled: readonly Results['settle'][],
): LoadOutcome {
  const deliveries = sum(settled.map((result) => result.deliveries));
  const lastUs = Math.max(...settled.map((result) => result.lastDeliveryUs));
  const tookMs = Math.max(published?.tookMs ?? 0, (lastUs - (published?.startUs ?? 0)) / 1000);
  return {
    deliveries,
    latencies: Histogram.merged(settled.map((result) => result.latencies)),
    perSecond: (deliveries * 1000) / tookMs,
    latestPublishMs: (published?.latestUs ?? 0) / 1000,
  };
}

function doubts(before: Window, after: Window, generatorMs: readonly number[]): string[] {
  const warnings: string[] = [];
  const wallMs = after.startMs - before.startMs;
  const busiest = Math.max(...generatorMs) / wallMs;
  if (busiest > BUSY_GENERATOR) {
    warnings.push(
      `a generator was busy ${Math.round(busiest * 100)} % of the time: latencies are partly its own`,
    );
  }
  const ownMs = after.serverMs - before.serverMs + (after.redisMs - before.redisMs) + sum(generatorMs);
  const foreign = (after.busyMs - before.busyMs - ownMs) / wallMs;
  if (foreign > FOREIGN_SHARE) warnings.push(`other processes used ${Math.round(foreign * 100)} % of a core`);
  const stolen = (after.stolenMs - before.stolenMs) / wallMs;
  if (stolen > FOREIGN_SHARE)
    warnings.push(`the machine lost ${Math.round(stolen * 100)} % of a core to its host`);
  return warnings;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function sumFaults(results: readonly Faults[]): Faults {
  return {
    lost: sum(results.map((result) => result.lost)),
    repeated: sum(results.map((result) => result.repeated)),
    reordered: sum(results.map((result) => result.reordered)),
    stray: sum(results.map((result) => result.stray)),
  };
}
