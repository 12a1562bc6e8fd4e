// All clients are cut off at the same moment and come back through HAProxy with TLS, while others, who stay, talk on.
import { setTimeout as sleep } from 'node:timers/promises';
import { descriptorLimit } from '../load/group.ts';
import { Histogram } from '../load/histogram.ts';
import type { Assignment } from '../load/orders.ts';
import { StormProcess } from '../load/storm-process.ts';
import { cpuMs } from '../measure/processes.ts';
import { startFront } from '../servers/front.ts';
import { bare, holdfast, socketio } from '../servers/subjects.ts';
import { sourceAddress } from './delivery.ts';
import { NO_FAULTS, type Run, type Scenario } from './scenario.ts';

interface Sizes {
  readonly clients: number;
  readonly channels: number;
  readonly quietMs: number;
}

const FULL: Sizes = { clients: 20_000, channels: 4_000, quietMs: 5000 };
const SMOKE: Sizes = { clients: 60, channels: 12, quietMs: 500 };
const STAYING = 100;
const STAYING_CHANNELS = 20;
const PER_SECOND = 200;
/** Publishing goes on in pieces of this length until everybody is back. */
const PIECE_MS = 1000;
const PATIENCE_MS = 60_000;
const RESERVED_DESCRIPTORS = 200;

const sizes = (run: Pick<Run, 'smoke'>): Sizes => (run.smoke ? SMOKE : FULL);

/** `BENCH_STORM_CLIENTS`: fewer, for a look. */
function clientsOf(run: Pick<Run, 'smoke'>): number {
  const { clients } = sizes(run);
  return Math.min(clients, Number(process.env['BENCH_STORM_CLIENTS'] ?? clients));
}

export const storm: Scenario = {
  name: 'storm',
  title: 'Everybody was cut off and comes back',
  subjects: [bare(2), socketio(2), holdfast(2)],
  smokeSubjects: ['holdfast ×2'],
  rounds: 3,
  figures: [
    { key: 'clients', label: 'clients', unit: '', digits: 0 },
    { key: 'allS', label: 'until all are back', unit: 's', digits: 1 },
    { key: 'p50S', label: 'until half are', unit: 's', digits: 1 },
    { key: 'p99S', label: 'until 99 % are', unit: 's', digits: 1 },
    { key: 'errors', label: 'attempts that failed', unit: '', digits: 0 },
    { key: 'quietP99Ms', label: 'delivery p99 to those who stay, before', unit: 'ms', digits: 1 },
    { key: 'stormP99Ms', label: 'p99 during the storm', unit: 'ms', digits: 1 },
    { key: 'stormMaxMs', label: 'max during the storm', unit: 'ms', digits: 0 },
    { key: 'serverUs', label: 'server CPU per client', unit: 'µs', digits: 0 },
    { key: 'frontUs', label: 'HAProxy CPU per client', unit: 'µs', digits: 0 },
  ],
  plotted: 'allS',
  goals: [
    { figure: 'allS', of: 'holdfast ×2', against: { subject: 'socket.io ×2' }, atMost: 1 },
    { figure: 'stormP99Ms', of: 'holdfast ×2', against: { subject: 'socket.io ×2' }, atMost: 1 },
    { figure: 'stormP99Ms', of: 'holdfast ×2', against: { subject: 'bare ×2' }, atMost: 1 },
  ],
  method(run) {
    return (
      `${clientsOf(run)} clients, each subscribed to a channel, over two workers, through real HAProxy processes with TLS 1.3 that ` +
      'share the two cores with the server and with the clients themselves. All their sockets are destroyed at the same moment; ' +
      'each comes back with the back-off of the official SDKs (full jitter from 0.5 s, 20 s at most), resumes its TLS session, and is ' +
      'back when its subscription is answered. An attempt has failed when a command waits 5 s for its reply, as in the SDKs, or the ' +
      `handshake 60 s. ${STAYING} clients in ${STAYING_CHANNELS} ` +
      `channels, through the same HAProxy without TLS, are not cut off and get ${PER_SECOND} publications a second in all; their ` +
      `messages are counted, but for those of the bare server, which passes nothing on between its workers. The descriptors of a process are ${descriptorLimit()} here, of which HAProxy needs two for each ` +
      'connection: it runs as several processes on one port, and so do the clients. Configurations are the defaults.'
    );
  },
  async measure(subject, run) {
    const clients = clientsOf(run);
    const { channels, quietMs } = sizes(run);
    const server = await run.server(subject);
    const front = await startFront(server.port, clients + STAYING);
    const processes: StormProcess[] = [];
    try {
      const staying = run.generator('staying', { light: true });
      const assignment: Assignment = {
        channelBase: 0,
        channelCount: STAYING_CHANNELS,
        subscribersPerChannel: STAYING / STAYING_CHANNELS,
        firstSubscription: 0,
        channelsEach: 1,
      };
      await staying.ask({
        op: 'open',
        target: { host: '127.0.0.1', port: front.plainPort },
        localAddress: sourceAddress(0),
        dialect: subject.dialect,
        count: STAYING,
        assignment,
        perSecond: 0,
        atOnce: 16,
      });
      const publish = async (durationMs: number): Promise<readonly (readonly [number, number])[]> => {
        const { published } = await staying.ask({
          op: 'publish',
          channels: Array.from({ length: STAYING_CHANNELS }, (_, index) => index),
          perSecond: PER_SECOND,
          burst: 1,
          durationMs,
          sizeBytes: 100,
          jitter: true,
        });
        return published;
      };

      const perProcess = descriptorLimit() - RESERVED_DESCRIPTORS;
      const count = Math.max(run.smoke ? 1 : 2, Math.ceil(clients / perProcess));
      for (let i = 0; i < count; i++) {
        const progress = (done: number): void => run.progress(`clients ${i + 1}: ${done}`);
        processes.push(new StormProcess(subject.dialect, progress));
      }
      const share = Math.ceil(clients / count);
      await Promise.all(
        processes.map(async (each, i) =>
          each.ask({
            op: 'open',
            port: front.tlsPort,
            certificate: front.certificate,
            localAddress: sourceAddress(1 + i),
            count: Math.min(share, clients - share * i),
            channels: Math.ceil(channels / count),
          }),
        ),
      );

      await staying.ask({ op: 'mark' });
      const before = await publish(quietMs);
      const quiet = await staying.ask({ op: 'settle', published: before, patienceMs: PATIENCE_MS });
      await staying.ask({ op: 'mark' });
      const serverMs = cpuMs(server.pids);
      const frontMs = cpuMs(front.pids);
      const over = new AbortController();
      const storm = Promise.all(processes.map(async (each) => each.ask({ op: 'cut' })));
      void storm.then(
        () => over.abort(),
        () => over.abort(),
      );
      let published = before;
      while (!over.signal.aborted) published = await publish(PIECE_MS);
      const done = await storm;
      const serverUs = ((cpuMs(server.pids) - serverMs) * 1000) / clients;
      const frontUs = ((cpuMs(front.pids) - frontMs) * 1000) / clients;
      await sleep(PIECE_MS);
      const settled = await staying.ask({ op: 'settle', published, patienceMs: PATIENCE_MS });
      await staying.ask({ op: 'close' });
      server.assertUnchanged();
      const back = Histogram.merged(done.map((each) => each.back));
      const during = Histogram.merged([settled.latencies]);
      const failures = done.flatMap((each) => each.failures);
      return {
        figures: {
          clients,
          allS: back.max / 1e6,
          p50S: back.percentile(0.5) / 1e6,
          p99S: back.percentile(0.99) / 1e6,
          errors: failures.reduce((sum, [, times]) => sum + times, 0),
          quietP99Ms: Histogram.merged([quiet.latencies]).percentile(0.99) / 1000,
          stormP99Ms: during.percentile(0.99) / 1000,
          stormMaxMs: during.max / 1000,
          serverUs,
          frontUs,
        },
        // What the bare server does not pass on to its other worker was never promised.
        faults: {
          ...NO_FAULTS,
          lost: subject.dialect === 'bare' ? 0 : settled.lost,
          repeated: settled.repeated,
          reordered: settled.reordered,
          stray: settled.stray,
        },
        warnings: failures.map(([why, times]) => `${times} attempts failed: ${why}`),
      };
    } finally {
      for (const each of processes) each.kill();
      await front.stop();
    }
  },
};
