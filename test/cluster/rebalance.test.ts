// Connections move from loaded workers to idle ones, by command and by themselves, and no client notices.
import t from 'tap';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { type Gateway, type GatewayOptions, startGateway } from '../helpers/gateway.ts';
import type { Scope } from '../helpers/scope.ts';
import { isJson, type Json } from '../helpers/server-frames.ts';
import { waitFor } from '../helpers/wait-for.ts';

const DEADLINE_MS = 60_000;

function start(scope: Scope, config: GatewayOptions['config'] = {}): Promise<Gateway> {
  return startGateway(scope, { config: { channel: CROWD_CHANNELS, ...config } });
}

/** Two addresses whose clients come to different workers. */
async function anchored(scope: Scope, gateway: Gateway): Promise<readonly [string, string]> {
  const urls = ['a', 'b'].map((letter) => `${gateway.wsUrl}?sid=${letter.repeat(20)}`);
  // The first of each is given to the idler worker, and stays: its sid leads the others to it.
  for (const url of urls) await new OfficialClient(scope, url).connect();
  const [one = '', other = ''] = urls;
  await waitFor(
    'the sids to be known',
    async () => {
      const [before, probe] = [await spread(gateway), new OfficialClient(scope, one)];
      await probe.connect();
      const after = await waitFor('the probe', async () => {
        const now = await spread(gateway);
        return now.some((count, at) => count !== before[at]) && now;
      });
      probe.client.disconnect();
      await waitFor('the probe to go', async () => (await spread(gateway)).join() === before.join());
      return after[0] === 2 && after[1] === 1;
    },
    DEADLINE_MS,
  );
  return [one, other];
}

/** Connections of each worker. */
function spread(gateway: Gateway): Promise<[number, number]> {
  const of = (worker: number): Promise<number> => gateway.metric('worker_connections', `worker="${worker}"`);
  return Promise.all([of(1), of(2)]);
}

async function idlers(scope: Scope, url: string, count: number): Promise<readonly OfficialClient[]> {
  const all: OfficialClient[] = [];
  while (all.length < count) {
    const some = Array.from(
      { length: Math.min(20, count - all.length) },
      () => new OfficialClient(scope, url),
    );
    await Promise.all(some.map((client) => client.connect()));
    all.push(...some);
  }
  return all;
}

function disturbed(clients: readonly OfficialClient[]): readonly OfficialClient[] {
  return clients.filter((client) => client.count('connecting') !== 1 || client.count('disconnected') !== 0);
}

async function asJson(scope: Scope, gateway: Gateway, ...args: string[]): Promise<readonly Json[]> {
  const { exit, output } = await gateway.command(scope, 'rebalance', '--json', ...args);
  if (exit.code !== 0) throw new Error(output);
  return output.split('\n').flatMap((line) => {
    const value: unknown = line === '' ? undefined : JSON.parse(line);
    return isJson(value) ? [value] : [];
  });
}

t.test('200 clients on one worker are shared out by one command, and none of them notices', async (t) => {
  const gateway = await start(t);
  const [url] = await anchored(t, gateway);
  const crowd = new Crowd({ gateway, url, clients: 40 });
  await crowd.gather(t);
  const idle = await idlers(t, url, 160);
  const before = await spread(gateway);
  t.same(before, [201, 1]);
  const [plan] = await asJson(t, gateway, '--dry-run');
  t.match(plan, { moves: [{ from: 1, to: 2 }] });
  t.same(await spread(gateway), before, 'a dry run moves nothing');
  crowd.talk();
  const { exit, output } = await gateway.command(t, 'rebalance', '--pace', '1000');
  t.equal(exit.code, 0, output);
  t.match(output, /rebalanced: \d+ connections moved, worker 1 to worker 2/);
  await crowd.hush();
  t.same(crowd.faults().slice(0, 20), []);
  t.same(disturbed(idle), []);
  const [one, other] = await waitFor('the counts', async () => {
    const now = await spread(gateway);
    return now[0] + now[1] === 202 && now;
  });
  t.ok(one >= 60 && other >= 60, `${one} and ${other}`);
  const moved = await gateway.metric('rebalance_connections_total');
  t.equal(moved, await gateway.metric('handoff_connections_total', 'moved'));
  t.equal(moved, other - 1);
  t.equal(await gateway.metric('rebalances_total', 'by="command",result="done"'), 1);
});
