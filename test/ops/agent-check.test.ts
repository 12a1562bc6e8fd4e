// The agent check before a real HAProxy: a host that leaves gets nobody new, comes back by itself, and an operator's drain holds.
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { generateConfig, startHaproxy } from '../helpers/haproxy.ts';
import { HaproxyRuntime } from '../helpers/haproxy-runtime.ts';
import type { Scope } from '../helpers/scope.ts';
import { waitFor } from '../helpers/wait-for.ts';

/** Gateways that are busy with other things weigh less. */
const MAX_CLIENTS = 60;
const MAX_WAITING_WORD_S = 3;

function start(scope: Scope, port = 0, agentPort = 0): Promise<Gateway> {
  const config = {
    http_server: { port },
    agent_check: { enabled: true, address: '127.0.0.1', port: agentPort, ready_time: '2s', ramp: '0s' },
    shutdown: { timeout: '15s' },
  };
  return startGateway(scope, { workers: 1, config });
}

function agentPort(gateway: Gateway): number {
  return Number(String(gateway.logged('listening')[0]?.['agent']).split(':').at(-1));
}

function ask(port: number): Promise<string> {
  return text(connect(port, '127.0.0.1'));
}

function connections(gateway: Gateway): Promise<number> {
  return gateway.metric('worker_connections');
}

t.test('drains, returns, and respects the operator', async (t) => {
  const [first, second] = await Promise.all([start(t), start(t)]);
  const host = (gateway: Gateway): string => `127.0.0.1:${gateway.port}/agent=${agentPort(gateway)}`;
  const configFile = await generateConfig(t, [`a=${host(first)}`, `b=${host(second)}`, '--no-ops-bind']);
  const runtime = await HaproxyRuntime.in(t, configFile);
  const haproxy = await startHaproxy(t, { configFile });

  const talk = (): Promise<OfficialClient> =>
    new OfficialClient(t, haproxy.wssUrl, { socket: { ca: haproxy.certificate } }).connect();

  t.match(await ask(agentPort(second)), /^(?:ready )?up \d+%\n$/);
  await waitFor('the end of `ready`', async () => (await ask(agentPort(first))).startsWith('up '));
  await waitFor('an agent weight', async () => (await runtime.server('a')).weight > 0);

  await runtime.command('set server holdfast/a state drain');
  // Several answers of the agent later.
  await waitFor(
    'drained for a while',
    async () => (await runtime.server('a')).changedS >= MAX_WAITING_WORD_S,
  );
  t.equal(await runtime.isDrained('a'), true, "the operator's drain holds");
  for (let count = 0; count < 4; count += 1) await talk();
  t.equal(await connections(first), 0);
  t.equal(await connections(second), 4);

  await runtime.command('set server holdfast/a state ready');
  // So many on it that their leaving takes its time; how many of all it gets follows from the weights.
  let clients = 4;
  while ((await connections(first)) < 6 && clients < MAX_CLIENTS) {
    await talk();
    clients += 1;
  }
  t.ok((await connections(first)) >= 6, `leastconn fills the empty host: ${clients} clients in all`);

  // The gateway itself leaves.
  first.child.signal('SIGTERM');
  await waitFor('the word `drain`', async () => (await ask(agentPort(first))) === 'drain\n');
  await waitFor('HAProxy to hear it', () => runtime.isDrained('a'));
  const newcomers = await Promise.all([talk(), talk(), talk(), talk()]);
  t.ok(newcomers.every((client) => client.count('error') === 0));
  const arrivals = haproxy.logs.filter(({ server, status }) => server === 'a' && status === 503).length;
  t.equal(arrivals, 0);
  await first.child.exited;
  await waitFor('all to be on the other', async () => (await connections(second)) === clients + 4);

  // The same host comes back, and says so.
  const again = await start(t, first.port, agentPort(first));
  await waitFor('HAProxy to take it back', async () => !(await runtime.isDrained('a')));
  await waitFor('its checks', async () => (await runtime.server('a')).status.startsWith('UP'));
  await talk();
  await waitFor('a client on it', async () => (await connections(again)) > 0);

  // To be kept out over a restart, whose first answers say `ready`.
  await runtime.command('disable agent holdfast/b');
  await runtime.command('set server holdfast/b state drain');
  await second.stop('SIGKILL');
  const ready = agentPort(second);
  await start(t, second.port, ready);
  t.match(await ask(ready), /^ready up \d+%\n$/);
  await waitFor('its checks', async () => (await runtime.server('b')).status.startsWith('DRAIN'));
  await waitFor('the end of `ready`', async () => (await ask(ready)).startsWith('up '));
  t.equal(await runtime.isDrained('b'), true);
});
