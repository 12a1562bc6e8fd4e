// Connections move from loaded workers to idle ones, by command and by themselves, and no client notices.
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { type ControlClient, connectControl } from '../../src/cluster/control/control-client.ts';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { deferred } from '../helpers/deferred.ts';
import { type Gateway, type GatewayOptions, startGateway } from '../helpers/gateway.ts';
import type { Scope } from '../helpers/scope.ts';
import { isJson, type Json } from '../helpers/server-frames.ts';
import { waitFor } from '../helpers/wait-for.ts';

const DEADLINE_MS = 60_000;

function start(scope: Scope, config: GatewayOptions['config'] = {}): Promise<Gateway> {
  return startGateway(scope, { config: { channel: CROWD_CHANNELS, ...config } });
}

/** Two addresses: whoever comes by the first is led to worker 1, by the other one to worker 2. */
async function anchored(scope: Scope, gateway: Gateway): Promise<readonly [string, string]> {
  const urls = new Map<number, string>();
  while (urls.size < 2) {
    const url = `${gateway.wsUrl}?sid=${randomBytes(10).toString('hex')}`;
    const [one, other] = await spread(gateway);
    const clients = Math.abs(one - other) + 2;
    for (let joined = 1; joined <= clients; joined += 1) {
      await new OfficialClient(scope, url).connect();
      await waitFor('it to be counted', () => adding(gateway, one + other + joined), DEADLINE_MS);
    }
    // By their numbers, so many would have come to both: it is the sid that leads them.
    const now = await spread(gateway);
    const at = [one, other].findIndex((count, worker) => now[worker] === count + clients);
    if (at >= 0) urls.set(at, url);
  }
  return [urls.get(0) ?? '', urls.get(1) ?? ''];
}

async function adding(gateway: Gateway, sum: number): Promise<false | readonly [number, number]> {
  const counts = await spread(gateway);
  return counts[0] + counts[1] === sum && counts;
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

/** On a busy machine what a worker did at its start may weigh as much, until it is long enough ago. */
async function untilWorthIt(control: ControlClient): Promise<void> {
  const isPlanned = async (): Promise<boolean> => {
    // With an eye on its progress, because it measures first: other requests have to be answered at once.
    const plan = await control.request('rebalance', { dryRun: true }, () => undefined);
    const moves: unknown[] = isJson(plan) && Array.isArray(plan['moves']) ? plan['moves'] : [];
    return moves.some((move) => isJson(move) && move['from'] === 1);
  };
  await waitFor('it to be worth it', isPlanned, DEADLINE_MS);
}

/** Begins to move from worker 1 to worker 2. Resolves when so many have moved; `end` is how it ends. */
async function slowly(
  control: ControlClient,
  perSecond: number,
  count: number,
): Promise<{ readonly end: Promise<unknown> }> {
  await untilWorthIt(control);
  const moving = deferred<void>();
  const end = control.request('rebalance', { perSecond }, (value) => {
    if (isJson(value) && Number(value['moved']) >= count) moving.resolve();
  });
  await Promise.race([moving.promise, end]);
  return { end };
}

t.test('200 clients on one worker are shared out by one command, and none of them notices', async (t) => {
  const gateway = await start(t);
  const [url] = await anchored(t, gateway);
  const [, few] = await spread(gateway);
  const crowd = new Crowd({ gateway, url, clients: 40 });
  await crowd.gather(t);
  const idle = await idlers(t, url, 160);
  const control = await connectControl(gateway.controlSocket);
  t.teardown(() => control.close());
  await untilWorthIt(control);
  const before = await spread(gateway);
  t.ok(before[0] >= 200, before.join());
  t.equal(before[1], few);
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
  const [one, other] = await waitFor('the counts', () => adding(gateway, before[0] + before[1]));
  t.ok(one >= 60 && other >= 60, `${one} and ${other}`);
  const moved = await gateway.metric('rebalance_connections_total');
  t.equal(moved, await gateway.metric('handoff_connections_total', 'moved'));
  t.equal(moved, other - few);
  t.equal(await gateway.metric('rebalances_total', 'by="command",result="done"'), 1);
});

t.test(
  'a worker with a hot channel gives some of its subscribers away, though all have as many',
  async (t) => {
    const count = 20;
    const gateway = await start(t);
    const [hotUrl, coldUrl] = await anchored(t, gateway);
    const before = await spread(gateway);
    const cold = await idlers(t, coldUrl, count);
    const hot = await idlers(t, hotUrl, count);
    const subscriptions = await Promise.all(hot.map((client) => client.subscribe('plain')));
    t.same(await spread(gateway), [before[0] + count, before[1] + count]);
    let sent = 0;
    const payload = 'x'.repeat(20_000);
    const over = new AbortController();
    const publishing = (async () => {
      while (!over.signal.aborted) {
        await gateway.api('publish', { channel: 'plain', data: { n: sent, payload } });
        sent += 1;
      }
    })();
    const lines = await waitFor(
      'it to be worth it',
      async () => {
        const all = await asJson(t, gateway, '--pace', '1000');
        return all.at(-1)?.['moved'] !== 0 && all;
      },
      DEADLINE_MS,
    );
    t.match(lines.at(-1), {
      state: 'done',
      plan: { moves: [{ from: 1, to: 2, part: { first: 'busy' } }] },
    });
    over.abort();
    await publishing;
    for (const subscription of subscriptions) {
      await waitFor('everything', () => subscription.publications.length >= sent, DEADLINE_MS);
      t.same(
        subscription.publications.map((data) => (isJson(data) ? data['n'] : undefined)),
        Array.from({ length: sent }, (_, n) => n),
      );
    }
    t.same(disturbed([...hot, ...cold]), []);
    const [one, other] = await spread(gateway);
    t.ok(one < before[0] + count && other > before[1] + count, `${one} and ${other}`);
    t.ok(one > before[0], 'some of them stay');
  },
);

t.test('switched on, it needs no command', async (t) => {
  const rebalance = { enabled: true, interval: '1s', window: '5s', min_connections: 5 };
  const gateway = await start(t, { handoff: { rebalance } });
  const [url] = await anchored(t, gateway);
  const crowd = new Crowd({ gateway, url, clients: 30 });
  const before = await spread(gateway);
  await crowd.gather(t);
  crowd.talk();
  await waitFor('it to be noticed', () => gateway.logged('rebalanced').length > 0, DEADLINE_MS);
  const [one, other] = await waitFor('the counts', () => adding(gateway, before[0] + before[1] + 30));
  t.ok(one > before[0] && other > before[1] + 5, `${one} and ${other}`);
  t.ok((await gateway.metric('rebalances_total', 'by="automatic",result="done"')) >= 1);
  await crowd.hush();
  t.same(crowd.faults().slice(0, 20), []);
});

t.test('one at a time: others are refused meanwhile, and it can be stopped', async (t) => {
  const gateway = await start(t);
  const [url] = await anchored(t, gateway);
  const [, few] = await spread(gateway);
  const clients = await idlers(t, url, 30);
  const control = await connectControl(gateway.controlSocket);
  t.teardown(() => control.close());
  const { end } = await slowly(control, 0.2, 1);
  const stopped = t.rejects(end, { code: 'HOLDFAST_REBALANCE', message: 'stopped: by command' });
  for (const command of ['reload', 'rebalance']) {
    const { exit, output } = await gateway.command(t, command);
    t.equal(exit.code, 1);
    t.match(output, /a rebalancing is under way already/);
  }
  const { output } = await gateway.command(t, 'rebalance', '--abort');
  t.equal(output, 'the rebalancing stops\n');
  await stopped;
  const [one, other] = await spread(gateway);
  t.ok(other > few && one > other, `${one} and ${other}: what has moved stays moved`);
  t.equal((await gateway.command(t, 'rebalance', '--abort')).output, 'no rebalancing is under way\n');
  t.equal((await gateway.command(t, 'reload')).exit.code, 0, 'the way is free');
  t.same(disturbed(clients), []);
});

t.test('kill -9 of the worker that takes them: what the others own lives on', async (t) => {
  const gateway = await start(t);
  const [url] = await anchored(t, gateway);
  const crowd = new Crowd({ gateway, url, clients: 30, losesRequests: true });
  await crowd.gather(t);
  crowd.talk();
  const control = await connectControl(gateway.controlSocket);
  t.teardown(() => control.close());
  const [, victim = 0] = await workersOf(control);
  const everybody = await gateway.metric('connections');
  const { end } = await slowly(control, 1, 2);
  const ended = t.rejects(end, { code: 'HOLDFAST_REBALANCE', message: 'worker 2 ended in the middle' });
  process.kill(victim, 'SIGKILL');
  await ended;
  await waitFor('another worker', async () => (await workersOf(control)).length === 2, DEADLINE_MS);
  await waitFor('everybody to be there', () => crowd.connected === 30, DEADLINE_MS);
  await waitFor('the counts', async () => (await gateway.metric('connections')) === everybody, DEADLINE_MS);
  t.ok(crowd.undisturbed >= 10, `${crowd.undisturbed} of 30 noticed nothing`);
  const { exit, output } = await gateway.command(t, 'rebalance', '--pace', '1000');
  t.equal(exit.code, 0, output);
  // What is published without history was lost for those who had to come back.
  await crowd.hush(false);
  const isHeard = (): boolean => !crowd.missing().some((text) => text.includes(' in kept:'));
  await waitFor('the last words where there is history', isHeard, DEADLINE_MS);
  const cameBack = 30 - crowd.undisturbed;
  t.ok(cameBack < 20, `${cameBack} came back`);
  t.same(
    crowd.faults().filter((fault) => /kept:.* after /.test(fault)),
    [],
    'nothing is missing where there is history',
  );
});

/** Process ids of those that serve. */
async function workersOf(control: ControlClient): Promise<readonly number[]> {
  const status = await control.request('status');
  const workers: unknown[] = isJson(status) && Array.isArray(status['workers']) ? status['workers'] : [];
  return workers.flatMap((each) => (isJson(each) && each['state'] === 'ready' ? [Number(each['pid'])] : []));
}

t.test('nothing to do is no failure; nobody to give to is one', async (t) => {
  const gateway = await start(t);
  const { exit, output } = await gateway.command(t, 'rebalance');
  t.equal(exit.code, 0, output);
  t.match(output, /nothing to move: no worker is more than \d+ % above the mean/);
  const lone = await startGateway(t, { workers: 1 });
  const refused = await lone.command(t, 'rebalance');
  t.equal(refused.exit.code, 1);
  t.match(refused.output, /fewer than two workers serve/);
});
