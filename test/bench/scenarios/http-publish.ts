// What a publication through the HTTP API costs, into a channel with history and into one without.
import { Histogram } from '../load/histogram.ts';
import { cpuMs } from '../measure/processes.ts';
import { HttpApi } from '../servers/http-api.ts';
import { holdfast } from '../servers/subjects.ts';
import { NO_FAULTS, type Scenario } from './scenario.ts';

const CLIENTS = 32;
const WARM_UP_MS = 2000;
const DATA = { text: 'x'.repeat(80) };

export const httpPublish: Scenario = {
  name: 'http-publish',
  title: 'Publishing over HTTP',
  subjects: [holdfast(1), holdfast(1, 'with history')],
  smokeSubjects: [],
  rounds: 3,
  figures: [
    { key: 'cpuUs', label: 'server CPU per publication', unit: 'µs', digits: 0 },
    { key: 'perSecond', label: 'publications a second', unit: '', digits: 0 },
    { key: 'p50Ms', label: 'answer p50', unit: 'ms', digits: 2 },
    { key: 'p99Ms', label: 'answer p99', unit: 'ms', digits: 2 },
    { key: 'generatorUs', label: 'generator CPU per publication', unit: 'µs', digits: 0 },
  ],
  plotted: 'cpuUs',
  goals: [],
  method: ({ durationMs }) =>
    `${CLIENTS} HTTP clients with kept connections publish about 100 bytes each through /api/publish into one channel without ` +
    `subscribers, each as soon as its last publication was answered, for ${(durationMs ?? 10_000) / 1000} s after a warm-up. With ` +
    'history, the offset of the last answer must be the number of publications.',
  async measure(subject, run) {
    const server = await run.server(subject);
    const api = new HttpApi(server.port, CLIENTS);
    const latencies = new Histogram();
    let published = 0;
    let lastOffset: number | undefined;
    const client = async (endMs: number): Promise<void> => {
      while (performance.now() < endMs) {
        const startMs = performance.now();
        const offset = await api.publish('bench', DATA);
        latencies.record((performance.now() - startMs) * 1000);
        published++;
        if (offset !== undefined) lastOffset = Math.max(lastOffset ?? 0, offset);
      }
    };
    const publishFor = async (durationMs: number): Promise<void> => {
      const endMs = performance.now() + durationMs;
      await Promise.all(Array.from({ length: CLIENTS }, async () => client(endMs)));
    };
    try {
      run.progress('warming up');
      await publishFor(WARM_UP_MS);
      latencies.reset();
      const before = published;
      run.progress('publishing');
      const startMs = performance.now();
      const serverMs = cpuMs(server.pids);
      const own = process.cpuUsage();
      await publishFor(run.durationMs ?? 10_000);
      const tookMs = performance.now() - startMs;
      const count = published - before;
      const { user, system } = process.cpuUsage(own);
      const cpuUs = ((cpuMs(server.pids) - serverMs) * 1000) / count;
      server.assertUnchanged();
      return {
        figures: {
          cpuUs,
          perSecond: (count * 1000) / tookMs,
          p50Ms: latencies.percentile(0.5) / 1000,
          p99Ms: latencies.percentile(0.99) / 1000,
          generatorUs: (user + system) / count,
        },
        faults: { ...NO_FAULTS, lost: Math.max(0, published - (lastOffset ?? published)) },
        warnings: [],
      };
    } finally {
      api.close();
    }
  },
};
