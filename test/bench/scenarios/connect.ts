// What a client costs to let in: upgrade, session, one subscription; at a steady rate and as fast as it goes.
import { Histogram } from '../load/histogram.ts';
import type { OpenOrder } from '../load/orders.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMs } from '../measure/processes.ts';
import { bare, barePassed, holdfast, socketio, socketioFromPolling } from '../servers/subjects.ts';
import { sourceAddress, strandedDoubt } from './delivery.ts';
import { NO_FAULTS, type Run, type Scenario } from './scenario.ts';

interface Sizes {
  readonly warmUp: number;
  readonly steady: number;
  readonly perSecond: number;
  readonly burst: number;
  readonly atOnce: number;
  readonly pauseMs: number;
}

interface Phase {
  readonly cpuUs: number;
  readonly generatorUs: number;
  readonly latencies: Histogram;
  readonly tookMs: number;
  readonly repeated: number;
}

const FULL: Sizes = { warmUp: 1500, steady: 4000, perSecond: 400, burst: 4000, atOnce: 256, pauseMs: 1500 };
const SMOKE: Sizes = { warmUp: 50, steady: 100, perSecond: 400, burst: 100, atOnce: 50, pauseMs: 100 };
const SUBSCRIBERS_PER_CHANNEL = 5;

const sizes = (run: Pick<Run, 'smoke'>): Sizes => (run.smoke ? SMOKE : FULL);

export const connect: Scenario = {
  name: 'connect',
  title: 'Letting a client in',
  subjects: [bare(1), barePassed, socketio(1), socketioFromPolling, holdfast(1), socketio(2), holdfast(2)],
  smokeSubjects: ['socket.io from polling', 'holdfast ×2'],
  rounds: 5,
  apart: true,
  figures: [
    { key: 'steadyCpuUs', label: 'server CPU per client, steady', unit: 'µs', digits: 0 },
    { key: 'burstCpuUs', label: 'server CPU per client, burst', unit: 'µs', digits: 0 },
    { key: 'steadyP50Ms', label: 'until subscribed p50, steady', unit: 'ms', digits: 2 },
    { key: 'steadyP99Ms', label: 'p99, steady', unit: 'ms', digits: 2 },
    { key: 'burstP99Ms', label: 'p99, burst', unit: 'ms', digits: 0 },
    { key: 'burstPerSecond', label: 'clients a second, burst', unit: '', digits: 0 },
    { key: 'generatorUs', label: 'generator CPU per client', unit: 'µs', digits: 0 },
  ],
  plotted: 'steadyCpuUs',
  goals: [
    { figure: 'steadyCpuUs', of: 'holdfast', against: { subject: 'socket.io' }, atMost: 1 },
    { figure: 'burstCpuUs', of: 'holdfast', against: { subject: 'socket.io' }, atMost: 1 },
    { figure: 'steadyCpuUs', of: 'holdfast', against: { subject: 'socket.io from polling' }, atMost: 1 },
    { figure: 'burstCpuUs', of: 'holdfast', against: { subject: 'socket.io from polling' }, atMost: 1 },
    { figure: 'steadyCpuUs', of: 'holdfast ×2', against: { subject: 'socket.io ×2' }, atMost: 1 },
    { figure: 'burstCpuUs', of: 'holdfast ×2', against: { subject: 'socket.io ×2' }, atMost: 1 },
  ],
  method(run) {
    const { warmUp, steady, perSecond, burst, atOnce } = sizes(run);
    return (
      `WebSocket upgrade, the session (connect command; socket.io: open and connect packets) and one subscription with its ` +
      `answer (socket.io: a room joined on request, acknowledged), as the official clients do it. After ${warmUp} clients that ` +
      `came and went: ${steady} clients at ${perSecond} a second, then, when they have gone, ${burst} as fast as it goes with ` +
      `${atOnce} at once. "socket.io from polling" opens its session with three HTTP requests before the upgrade, as its client ` +
      `does by default, and then asks for the room; the others are told to use a WebSocket at once. With two workers both sides ` +
      `assign through a sticky primary, whose CPU time counts too.`
    );
  },
  async measure(subject, run) {
    const { warmUp, steady, perSecond, burst, atOnce, pauseMs } = sizes(run);
    const server = await run.server(subject);
    let phases = 0;
    const phase = async (count: number, rate: number): Promise<Phase> => {
      const generator = run.generator('clients');
      const order: OpenOrder = {
        op: 'open',
        target: { host: server.host, port: server.port },
        localAddress: sourceAddress(phases++),
        dialect: subject.dialect,
        count,
        assignment: {
          channelBase: 0,
          channelCount: Math.ceil(count / SUBSCRIBERS_PER_CHANNEL),
          subscribersPerChannel: SUBSCRIBERS_PER_CHANNEL,
          firstSubscription: 0,
          channelsEach: 1,
        },
        perSecond: rate,
        atOnce,
      };
      const startMs = cpuMs(server.pids);
      const { latencies, tookMs, repeated } = await generator.ask(order);
      const endMs = cpuMs(server.pids);
      const generatorMs = cpuMs([generator.pid]);
      await generator.ask({ op: 'close' });
      await sleep(pauseMs);
      generator.kill();
      return {
        cpuUs: ((endMs - startMs) * 1000) / count,
        generatorUs: (generatorMs * 1000) / count,
        latencies: Histogram.merged([latencies]),
        tookMs,
        repeated,
      };
    };
    await phase(warmUp, 0);
    const calm = await phase(steady, perSecond);
    const rush = await phase(burst, 0);
    server.assertUnchanged();
    return {
      figures: {
        steadyCpuUs: calm.cpuUs,
        burstCpuUs: rush.cpuUs,
        steadyP50Ms: calm.latencies.percentile(0.5) / 1000,
        steadyP99Ms: calm.latencies.percentile(0.99) / 1000,
        burstP99Ms: rush.latencies.percentile(0.99) / 1000,
        burstPerSecond: (burst * 1000) / rush.tookMs,
        generatorUs: rush.generatorUs,
      },
      faults: NO_FAULTS,
      warnings: strandedDoubt(calm.repeated + rush.repeated),
    };
  },
};
