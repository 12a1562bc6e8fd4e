// How the gateway leaves: everybody is told, nothing stays behind.
import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { connectControl } from '../../src/cluster/control/control-client.ts';
import { Child } from '../helpers/child.ts';
import { CONFIG_FILE, type Gateway, startGateway } from '../helpers/gateway.ts';
import { accepts } from '../helpers/ports.ts';
import { MAIN } from '../helpers/program.ts';
import { ProtocolClient } from '../helpers/protocol-client.ts';
import { RawSocket } from '../helpers/raw-socket.ts';
import { isJson, type Json } from '../helpers/server-frames.ts';
import type { Scope } from '../helpers/scope.ts';
import { waitFor } from '../helpers/wait-for.ts';

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} tells everybody, ends with 0 and leaves nothing`, async (t) => {
    const gateway = await startGateway(t, { config: { shutdown: { timeout: '4s' } } });
    const clients = await connectMany(t, gateway, 40);
    const silent = await Promise.all(Array.from({ length: 10 }, () => RawSocket.upgraded(t, gateway.port)));
    const ended = gateway.stop(signal);
    for (const client of clients) {
      t.same(await client.closeFrame(), { code: 3001, reason: 'shutdown' });
    }
    for (const raw of silent) t.equal(await raw.closeCode(), 1001);
    t.same(await ended, { code: 0, signal: null });
    await nothingLeft(gateway);
    t.pass('nothing left');
  });
}

t.test('by command it takes no new clients, until a signal and another one end it', async (t) => {
  const gateway = await startGateway(t, { config: { shutdown: { timeout: '2m' } } });
  await connectMany(t, gateway, 20);
  const drain = startDrain(t, gateway, '--window', '10m');
  await until(gateway, 'closing');
  t.match(await readiness(gateway), {
    status: 503,
    checks: [{ name: 'draining', ok: false, detail: 'this host is leaving: connections are closed' }],
  });
  await t.rejects(ProtocolClient.open(t, gateway.wsUrl));
  gateway.child.signal('SIGTERM');
  await waitFor('the signal to count', async () => (await drainStatus(gateway))['ends'] === true);
  const refused = await gateway.command(t, 'drain', '--abort');
  t.match(refused, {
    exit: { code: 1 },
    output: /a signal told the gateway to end: that cannot be taken back/,
  });
  t.equal(gateway.child.exit, undefined, 'still draining');
  // A second one hurries: the rest of the two minutes is not used.
  t.same(await gateway.child.stop('SIGTERM', 30_000), { code: 0, signal: null });
  t.match(await drain.exited, { code: 0 });
  await nothingLeft(gateway);
});

t.test('pause holds, abort restores, hurry closes everybody', async (t) => {
  const gateway = await startGateway(t);
  const clients = await connectMany(t, gateway, 30);
  for (const client of clients) await client.command('subscribe', { channel: 'news' });
  t.match(await drainStatus(gateway), { state: 'serving', total: 30, rateFrom: 'this-host' });
  const drain = startDrain(t, gateway, '--window', '60s');
  await until(gateway, 'closing', ({ closed }) => Number(closed) > 0);
  t.match(await order(gateway, 'pause'), { state: 'paused', perSecond: 0, leftMs: null });
  // What was on its way to the workers is closed.
  const paused = await untilSteady(gateway);
  t.match(await readiness(gateway), { checks: [{ detail: 'this host is leaving: paused' }] });
  t.match(await gateway.command(t, 'reload'), { exit: { code: 1 }, output: /drain --abort/ });

  t.match(await order(gateway, 'resume'), { state: 'closing' });
  await until(gateway, 'closing', ({ closed }) => Number(closed) > paused);
  t.match(await order(gateway, 'abort'), { state: 'serving' });
  t.match(await drain.exited, { code: 1 });
  t.match(drain.output, /the drain was taken back: this host serves again/);
  await waitFor('readiness', async () => (await readiness(gateway)).status === 200);
  await gateway.api('publish', { channel: 'news', data: 'still here' });
  const heard = await Promise.all(clients.map((client) => client.publication('news').catch(() => undefined)));
  const staying = clients.filter((_, index) => heard[index] !== undefined);
  t.ok(staying.length > 0 && staying.length < 30, `${staying.length} of 30 stay`);
  const newcomer = await ProtocolClient.connected(t, gateway.wsUrl);

  const again = startDrain(t, gateway, '--json', '--window', '10m');
  await until(gateway, 'closing');
  await order(gateway, 'hurry');
  for (const client of [...staying, newcomer]) {
    t.match(await client.closeFrame(), { code: 3001, reason: 'shutdown' });
  }
  t.match(await again.exited, { code: 0 });
  const total = staying.length + 1;
  const reports = again.output
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  t.match(reports[0], { state: 'announcing', total, closed: 0, remaining: total });
  t.match(reports.at(-1), {
    state: 'drained',
    reason: 'command',
    ends: false,
    total,
    closed: total,
    remaining: 0,
    workers: 2,
    leftMs: 0,
    window: { neededMs: Number, windowMs: 600_000, chosenMs: 600_000, limitMs: null },
  });
  t.match(await readiness(gateway), { checks: [{ detail: 'this host has left: no connections' }] });
  t.equal(await gateway.metric('drain_connections', 'of="closed"'), total);
  t.equal(await gateway.metric('drain_connections', 'of="remaining"'), 0);
  t.equal(gateway.child.exit, undefined, 'it runs without clients');
  t.match(await order(gateway, 'abort'), { state: 'serving' });
  await waitFor('readiness', async () => (await readiness(gateway)).status === 200);
  await ProtocolClient.connected(t, gateway.wsUrl);
});

t.test('SIGTERM in a paused drain goes on, and ends in time', async (t) => {
  const gateway = await startGateway(t, { config: { shutdown: { timeout: '3s' } } });
  const clients = await connectMany(t, gateway, 20);
  const drain = startDrain(t, gateway, '--window', '10m');
  await until(gateway, 'closing');
  await order(gateway, 'pause');
  t.same(await gateway.child.stop('SIGTERM', 30_000), { code: 0, signal: null });
  for (const client of clients) t.match(await client.closeFrame(), { code: 3001 });
  t.match(gateway.logged('connections are closed faster than the rest takes them').at(-1), {
    neededMs: Number,
    windowMs: Number,
  });
  t.match(await drain.exited, { code: 0 });
  await nothingLeft(gateway);
});

t.test('a worker that dies in a drain takes its own clients along, and no others', async (t) => {
  const gateway = await startGateway(t);
  const clients = await connectMany(t, gateway, 20);
  startDrain(t, gateway, '--window', '10m');
  await until(gateway, 'closing');
  const [victim] = await gateway.workerPids();
  if (victim !== undefined) process.kill(victim, 'SIGKILL');
  await waitFor('the end of its clients', () => clients.filter((client) => !isOpen(client)).length >= 9);
  await waitFor('a new worker', () => gateway.logged('worker ready').length === 3);
  // The new one knows as well.
  await t.rejects(ProtocolClient.open(t, gateway.wsUrl));
  t.ok(clients.some(isOpen));
  await order(gateway, 'hurry');
  await until(gateway, 'drained');
  for (const client of clients) await client.closeFrame();
});

t.test('a reload gives way to a signal; a drain by command waits for it', async (t) => {
  const gateway = await startGateway(t);
  await connectMany(t, gateway, 20);
  gateway.child.signal('SIGHUP');
  await waitFor('the reload', () => gateway.logged('reloading').length > 0);
  const refused = await gateway.command(t, 'drain');
  t.match(refused, { exit: { code: 1 }, output: /a reload is under way already/ });
  t.same(await gateway.child.stop('SIGTERM', 60_000), { code: 0, signal: null });
  await nothingLeft(gateway);
});

function isOpen({ socket }: ProtocolClient): boolean {
  return socket.readyState === socket.OPEN;
}

function startDrain(scope: Scope, gateway: Gateway, ...args: readonly string[]): Child {
  return new Child(scope, process.execPath, [MAIN, 'drain', '--config', gateway.configFile, ...args]);
}

async function control(gateway: Gateway, method: string): Promise<Json> {
  const client = await connectControl(gateway.controlSocket);
  try {
    const answer = await client.request(method);
    if (!isJson(answer)) throw new Error(`${method}: ${JSON.stringify(answer)}`);
    return answer;
  } finally {
    client.close();
  }
}

const drainStatus = (gateway: Gateway): Promise<Json> => control(gateway, 'drain-status');

const order = (gateway: Gateway, name: string): Promise<Json> => control(gateway, `drain-${name}`);

/** Until the drain is in this state, and as far as that. */
async function until(
  gateway: Gateway,
  state: string,
  isFar: (progress: Json) => boolean = () => true,
): Promise<void> {
  await waitFor(
    `a drain that is ${state}`,
    async () => {
      const progress = await drainStatus(gateway);
      return progress['state'] === state && isFar(progress);
    },
    60_000,
  );
}

/** Connections that are closed when several reports of the workers have said the same. */
async function untilSteady(gateway: Gateway): Promise<number> {
  let same = 0;
  let closed = -1;
  await waitFor('a count that stays', async () => {
    const now = Number((await drainStatus(gateway))['closed']);
    same = now === closed ? same + 1 : 0;
    closed = now;
    // Workers are asked once a second.
    await delay(200);
    return same > 12;
  });
  return closed;
}

async function readiness(gateway: Gateway): Promise<Json & { readonly status: number }> {
  const response = await fetch(`${gateway.httpUrl}/readyz`);
  const body: unknown = await response.json();
  return { ...(isJson(body) ? body : {}), status: response.status };
}

function connectMany(scope: Scope, gateway: Gateway, count: number): Promise<ProtocolClient[]> {
  return Promise.all(Array.from({ length: count }, () => ProtocolClient.connected(scope, gateway.wsUrl)));
}

async function nothingLeft(gateway: Gateway): Promise<void> {
  await waitFor('the end of its processes', () => !gateway.child.groupIsAlive);
  const files = readdirSync(gateway.directory).filter((name) => name !== CONFIG_FILE);
  if (files.length > 0) throw new Error(`left behind: ${files.join(', ')}`);
  if (await accepts(gateway.port)) throw new Error('the port is still open');
}
