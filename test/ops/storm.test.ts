// Everybody is cut off at the same moment and comes back through a real HAProxy with TLS, to a host that takes few at a time:
// official clients, with the back-off that they have.
import t from 'tap';
import { WebSocket } from 'ws';
import { Centrifuge } from 'centrifuge';
import { startGateway } from '../helpers/gateway.ts';
import { generateConfig, type Haproxy, startHaproxy } from '../helpers/haproxy.ts';
import type { Scope } from '../helpers/scope.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 300;
const NEW_CLIENTS = 20;
const ACCEPT_RATE = 30;
const PATIENCE_MS = 120_000;

interface Client {
  readonly client: Centrifuge;
  /** When it was connected, each time. */
  readonly connectedMs: number[];
  /** For good: it does not come back by itself. */
  readonly ended: () => boolean;
  cut(): void;
}

/** Clients from an address of their own. */
function startClient(scope: Scope, { wssUrl, certificate }: Haproxy, localAddress: string): Client {
  const connectedMs: number[] = [];
  let last: WebSocket | undefined;
  let ended = false;
  const websocket = class extends WebSocket {
    constructor(address: string, protocols?: string | string[]) {
      super(address, protocols, { ca: certificate, localAddress, family: 4 });
      // oxlint-disable-next-line typescript/no-this-alias, unicorn/no-this-assignment -- the client makes it, the test cuts it
      last = this;
    }
  };
  const client = new Centrifuge(wssUrl, { websocket });
  client.on('connected', () => connectedMs.push(performance.now()));
  client.on('disconnected', () => {
    ended = true;
  });
  // Refused upgrades are among what this is about.
  client.on('error', () => undefined);
  scope.teardown(() => client.disconnect());
  client.connect();
  return { client, connectedMs, ended: () => ended, cut: () => last?.terminate() };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

t.test('a storm is spread, nobody is lost, and who comes back goes first', async (t) => {
  const gateway = await startGateway(t, {
    workers: 2,
    config: {
      admission: { accept_rate: ACCEPT_RATE, queue_time: '2s', trusted_proxies: ['127.0.0.1'] },
    },
  });
  const configFile = await generateConfig(
    t,
    [`127.0.0.1:${gateway.port}`],
    [
      '--no-privileged',
      '--maxconn=2000',
      '--no-ops-bind',
      '--per-source=0',
      '--per-source-rate=0',
      '--bind=${HOLDFAST_BIND}',
      '--certificate=${HOLDFAST_CERTIFICATE}',
    ],
  );
  const haproxy = await startHaproxy(t, { configFile });
  const clients = Array.from({ length: CLIENTS }, (_, i) =>
    startClient(t, haproxy, `127.0.1.${1 + (i % 200)}`),
  );
  // The first arrival is a storm already, of clients that nobody knows.
  await waitFor('all to be in', () => clients.every((each) => each.connectedMs.length === 1), PATIENCE_MS);
  t.equal(await gateway.metric('connections'), CLIENTS);

  const cutMs = performance.now();
  for (const each of clients) each.cut();
  await waitFor(
    'some that wait for their turn',
    async () => (await gateway.metric('admission_queued', 'client="returning"')) > 15,
    PATIENCE_MS,
  );
  const others = Array.from({ length: NEW_CLIENTS }, (_, i) => startClient(t, haproxy, `127.0.2.${1 + i}`));
  await waitFor('all to be back', () => clients.every((each) => each.connectedMs.length === 2), PATIENCE_MS);
  await waitFor(
    'the new ones, too',
    () => others.every((each) => each.connectedMs.length === 1),
    PATIENCE_MS,
  );

  const backMs = clients.map((each) => (each.connectedMs[1] ?? 0) - cutMs);
  const inMs = others.map((each) => (each.connectedMs[0] ?? 0) - cutMs);
  // One second's worth may come at once; the rest by turns, however fast the machine is.
  t.ok(Math.max(...backMs) > ((CLIENTS - 2 * ACCEPT_RATE) / ACCEPT_RATE) * 1000, 'spread over time');
  t.ok(mean(inMs) > mean(backMs), `new ones after ${mean(inMs)} ms, others after ${mean(backMs)} ms`);
  t.notOk(
    [...clients, ...others].some((each) => each.ended()),
    'nobody has given up',
  );
  t.equal(await gateway.metric('connections'), CLIENTS + NEW_CLIENTS);
  t.ok((await gateway.metric('admission_wait_seconds_count')) > CLIENTS / 4);
  const measured = await gateway.metric('accept_rate');
  t.ok(measured > 0 && measured <= ACCEPT_RATE, `${measured} a second`);
  const { output } = await gateway.command(t, 'status', '--json');
  t.ok(JSON.parse(output).capacity.acceptRate > 0);
});
