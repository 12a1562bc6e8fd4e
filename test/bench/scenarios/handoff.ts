// All workers are replaced under open connections and traffic, again and again: how fast connections are moved, what the primary
// pays for each and what stays behind in it, and what clients see of it.
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectControl } from '../../../src/cluster/control/control-client.ts';
import type { GeneratorProcess } from '../load/generator-process.ts';
import { Histogram } from '../load/histogram.ts';
import type { Assignment, Results } from '../load/orders.ts';
import { cpuMs, memory, processTree } from '../measure/processes.ts';
import { holdfast } from '../servers/subjects.ts';
import { sourceAddress, splitOverGenerators } from './delivery.ts';
import type { Faults, Run, Scenario } from './scenario.ts';

interface Sizes {
  readonly connections: number;
  readonly perSecond: number;
  readonly quietMs: number;
  readonly reloads: number;
}

const FULL: Sizes = { connections: 10_000, perSecond: 500, quietMs: 5000, reloads: 5 };
const SMOKE: Sizes = { connections: 100, perSecond: 50, quietMs: 500, reloads: 2 };
const SUBSCRIBERS_PER_CHANNEL = 5;
const PUBLISHERS = 20;
const PATIENCE_MS = 20_000;
/** Publishing lasts longer than any reload; it is cut to what is needed by its own length. */
const SHARE_MS = 1000;

const sizes = (run: Pick<Run, 'smoke'>): Sizes => (run.smoke ? SMOKE : FULL);

/** What a reload said while it went on. */
class Watch {
  moved = 0;
  closed = 0;
  movingMs = 0;
  #sinceMs: number | undefined;
  #movedBefore = 0;
  #closedBefore = 0;

  take(value: unknown): void {
    if (typeof value !== 'object' || value === null) return;
    const { state, moved, closed }: { state?: unknown; moved?: unknown; closed?: unknown } = value;
    const nowMs = performance.now();
    if (this.#sinceMs !== undefined) this.movingMs += nowMs - this.#sinceMs;
    this.#sinceMs = state === 'moving' ? nowMs : undefined;
    this.moved = this.#movedBefore + Number(moved);
    this.closed = this.#closedBefore + Number(closed);
  }

  /** What comes next is about another one. */
  next(): void {
    this.#movedBefore = this.moved;
    this.#closedBefore = this.closed;
    this.#sinceMs = undefined;
  }
}

export const handoff: Scenario = {
  name: 'handoff',
  title: 'Workers are replaced under open connections',
  subjects: [holdfast(2), holdfast(2, 'with history')],
  smokeSubjects: ['holdfast ×2'],
  rounds: 3,
  replacesProcesses: true,
  figures: [
    { key: 'perSecond', label: 'connections moved a second', unit: '1/s', digits: 0 },
    { key: 'moved', label: 'connections moved', unit: '', digits: 0 },
    { key: 'closed', label: 'connections closed', unit: '', digits: 0 },
    { key: 'primaryUs', label: 'CPU of the primary for each', unit: 'µs', digits: 0 },
    { key: 'primaryMoveUs', label: 'of that beyond what serving costs', unit: 'µs', digits: 0 },
    { key: 'quietP99Ms', label: 'delivery p99 before', unit: 'ms', digits: 1 },
    { key: 'p50Ms', label: 'delivery p50 during', unit: 'ms', digits: 1 },
    { key: 'p99Ms', label: 'delivery p99 during', unit: 'ms', digits: 1 },
    { key: 'maxMs', label: 'delivery max during', unit: 'ms', digits: 0 },
    { key: 'tookS', label: 'one whole reload', unit: 's', digits: 1 },
    { key: 'primaryRssMb', label: 'primary, growth of resident memory', unit: 'MB', digits: 1 },
    { key: 'laterRssMb', label: 'of that after the second reload', unit: 'MB', digits: 1 },
    { key: 'descriptors', label: 'primary, descriptors left over', unit: '', digits: 0 },
  ],
  plotted: 'perSecond',
  goals: [
    { figure: 'primaryMoveUs', of: 'holdfast ×2', atMost: 200 },
    { figure: 'p99Ms', of: 'holdfast ×2', atMost: 50 },
    { figure: 'closed', of: 'holdfast ×2', atMost: 0 },
    { figure: 'descriptors', of: 'holdfast ×2', atMost: 0 },
  ],
  method(run) {
    const { connections, perSecond, reloads } = sizes(run);
    return (
      `${connections} clients over two workers, ${SUBSCRIBERS_PER_CHANNEL} to a channel; ${perSecond} publications a second over ` +
      `all channels, before and during ${reloads} times \`holdfast reload\`. Every delivery is counted and its order checked; a delivery is as ` +
      'late as the longest pause of its connection and everything else that goes on. The rate is over the time in which ' +
      'connections are moved; the time in which new workers start is only in the whole reload. The CPU time of the primary ' +
      'includes that of the embedded engine and of the start of workers in this time; what serving costs is its share of a processor ' +
      'in the time before, under the same traffic.'
    );
  },
  async measure(subject, run) {
    const { connections, perSecond, quietMs, reloads } = sizes(run);
    const server = await run.server(subject);
    if (server.controlSocket === undefined) throw new Error('this server has no control socket');
    const [primary = 0] = server.pids;
    const assignment: Assignment = {
      channelBase: 0,
      channelCount: Math.ceil(connections / SUBSCRIBERS_PER_CHANNEL),
      subscribersPerChannel: SUBSCRIBERS_PER_CHANNEL,
      firstSubscription: 0,
      channelsEach: 1,
    };
    const open = {
      op: 'open',
      target: { host: server.host, port: server.port },
      dialect: subject.dialect,
      perSecond: 0,
      atOnce: 64,
    } as const;
    const subscribers: GeneratorProcess[] = [];
    let firstSubscription = 0;
    for (const count of splitOverGenerators(connections, 10_000, run.progress.bind(run))) {
      const generator = run.generator('subscribers');
      const localAddress = sourceAddress(subscribers.length);
      await generator.ask({ ...open, count, localAddress, assignment: { ...assignment, firstSubscription } });
      subscribers.push(generator);
      firstSubscription += count;
    }
    const publisher = run.generator('publisher', { light: true });
    await publisher.ask({
      ...open,
      count: PUBLISHERS,
      localAddress: sourceAddress(subscribers.length),
      assignment: { ...assignment, channelsEach: 0 },
    });
    const publish = async (durationMs: number): Promise<readonly (readonly [number, number])[]> => {
      const { published } = await publisher.ask({
        op: 'publish',
        channels: Array.from({ length: assignment.channelCount }, (_, index) => index),
        perSecond,
        burst: 1,
        durationMs,
        sizeBytes: 100,
        jitter: true,
      });
      return published;
    };
    const settle = async (
      published: readonly (readonly [number, number])[],
    ): Promise<readonly Results['settle'][]> =>
      Promise.all(
        subscribers.map(async (each) => each.ask({ op: 'settle', published, patienceMs: PATIENCE_MS })),
      );

    run.progress('before');
    await Promise.all(subscribers.map(async (each) => each.ask({ op: 'mark' })));
    const servingMs = cpuMs([primary]);
    const servingSinceMs = performance.now();
    const publishedBefore = await publish(quietMs);
    const servingShare = (cpuMs([primary]) - servingMs) / (performance.now() - servingSinceMs);
    const quiet = Histogram.merged((await settle(publishedBefore)).map(({ latencies }) => latencies));

    run.progress('reloading');
    await Promise.all(subscribers.map(async (each) => each.ask({ op: 'mark' })));
    const control = await connectControl(server.controlSocket);
    const watch = new Watch();
    const cpuBeforeMs = cpuMs([primary]);
    const rssBeforeKb = memory([primary]).rssKb;
    const descriptorsBefore = descriptors(primary);
    const startMs = performance.now();
    let tookMs = 0;
    let laterRssKb = 0;
    const reloadAll = async (): Promise<void> => {
      for (let count = 1; count <= reloads; count++) {
        watch.take(await control.request('reload', null, (value) => watch.take(value)));
        watch.next();
        if (count === 2) laterRssKb = memory([primary]).rssKb;
      }
      tookMs = (performance.now() - startMs) / reloads;
    };
    const reloaded = reloadAll();
    const over = new AbortController();
    void reloaded.finally(() => over.abort());
    let published: readonly (readonly [number, number])[] = [];
    while (!over.signal.aborted) published = await publish(SHARE_MS);
    await reloaded;
    control.close();
    const cpuUs = (cpuMs([primary]) - cpuBeforeMs) * 1000;
    const { rssKb } = memory([primary]);
    await sleep(SHARE_MS);
    const settled = await settle(published);
    const latencies = Histogram.merged(settled.map((result) => result.latencies));
    for (const generator of [...subscribers, publisher]) await generator.ask({ op: 'close' });
    return {
      figures: {
        perSecond: watch.movingMs > 0 ? (watch.moved * 1000) / watch.movingMs : 0,
        moved: watch.moved,
        closed: watch.closed,
        primaryUs: cpuUs / Math.max(1, watch.moved),
        primaryMoveUs: (cpuUs - servingShare * tookMs * reloads * 1000) / Math.max(1, watch.moved),
        quietP99Ms: quiet.percentile(0.99) / 1000,
        p50Ms: latencies.percentile(0.5) / 1000,
        p99Ms: latencies.percentile(0.99) / 1000,
        maxMs: latencies.max / 1000,
        tookS: tookMs / 1000,
        primaryRssMb: (rssKb - rssBeforeKb) / 1024,
        laterRssMb: (rssKb - laterRssKb) / 1024,
        descriptors: descriptors(primary) - descriptorsBefore,
        workers: processTree(primary).length - 1,
      },
      faults: faultsOf(settled),
      warnings: [],
    };
  },
};

function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function faultsOf(settled: readonly Results['settle'][]): Faults {
  const faults = { lost: 0, repeated: 0, reordered: 0, stray: 0 };
  for (const { lost, repeated, reordered, stray } of settled) {
    faults.lost += lost;
    faults.repeated += repeated;
    faults.reordered += reordered;
    faults.stray += stray;
  }
  return faults;
}
