// Hosts that fill up, drain and die under load, behind a real HAProxy with TLS and the configuration that the program writes:
// whoever asks for a connection gets one as long as there is room somewhere.
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { generateConfig, type Haproxy, startHaproxy } from '../helpers/haproxy.ts';
import type { Scope } from '../helpers/scope.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { countOutcomes, WssLoad, WssSocket } from '../helpers/wss-burst.ts';

const STARTED = [
  '--no-privileged',
  '--maxconn=4000',
  '--no-ops-bind',
  '--bind=${HOLDFAST_BIND}',
  '--certificate=${HOLDFAST_CERTIFICATE}',
];

interface HostOptions {
  /** Connections that it takes; 0: no limit. */
  readonly limit?: number;
  readonly hasAgent?: boolean;
  readonly port?: number;
  readonly agentPort?: number;
}

function startHost(scope: Scope, options: HostOptions): Promise<Gateway> {
  const { limit = 0, hasAgent = false, port = 0, agentPort: agent = 0 } = options;
  const config = {
    http_server: { address: '127.0.0.1', port },
    client: { insecure: true, connection_limit: limit, stale_close_delay: '5m' },
    agent_check: { enabled: hasAgent, address: '127.0.0.1', port: agent, ready_time: '5s', ramp: '1s' },
    shutdown: { timeout: '4s' },
  };
  return startGateway(scope, { workers: 1, config });
}

function agentPort(gateway: Gateway): number {
  return Number(String(gateway.logged('listening')[0]?.['agent']).split(':').at(-1));
}

function ask(port: number): Promise<string> {
  return text(connect(port, '127.0.0.1'));
}

async function front(t: Test, hosts: readonly string[]): Promise<Haproxy> {
  return startHaproxy(t, { configFile: await generateConfig(t, hosts, STARTED) });
}

function connections(gateway: Gateway): Promise<number> {
  return gateway.metric('worker_connections');
}

async function statuses(sockets: readonly WssSocket[]): Promise<Readonly<Record<string, number>>> {
  return countOutcomes(await Promise.all(sockets.map(({ outcome }) => outcome)));
}

// Without the agent check, and with limits that HAProxy does not know: what it hears at once is refusals.
t.test('three small hosts and a large one fill up', async (t) => {
  const limits = [40, 40, 40, 260];
  const hosts = await Promise.all(limits.map((limit) => startHost(t, { limit })));
  const haproxy = await front(
    t,
    hosts.map(({ port }) => `127.0.0.1:${port}`),
  );
  const inside: WssSocket[] = [];
  for (let wave = 0; wave < 2; wave += 1) {
    const sockets = await WssSocket.burst(t, haproxy, 190);
    t.same(await statuses(sockets), { 101: 190 });
    inside.push(...sockets);
  }
  t.same(await Promise.all(hosts.map(connections)), limits, 'every place is taken');

  // Nowhere is room: it is said, and when to come back; soon without asking any host.
  const late = await WssSocket.burst(t, haproxy, 50);
  t.same(await statuses(late), { 503: 50 });
  await waitFor('HAProxy to know it', () => haproxy.child.output.includes('has no server available'));
  const later = await WssSocket.burst(t, haproxy, 50);
  t.same(await statuses(later), { 503: 50 });
  for (const { head } of [...late, ...later]) {
    if (!/^retry-after: \d+$/im.test(head)) t.fail(head);
  }

  for (const { socket } of inside.slice(0, 60)) socket.destroy();
  await waitFor('a place', async () => {
    const [one] = await WssSocket.burst(t, haproxy, 1);
    return (await one?.outcome) === 101;
  });
  t.same(await statuses(await WssSocket.burst(t, haproxy, 40)), { 101: 40 });
});

t.test('two hosts at a time drain, change their mind, come back, and die', async (t) => {
  const hosts = await Promise.all([1, 2, 3, 4].map(() => startHost(t, { hasAgent: true })));
  const addresses = hosts.map((host) => ({ port: host.port, agentPort: agentPort(host) }));
  const haproxy = await front(
    t,
    addresses.map((place) => `127.0.0.1:${place.port}/agent=${place.agentPort}`),
  );
  const load = new WssLoad(t, haproxy, { parallel: 24, kept: 200 });
  await waitFor('clients everywhere', async () =>
    (await Promise.all(hosts.map(connections))).every((count) => count > 10),
  );

  // Two begin to leave and change their mind.
  const changing = hosts.slice(2);
  const drains = changing.map((host) => host.command(t, 'drain'));
  await waitFor('two to drain', async () =>
    (await Promise.all(addresses.slice(2).map(({ agentPort: port }) => ask(port)))).every(
      (word) => word === 'drain\n',
    ),
  );
  for (const host of changing) t.equal((await host.command(t, 'drain', '--abort')).exit.code, 0);
  await Promise.all(drains);
  const later = load.outcomes.length;
  await waitFor('another hundred', () => load.outcomes.length > later + 100);
  await waitFor('clients on those that stayed', async () =>
    (await Promise.all(changing.map(connections))).every((count) => count > 10),
  );
  t.same(
    countOutcomes(load.outcomes.filter((outcome) => outcome !== 101)),
    {},
    'while they changed their mind',
  );

  const leaving = hosts.slice(0, 2);
  const staying = hosts.slice(2);
  for (const host of leaving) host.child.signal('SIGTERM');
  t.same(
    await Promise.all(leaving.map(({ child }) => child.exited)),
    leaving.map(() => ({ code: 0, signal: null })),
  );
  t.same(countOutcomes(load.outcomes.filter((outcome) => outcome !== 101)), {}, 'while they drained');

  const back = await Promise.all(
    addresses.slice(0, 2).map((place) => startHost(t, { hasAgent: true, ...place })),
  );
  await waitFor('clients on the hosts that came back', async () =>
    (await Promise.all(back.map(connections))).every((count) => count > 10),
  );
  for (const { child } of staying) process.kill(-child.pid, 'SIGKILL');
  await waitFor('HAProxy to miss them', () =>
    ['host3', 'host4'].every((name) => haproxy.child.output.includes(`Server holdfast/${name} is DOWN`)),
  );
  const before = load.outcomes.length;
  await waitFor('a hundred more', () => load.outcomes.length > before + 100);
  await load.stop();
  t.same(Object.keys(countOutcomes(load.outcomes)), ['101'], `all of ${load.outcomes.length}`);
});
