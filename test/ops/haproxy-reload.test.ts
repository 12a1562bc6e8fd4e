// `holdfast haproxy reload` and `rotate-keys` with a real HAProxy: clients of the old process come back one after the other, TLS
// sessions resume, what an operator has drained stays drained, and a configuration that is wrong changes nothing.
import { once } from 'node:events';
import { appendFile, copyFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { MasterSocket } from '../../src/front/master-socket.ts';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { Child } from '../helpers/child.ts';
import { type CliRun, cliRun } from '../helpers/cli-run.ts';
import { startGateway } from '../helpers/gateway.ts';
import { generateConfig, type Haproxy, startHaproxy } from '../helpers/haproxy.ts';
import { MAIN } from '../helpers/program.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

// Two "hosts" that are the same gateway: HAProxy does not know.
const gateway = await startGateway(t, { workers: 1 });

interface Front {
  readonly haproxy: Haproxy;
  readonly configFile: string;
  readonly keyFile: string;
  readonly stateFile: string;
  /** Runs a command of the program that speaks with this HAProxy. */
  readonly command: (...args: string[]) => Promise<CliRun>;
  readonly ask: (line: string) => Promise<string>;
  readonly worker: () => Promise<string | undefined>;
  readonly connect: () => Promise<OfficialClient>;
  readonly masterSocket: string;
}

async function startFront(t: Test, change = (config: string): string => config): Promise<Front> {
  const directory = await tempDir(t);
  const keyFile = join(directory, 'ticket.keys');
  const stateFile = join(directory, 'server.states');
  const masterSocket = join(directory, 'master.sock');
  const keys = await cliRun(['haproxy', 'rotate-keys', '--keys', keyFile, '--no-live']);
  t.same({ code: keys.code, err: keys.err }, { code: 0, err: '' });
  await writeFile(stateFile, '1\n');
  const to = `127.0.0.1:${gateway.port}`;
  const args = [to, to, `--ticket-keys=${keyFile}`, `--state-file=${stateFile}`, '--no-ops-bind'];
  const configFile = await generateConfig(t, args);
  await writeFile(configFile, change(await readFile(configFile, 'utf8')));
  const haproxy = await startHaproxy(t, { configFile, masterSocket });
  const master = new MasterSocket(masterSocket);
  const ask = (line: string): Promise<string> => master.ask(line);
  return {
    haproxy,
    configFile,
    keyFile,
    stateFile,
    masterSocket,
    ask,
    command: (...words) => cliRun(['haproxy', ...words, '--master', masterSocket]),
    worker: async () => /^(\d+)\s+worker/m.exec(await ask('show proc'))?.[1],
    connect: () => new OfficialClient(t, haproxy.wssUrl, { socket: { ca: haproxy.certificate } }).connect(),
  };
}

function connectMany(front: Front, count: number): Promise<OfficialClient[]> {
  return Promise.all(Array.from({ length: count }, () => front.connect()));
}

async function isDrained(front: Front, server: string): Promise<boolean> {
  const states = await front.ask('@1 show servers state holdfast');
  const row = states.split('\n').find((line) => line.includes(` ${server} `));
  // FDRAIN in its administrative state.
  return (Number(row?.split(' ')[6]) & 8) !== 0;
}

t.test('clients come back one after the other, and what was drained stays so', async (t) => {
  const pace = 10;
  const front = await startFront(t);
  const clients = await connectMany(front, 30);
  await front.ask('@1 set server holdfast/host1 state drain');
  const before = await front.worker();
  const { code, out, err } = await front.command('reload', `--pace=${pace}`, '--json');
  t.equal(code, 0, err);
  const reports = out
    .trim()
    .split('\n')
    .map((line): Record<string, unknown> => JSON.parse(line));
  t.match(reports[0], { state: 'reloaded', process: Number(await front.worker()) });
  t.match(reports.at(-1), { state: 'done', ended: 30 });
  t.match(reports[1], { state: 'ending', process: Number(before), ended: 1 });
  t.not(await front.worker(), before);
  await waitFor('everybody to be back', () => clients.every((client) => client.count('connected') === 2));
  await waitFor(
    'the old process to end',
    async () => !(await front.ask('show proc')).includes('old workers'),
  );

  // As HAProxy has logged them: by whom they were ended, and when.
  const ends = front.haproxy.logs
    .filter(({ term }) => String(term).startsWith('K'))
    .map(({ ts }) => Number(ts));
  t.equal(ends.length, 30);
  const inOneSecond = ends.map((from) => ends.filter((at) => at >= from && at < from + 1000).length);
  // What a second may hold more: one that was saved up, and the time to log.
  t.ok(Math.max(...inOneSecond) <= pace + 2, inOneSecond.join(' '));

  t.equal(await isDrained(front, 'host1'), true);
  t.equal(await isDrained(front, 'host2'), false);
  t.equal(await readFile(front.stateFile, 'utf8'), '1\n', 'nothing is left for a later start');
  for (const { client } of clients) client.disconnect();
  const cameBack = (): string[] =>
    front.haproxy.logs
      .filter(({ status, term }) => status === 101 && !String(term).startsWith('K'))
      .map(({ server }) => String(server));
  // When they do not come, it is seen below which did.
  await waitFor('their lines', () => cameBack().length >= 30).catch(() => undefined);
  t.same(cameBack(), Array(30).fill('host2'));
  t.same(
    clients.map((client) => client.count('connecting')),
    Array(30).fill(2),
    'nobody came more often',
  );
});

t.test('sessions resume after a reload and two rotations, and not for ever', async (t) => {
  const front = await startFront(t);
  const { session } = await handshake(t, front.haproxy);
  const isResumed = async (): Promise<boolean> => (await handshake(t, front.haproxy, session)).resumed;
  t.equal(await isResumed(), true);
  const rotate = async (): Promise<unknown> =>
    JSON.parse((await front.command('rotate-keys', `--keys=${front.keyFile}`, '--json')).out);

  const first = await keysOf(front);
  t.match(await rotate(), { keys: 3, taught: 1 });
  const second = await keysOf(front);
  t.same(second.slice(0, 2), first.slice(1));
  t.equal((await stat(front.keyFile)).mode & 0o777, 0o600);
  t.equal(await isResumed(), true, 'the running process knows the key still');
  t.equal((await front.command('reload')).code, 0);
  t.equal(await isResumed(), true, 'and so does the next one');
  // It encrypted with the last but one, which is the oldest after one rotation and gone after two.
  await rotate();
  t.equal(await isResumed(), false);
  const later = await handshake(t, front.haproxy);
  t.equal((await handshake(t, front.haproxy, later.session)).resumed, true);

  // The other load balancer.
  const there = await startFront(t);
  t.equal((await handshake(t, there.haproxy, later.session)).resumed, false);
  const copied = join(await tempDir(t), 'copied.keys');
  await copyFile(front.keyFile, copied);
  const taken = await there.command('rotate-keys', `--keys=${there.keyFile}`, `--from=${copied}`);
  t.match(taken, { code: 0, err: '' });
  t.same(await keysOf(there), await keysOf(front));
  t.equal((await handshake(t, there.haproxy, later.session)).resumed, true);
  const again = await there.command('rotate-keys', `--keys=${there.keyFile}`, `--from=${copied}`);
  t.match(again, { code: 0, out: /knows all its keys/ });
});

t.test('what is wrong changes nothing, and is said', async (t) => {
  const front = await startFront(t);
  const client = await front.connect();
  const worker = await front.worker();
  const good = await readFile(front.configFile, 'utf8');

  await appendFile(front.configFile, '    bogus\n');
  const invalid = await front.command('reload');
  t.equal(invalid.code, 78);
  t.match(invalid.err, /nothing was changed: HAProxy finds fault with .*haproxy\.cfg[^]*bogus/);

  // Valid, and yet it cannot start.
  const taken = `127.0.0.1:${gateway.port}`;
  await writeFile(front.configFile, good.replace('frontend wss\n', `frontend wss\n    bind ${taken}\n`));
  const failed = await front.command('reload');
  t.equal(failed.code, 1);
  t.match(failed.err, /goes on with the old one/);
  t.equal(await front.worker(), worker);
  t.equal(client.count('connecting'), 1);
  t.equal(await readFile(front.stateFile, 'utf8'), '1\n');

  await writeFile(front.configFile, good);
  t.match(await front.command('reload'), { code: 0, out: /^1 connections of before were ended/ });

  const nowhere = ['--master', join(await tempDir(t), 'none.sock')];
  t.match(await cliRun(['haproxy', 'reload', ...nowhere]), { code: 69, err: /no HAProxy answers at/ });
  const keys = ['haproxy', 'rotate-keys', '--keys', front.keyFile];
  t.match(await cliRun([...keys, ...nowhere]), { code: 69, err: /HAProxy does not know it/ });
  t.match(await front.command('rotate-keys', `--keys=${front.keyFile}2`), {
    code: 69,
    err: /does not use .*2: .*it uses .*ticket\.keys\)/,
  });
  await writeFile(`${front.keyFile}3`, 'not keys\n');
  t.match(await front.command('rotate-keys', `--keys=${front.keyFile}3`), {
    code: 78,
    err: /no TLS ticket keys/,
  });
  t.match(await front.command('rotate-keys', '--keys=/nowhere/keys'), { code: 78, err: /cannot write/ });
  t.match(await front.command('rotate-keys', `--keys=${front.keyFile}`, '--from=/nowhere'), { code: 78 });
  t.match(await front.command('reload', '--pace=0'), { code: 2 });
  t.match(await cliRun(['haproxy', 'reload', '--master', gateway.controlSocket]), {
    code: 69,
    err: /is not the master socket/,
  });
});

t.test('interrupted, the old process keeps the rest; --no-reload goes on', async (t) => {
  const front = await startFront(t, (config) => config.replace('hard-stop-after 30m', 'hard-stop-after 60s'));
  const clients = await connectMany(front, 70);
  const reloading = new Child(t, process.execPath, [
    MAIN,
    'haproxy',
    'reload',
    '--pace=1',
    '--master',
    front.masterSocket,
  ]);
  await reloading.waitUntil('the first to be ended', () =>
    /process \d+: 1 connections ended/.test(reloading.output),
  );
  t.match(reloading.output, /70 connections at 1 a second need 1m 10s[^]*--pace 2 or more/);
  t.same(await reloading.stop('SIGINT'), { code: 75, signal: null }, reloading.output);
  t.match(reloading.output, /interrupted: \d+ of 70[^]*--no-reload/);
  t.ok(clients.filter((client) => client.count('connecting') === 1).length > 30);
  const worker = await front.worker();
  const rest = await front.command('reload', '--no-reload', '--pace=1000');
  t.match(rest, { code: 0, out: /connections of before were ended/ });
  t.equal(await front.worker(), worker, 'not reloaded again');
  await waitFor('everybody to be back', () => clients.every((client) => client.count('connected') === 2));
  t.match(await front.command('reload', '--no-reload'), {
    code: 0,
    out: /no process of before has connections/,
  });
  // As `systemctl reload haproxy` does it, without waiting for what comes of it.
  front.haproxy.child.signal('SIGUSR2');
  t.match(await front.command('reload', '--no-reload', '--pace=1000'), {
    code: 0,
    out: /^70 connections of before were ended/,
  });
});

async function keysOf(front: Front): Promise<string[]> {
  return (await readFile(front.keyFile, 'utf8')).trim().split('\n');
}

/** One TLS handshake; with a session of before it may resume. */
async function handshake(
  t: Test,
  haproxy: Haproxy,
  session?: Buffer,
): Promise<{ readonly session: Buffer; readonly resumed: boolean }> {
  const socket: TLSSocket = connectTls({
    host: 'localhost',
    port: haproxy.port,
    ca: haproxy.certificate,
    ...(session === undefined ? {} : { session }),
  });
  t.teardown(() => socket.destroy());
  let ticket: Buffer | undefined;
  // With TLS 1.3 it comes after the handshake.
  socket.on('session', (given) => (ticket = given));
  await once(socket.resume(), 'secureConnect');
  const resumed = socket.isSessionReused();
  const given = session ?? (await waitFor('a session', () => ticket));
  socket.destroy();
  return { session: given, resumed };
}
