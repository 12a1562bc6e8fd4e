// Scaling in as docs/operations.md has it: one of two hosts on one Redis leaves, behind a real HAProxy that asks the agents,
// while somebody publishes. Everybody comes back on the other host and misses nothing.
import t, { type Test } from 'tap';
import { Child } from '../helpers/child.ts';
import type { OfficialClient } from '../helpers/centrifuge.ts';
import type { Gateway } from '../helpers/gateway.ts';
import { generateConfig, type Haproxy, startHaproxy } from '../helpers/haproxy.ts';
import { MAIN } from '../helpers/program.ts';
import { isJson, type Json } from '../helpers/server-frames.ts';
import { twoHosts } from '../helpers/two-hosts.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { newClient, WAYS_IN } from '../helpers/ways-in.ts';
import { Flow, publishing, Witness } from '../helpers/witness.ts';

const EACH = 8;
const ACCEPT_RATE = 20;

const CONFIG = {
  http_stream: { enabled: true },
  sse: { enabled: true },
  admission: { accept_rate: ACCEPT_RATE },
  agent_check: { enabled: true, address: '127.0.0.1', port: 0, ready_time: '2s', ramp: '0s' },
  channel: { without_namespace: { history_size: 10_000, history_ttl: '300s', force_recovery: true } },
};

t.test('a host leaves under traffic, comes back, and is taken out', async (t) => {
  const { a, b } = await twoHosts(t, CONFIG);
  const hosts = [a, b].map(
    (gateway, index) => `host${index}=127.0.0.1:${gateway.port}/agent=${agentPort(gateway)}`,
  );
  const configFile = await generateConfig(t, [...hosts, '--no-ops-bind']);
  const haproxy = await startHaproxy(t, { configFile });
  const witnesses = await comeIn(t, haproxy);
  const before = await connections(a);
  // How many each gets follows from its weight, and that from how busy the machine is.
  t.ok(before > 0, 'clients on the host that will leave');
  t.ok((await connections(b)) > 0, 'clients on the one that stays');
  const flow = new Flow(t, publishing(b, 'news'));
  await flow.untilTaken(20);

  t.match(await drain(t, a, '--status'), {
    state: 'serving',
    rateFrom: 'other-hosts',
    acceptRate: ACCEPT_RATE,
  });
  const reports = (await drainLines(t, a)).filter(({ state }) => state !== 'serving');
  t.match(reports[0], { state: 'announcing', total: before, closed: 0 }, 'HAProxy hears of it first');
  const end = reports.at(-1);
  t.match(end, {
    state: 'drained',
    total: before,
    closed: before,
    remaining: 0,
    rateFrom: 'other-hosts',
    acceptRate: ACCEPT_RATE,
    window: { neededMs: Math.ceil((before / ACCEPT_RATE) * 1000), limitMs: null, chosenMs: null },
  });
  t.strictSame([...new Set(reports.map(({ state }) => state))], ['announcing', 'closing', 'drained']);
  await waitFor('everybody on the other host', async () => (await connections(b)) >= witnesses.length);
  t.equal(await connections(a), 0);
  t.equal(a.child.exit, undefined, 'it runs without clients');

  // Taken back, it gets clients again; then it leaves for good.
  t.match(await drain(t, a, '--abort'), { state: 'serving' });
  await waitFor('a newcomer on it', async () => {
    await newClient(t, entrance(haproxy), WEBSOCKET).connect();
    return (await connections(a)) > 0;
  });
  await drainLines(t, a, '--exit');
  t.same(await a.child.exited, { code: 0, signal: null });

  await flow.untilTaken(20);
  await flow.stop();
  let movedClients = 0;
  for (const witness of witnesses) {
    const { client } = witness;
    await witness.untilSeen(flow.last);
    t.match(witness.account(flow.taken), { silentlyLost: [], repeated: [], told: 0 });
    t.equal(client.count('disconnected'), 0);
    if (client.count('connected') > 1) movedClients += 1;
    t.ok(
      comebacks(client).every((code) => code === 3001),
      `${comebacks(client).join()}: told to come back`,
    );
  }
  t.equal(movedClients, before, 'those who were on it, and nobody else');
  t.same(flow.refused, []);
  t.equal(haproxy.logs.filter(({ server, status }) => server === 'host0' && status === 503).length, 0);
});

const WEBSOCKET = { transport: 'websocket', protobuf: false } as const;

function entrance({ httpsUrl, certificate }: Haproxy): { readonly origin: string; readonly ca: string } {
  return { origin: httpsUrl, ca: certificate };
}

/** Clients of every transport, one after the other, so that HAProxy counts them. */
async function comeIn(t: Test, haproxy: Haproxy): Promise<Witness[]> {
  const witnesses: Witness[] = [];
  for (const way of WAYS_IN.filter(({ protobuf }) => !protobuf)) {
    for (let count = 0; count < EACH; count += 1) {
      const client = await newClient(t, entrance(haproxy), way).connect();
      witnesses.push(await Witness.of(client, 'news'));
    }
  }
  return witnesses;
}

function agentPort(gateway: Gateway): number {
  return Number(String(gateway.logged('listening')[0]?.['agent']).split(':').at(-1));
}

function connections(gateway: Gateway): Promise<number> {
  return gateway.metric('worker_connections');
}

/** Codes by which a client that was connected had to connect again. */
function comebacks({ history }: OfficialClient): number[] {
  return history
    .flatMap(({ kind, context }) =>
      kind === 'connecting' && isJson(context) ? [Number(context['code'])] : [],
    )
    .slice(1);
}

async function drainLines(t: Test, gateway: Gateway, ...args: readonly string[]): Promise<Json[]> {
  const command = new Child(t, process.execPath, [
    MAIN,
    'drain',
    '--json',
    '--config',
    gateway.configFile,
    ...args,
  ]);
  t.match(await command.exited, { code: 0 }, command.output);
  return command.output
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line))
    .filter(isJson);
}

async function drain(t: Test, gateway: Gateway, order: string): Promise<Json> {
  const [answer = {}] = await drainLines(t, gateway, order);
  return answer;
}
