// What a connection that does nothing costs in memory, over all processes of the server.
import { setTimeout as sleep } from 'node:timers/promises';
import type { GeneratorProcess } from '../load/generator-process.ts';
import type { Assignment } from '../load/orders.ts';
import { type Memory, memory } from '../measure/processes.ts';
import type { ServerUnderTest } from '../servers/running.ts';
import { bare, holdfast, socketio } from '../servers/subjects.ts';
import { sourceAddress, splitOverGenerators } from './delivery.ts';
import { NO_FAULTS, type Run, type Scenario } from './scenario.ts';

interface Sizes {
  readonly connections: number;
  readonly warmUp: number;
  readonly quietMs: number;
  readonly patienceMs: number;
}

const FULL: Sizes = { connections: 20_000, warmUp: 500, quietMs: 15_000, patienceMs: 60_000 };
const SMOKE: Sizes = { connections: 200, warmUp: 20, quietMs: 300, patienceMs: 300 };
const SUBSCRIBERS_PER_CHANNEL = 5;
/** Resident memory counts as settled when it moved less than this over five looks. */
const SETTLED_SHARE = 0.003;
const LOOKS = 5;

const sizes = (run: Pick<Run, 'smoke'>): Sizes => (run.smoke ? SMOKE : FULL);

function assignment(connections: number, firstSubscription: number, channelsEach: number): Assignment {
  return {
    channelBase: 0,
    channelCount: Math.ceil(connections / SUBSCRIBERS_PER_CHANNEL),
    subscribersPerChannel: SUBSCRIBERS_PER_CHANNEL,
    firstSubscription,
    channelsEach,
  };
}

async function settledMemory(server: ServerUnderTest, run: Run): Promise<Memory> {
  const { quietMs, patienceMs } = sizes(run);
  const startMs = performance.now();
  const looks: Memory[] = [];
  for (;;) {
    const now = memory(server.pids);
    looks.push(now);
    const recent = looks.slice(-LOOKS).map((look) => look.rssKb);
    const elapsedMs = performance.now() - startMs;
    const moved = (Math.max(...recent) - Math.min(...recent)) / now.rssKb;
    if (elapsedMs > patienceMs || (elapsedMs > quietMs && moved < SETTLED_SHARE)) return now;
    run.progress(`memory settles: ${Math.round(now.rssKb / 1024)} MB`);
    await sleep(Math.min(1000, quietMs));
  }
}

export const idle: Scenario = {
  name: 'idle',
  title: 'Idle connections',
  subjects: [bare(2), socketio(2), holdfast(2)],
  smokeSubjects: ['bare ×2', 'holdfast ×2'],
  rounds: 3,
  figures: [
    { key: 'rssKb', label: 'resident per connection', unit: 'kB', digits: 2 },
    { key: 'pssKb', label: 'proportional per connection', unit: 'kB', digits: 2 },
    { key: 'subscribedRssKb', label: 'resident per connection with a subscription', unit: 'kB', digits: 2 },
    { key: 'baseMb', label: 'server before', unit: 'MB', digits: 0 },
    { key: 'fullMb', label: 'server with all', unit: 'MB', digits: 0 },
  ],
  plotted: 'rssKb',
  goals: [
    { figure: 'rssKb', of: 'holdfast ×2', atMost: 12 },
    { figure: 'rssKb', of: 'holdfast ×2', against: { subject: 'bare ×2' }, atMost: 2 },
  ],
  method(run) {
    const { connections, warmUp } = sizes(run);
    return (
      `${connections} clients over two workers that opened their session and say nothing but the pongs they are asked for; then the same with ` +
      `one subscription each, ${SUBSCRIBERS_PER_CHANNEL} to a channel. Growth of the resident memory of all server processes (primary and workers) since ` +
      `before the first of them (after ${warmUp} clients came and went), divided by the number, each time when memory has settled. ` +
      'Kernel memory of the sockets is not in it.'
    );
  },
  async measure(subject, run) {
    const { connections, warmUp } = sizes(run);
    const server = await run.server(subject);
    const open = {
      op: 'open',
      target: { host: server.host, port: server.port },
      dialect: subject.dialect,
      perSecond: 0,
      atOnce: 64,
    } as const;
    const first = run.generator('first clients');
    await first.ask({
      ...open,
      count: warmUp,
      localAddress: sourceAddress(0),
      assignment: assignment(warmUp, 0, 1),
    });
    await first.ask({ op: 'close' });
    const before = await settledMemory(server, run);

    const generators: GeneratorProcess[] = [];
    const firsts: number[] = [];
    let opened = 0;
    for (const count of splitOverGenerators(connections, 10_000, run.progress.bind(run))) {
      const generator = run.generator('idle clients');
      const localAddress = sourceAddress(generators.length + 1);
      await generator.ask({ ...open, count, localAddress, assignment: assignment(connections, 0, 0) });
      generators.push(generator);
      firsts.push(opened);
      opened += count;
    }
    const idling = await settledMemory(server, run);

    for (const [index, generator] of generators.entries()) {
      const each = assignment(connections, firsts[index] ?? 0, 1);
      await generator.ask({ op: 'subscribe', assignment: each, atOnce: 64 });
    }
    const subscribed = await settledMemory(server, run);
    server.assertUnchanged();
    for (const generator of generators) await generator.ask({ op: 'close' });
    return {
      figures: {
        rssKb: (idling.rssKb - before.rssKb) / connections,
        pssKb: (idling.pssKb - before.pssKb) / connections,
        subscribedRssKb: (subscribed.rssKb - before.rssKb) / connections,
        baseMb: before.rssKb / 1024,
        fullMb: subscribed.rssKb / 1024,
      },
      faults: NO_FAULTS,
      warnings: [],
    };
  },
};
