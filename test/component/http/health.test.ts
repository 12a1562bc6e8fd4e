import { once } from 'node:events';
import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import { type HealthCheck, healthRoutes } from '../../../src/gateway/health.ts';
import { createHttpServers } from '../../../src/gateway/http-server.ts';
import { metricsRoute } from '../../../src/gateway/metrics-route.ts';
import { portOf } from '../../helpers/port-of.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { Metrics } from '../../../src/observe/metrics.ts';

async function start(
  t: Test,
  live: HealthCheck[],
  ready: HealthCheck[],
  collect: () => unknown[],
): Promise<string> {
  const servers = await createHttpServers({
    groups: [
      healthRoutes({ version: '1.2.3', live, ready, livePath: '/health' }),
      metricsRoute({ path: '/metrics', collect: async () => collect() }),
    ],
    logger: createLogger({ level: 'silent', role: 'worker' }),
  });
  const front = createServer((socket) => servers.publicServer.emit('connection', socket)).listen(
    0,
    '127.0.0.1',
  );
  await once(front, 'listening');
  t.teardown(async () => {
    front.close();
    await servers.close();
  });
  return `http://127.0.0.1:${portOf(front)}`;
}

async function get(url: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

t.test('both pages list every check with the version', async (t) => {
  let draining = false;
  const loop = { name: 'loop', check: () => ({ ok: true, detail: 'runs' }) };
  const drain = {
    name: 'drain',
    check: () => ({ ok: !draining, detail: draining ? 'draining' : 'serving' }),
  };
  const base = await start(t, [loop], [drain], () => []);
  t.match(await get(`${base}/readyz`), {
    status: 200,
    body: {
      status: 'ok',
      version: '1.2.3',
      checks: [
        { name: 'loop', ok: true, detail: 'runs' },
        { name: 'drain', ok: true, detail: 'serving' },
      ],
    },
  });
  draining = true;
  t.match(await get(`${base}/readyz`), {
    status: 503,
    body: { status: 'unavailable', checks: [{ ok: true }, { name: 'drain', ok: false, detail: 'draining' }] },
  });
  const live = await get(`${base}/healthz`);
  t.match(live, { status: 200, body: { status: 'ok', version: '1.2.3' } });
  t.strictSame(await get(`${base}/health`), live, 'the configured path is another name');
});

t.test('a check that throws is a failed check', async (t) => {
  const broken = {
    name: 'broken',
    check: () => {
      throw new Error('no idea');
    },
  };
  const base = await start(t, [broken], [], () => []);
  t.match(await get(`${base}/healthz`), {
    status: 503,
    body: { checks: [{ ok: false, detail: /no idea/ }] },
  });
});

t.test('the metrics page adds up what was collected', async (t) => {
  const one = new Metrics('a');
  const two = new Metrics('b');
  one.hot.delivered = 2;
  two.hot.delivered = 3;
  const base = await start(t, [], [], () => [one.snapshot(), undefined, two.snapshot()]);
  const response = await fetch(`${base}/metrics`);
  t.match(response.headers.get('content-type'), 'text/plain; version=0.0.4');
  t.match(await response.text(), 'holdfast_publications_delivered_total 5\n');
});
