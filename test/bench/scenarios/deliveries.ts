// The scenarios that count deliveries: one big channel, bursts, many small channels, small ones beside a big one.
import { answering, bare, holdfast, socketio } from '../servers/subjects.ts';
import { type DeliveryPlan, type Load, latencyFigures, measureDelivery } from './delivery.ts';
import type { Figure, Run, Scenario } from './scenario.ts';

type Scale = Pick<Run, 'smoke' | 'durationMs'>;

const FIGURES: readonly Figure[] = [
  { key: 'cpuUs', label: 'server CPU per delivery', unit: 'µs', digits: 2 },
  { key: 'p50Ms', label: 'latency p50', unit: 'ms', digits: 2 },
  { key: 'p99Ms', label: 'latency p99', unit: 'ms', digits: 2 },
  { key: 'maxMs', label: 'latency max', unit: 'ms', digits: 1 },
  { key: 'perSecond', label: 'deliveries a second', unit: '', digits: 0 },
  { key: 'generatorUs', label: 'generator CPU per delivery', unit: 'µs', digits: 2 },
  { key: 'rssMb', label: 'server resident', unit: 'MB', digits: 0 },
];

const ONE_CHANNEL: Load = {
  name: 'broadcast',
  subscribers: 5000,
  channels: 1,
  publishers: 1,
  perSecond: 20,
  burst: 1,
  sizeBytes: 100,
  jitter: false,
  light: false,
};

function plan(scale: Scale, loads: readonly Load[]): DeliveryPlan {
  if (!scale.smoke) return { loads, warmUpMs: 10_000, durationMs: scale.durationMs ?? 10_000 };
  return {
    loads: loads.map((load) => ({
      ...load,
      subscribers: Math.min(load.subscribers, 100),
      channels: Math.min(load.channels, 20),
      perSecond: Math.min(load.perSecond, 400),
    })),
    warmUpMs: 250,
    durationMs: 1000,
  };
}

function describe({ loads, durationMs }: DeliveryPlan, acknowledge: boolean): string {
  const parts = loads.map(
    (load) =>
      `${load.channels} channel(s) with ${load.subscribers} subscribers in all, ${load.perSecond} publications a second ` +
      `of ${load.sizeBytes} bytes${load.burst > 1 ? ` in bursts of ${load.burst}` : ''} from ${load.publishers} publishing client(s)`,
  );
  return (
    `${parts.join('; beside it ')}; measured for ${durationMs / 1000} s after a warm-up, until the last delivery. ` +
    'Latency is from the publishing client’s write to the read at the subscriber, on one monotonic clock. Messages enter through ' +
    `publishing WebSocket clients everywhere; ${acknowledge ? 'every server acknowledges them.' : 'Holdfast acknowledges each, as its protocol asks; the others do not.'}`
  );
}

export const fanout: Scenario = {
  name: 'fanout',
  title: 'One publication to many subscribers',
  subjects: [bare(1), socketio(1), holdfast(1)],
  smokeSubjects: ['bare', 'socket.io', 'holdfast'],
  rounds: 5,
  apart: true,
  figures: FIGURES,
  plotted: 'cpuUs',
  goals: [
    { figure: 'cpuUs', of: 'holdfast', against: { subject: 'bare' }, atMost: 1.1 },
    { figure: 'cpuUs', of: 'holdfast', against: { subject: 'socket.io' }, atMost: 0.75 },
  ],
  method: (scale) => describe(plan(scale, [ONE_CHANNEL]), scale.acknowledge),
  measure: async (subject, run) => (await measureDelivery(subject, run, plan(run, [ONE_CHANNEL]))).sample,
};

export const protobuf: Scenario = {
  ...fanout,
  name: 'protobuf',
  title: 'One publication to many subscribers, JSON and Protobuf',
  subjects: [holdfast(1), holdfast(1, 'protobuf')],
  smokeSubjects: [],
  goals: [],
};

const BURSTS: Load = { ...ONE_CHANNEL, burst: 5 };

export const burst: Scenario = {
  name: 'burst',
  title: 'One channel, publications in bursts',
  subjects: [bare(1), socketio(1), holdfast(1)],
  smokeSubjects: ['holdfast'],
  rounds: 5,
  apart: true,
  figures: FIGURES,
  plotted: 'cpuUs',
  goals: [{ figure: 'cpuUs', of: 'holdfast', against: { subject: 'bare' }, atMost: 0.35 }],
  method: (scale) => describe(plan(scale, [BURSTS]), scale.acknowledge),
  measure: async (subject, run) => (await measureDelivery(subject, run, plan(run, [BURSTS]))).sample,
};

const SMALL_CHANNELS: Load = {
  ...ONE_CHANNEL,
  name: 'channels',
  subscribers: 5000,
  channels: 1000,
  publishers: 10,
  perSecond: 2000,
};

export const channels: Scenario = {
  name: 'channels',
  title: 'Many small channels',
  subjects: [
    bare(1),
    answering(bare(1)),
    socketio(1),
    holdfast(1),
    socketio(2),
    answering(socketio(2)),
    holdfast(2),
  ],
  smokeSubjects: ['holdfast', 'socket.io ×2', 'holdfast ×2'],
  rounds: 5,
  apart: true,
  figures: FIGURES,
  plotted: 'cpuUs',
  goals: [
    { figure: 'cpuUs', of: 'holdfast', against: { subject: 'bare' }, atMost: 1.25 },
    { figure: 'cpuUs', of: 'holdfast ×2', against: { subject: 'socket.io ×2' }, atMost: 0.65 },
  ],
  method: (scale) => describe(plan(scale, [SMALL_CHANNELS]), scale.acknowledge),
  measure: async (subject, run) => (await measureDelivery(subject, run, plan(run, [SMALL_CHANNELS]))).sample,
};

const BESIDE: Load = {
  ...ONE_CHANNEL,
  name: 'small',
  subscribers: 50,
  channels: 10,
  publishers: 1,
  perSecond: 100,
  jitter: true,
  light: true,
};

export const mixed: Scenario = {
  name: 'mixed',
  title: 'A small channel while a broadcast runs',
  subjects: [bare(1), socketio(1), holdfast(1)],
  smokeSubjects: ['holdfast'],
  rounds: 5,
  apart: true,
  figures: [
    { key: 'smallP50Ms', label: 'small channel p50', unit: 'ms', digits: 2 },
    { key: 'smallP99Ms', label: 'small channel p99', unit: 'ms', digits: 2 },
    { key: 'smallMaxMs', label: 'small channel max', unit: 'ms', digits: 1 },
    { key: 'p50Ms', label: 'broadcast p50', unit: 'ms', digits: 1 },
    { key: 'p99Ms', label: 'broadcast p99', unit: 'ms', digits: 1 },
    { key: 'cpuUs', label: 'server CPU per delivery', unit: 'µs', digits: 2 },
    { key: 'perSecond', label: 'broadcast deliveries a second', unit: '', digits: 0 },
  ],
  plotted: 'smallP99Ms',
  goals: [{ figure: 'smallP99Ms', of: 'holdfast', atMost: 5 }],
  method: (scale) =>
    `${describe(plan(scale, [ONE_CHANNEL, BESIDE]), scale.acknowledge)} The small channels have a generator process of their own, and their ` +
    'publications come at uneven times.',
  async measure(subject, run) {
    const { byLoad, sample } = await measureDelivery(subject, run, plan(run, [ONE_CHANNEL, BESIDE]));
    const small = latencyFigures(byLoad.get(BESIDE.name));
    return {
      ...sample,
      figures: {
        ...sample.figures,
        smallP50Ms: small.p50Ms,
        smallP99Ms: small.p99Ms,
        smallMaxMs: small.maxMs,
      },
    };
  },
};
