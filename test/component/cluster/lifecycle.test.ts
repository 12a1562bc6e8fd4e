// Worker processes from fork to end: crashes, hangs, leaving, questions to the host.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { EchoHost } from '../../helpers/echo-host.ts';
import { handshake, RawSocket } from '../../helpers/raw-socket.ts';
import { waitFor } from '../../helpers/wait-for.ts';

function pidOf(host: EchoHost, slot: number): number {
  const process = host.supervisor.slots().find((view) => view.slot === slot)?.process;
  if (process === undefined) throw new Error(`no process in slot ${slot}`);
  return process.pid;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

t.test('a crashed worker is replaced, and said why', async (t) => {
  const host = await EchoHost.start(t);
  await host.ready(2);
  const victim = pidOf(host, 1);
  process.kill(victim, 'SIGKILL');
  await waitFor('another process', () => host.readySlots.includes(1) && pidOf(host, 1) !== victim);
  t.equal(host.supervisor.slots()[0]?.incarnation, 2);
});

t.test('a crash loop is braked, the other slot serves on', async (t) => {
  const host = await EchoHost.start(t, {
    config: { crashingSlots: [1] },
    slotPolicy: { backoff: { minMs: 1, maxMs: 1 }, brakeCrashes: 3, brakedRetryMs: 60_000 },
  });
  await host.ready(1);
  const slot = await waitFor('the brake', () =>
    host.supervisor.slots().find(({ state }) => state.name === 'braked'),
  );
  t.equal(slot.incarnation, 3);
  t.equal(slot.lastFailure, 'told to crash');
  t.equal(slot.state.crashes.looping, true);
  const socket = await RawSocket.upgraded(t, host.port);
  t.notOk(socket.ended);
});

t.test('a worker that is never ready is killed and tried again', async (t) => {
  const host = await EchoHost.start(t, {
    workers: 1,
    config: { neverReady: true },
    slotPolicy: { bootTimeoutMs: 500, backoff: { minMs: 1, maxMs: 1 } },
  });
  await waitFor('a second attempt', () => (host.supervisor.slots()[0]?.incarnation ?? 0) >= 2);
  t.equal(host.supervisor.slots()[0]?.lastFailure, 'signal SIGKILL');
});

t.test('a worker that hangs is killed, one that only pauses is not', async (t) => {
  const host = await EchoHost.start(t, { heartbeatPolicy: { intervalMs: 50, slowMs: 100, hungMs: 3000 } });
  await host.ready(2);
  const [pausing, hanging] = host.supervisor.processes();
  if (pausing === undefined || hanging === undefined) throw new Error('two processes expected');
  await waitFor('vitals', () => host.heartbeat.vitals(pausing) !== undefined);
  process.kill(pausing.pid, 'SIGSTOP');
  await waitFor('its silence to be seen', () => host.heartbeat.silence(pausing) === 'slow');
  t.notOk(host.heartbeat.allAnswer);
  // Nobody is sent to one that does not answer.
  const meanwhile = await Promise.all(Array.from({ length: 6 }, () => RawSocket.upgraded(t, host.port)));
  t.equal(host.connectionsOf(hanging.slot), 6);
  for (const socket of meanwhile) socket.reset();
  process.kill(pausing.pid, 'SIGCONT');
  await waitFor('its answer', () => host.heartbeat.silence(pausing) === 'answering');
  process.kill(hanging.pid, 'SIGSTOP');
  await waitFor('another process in its slot', () => {
    return host.readySlots.includes(hanging.slot) && pidOf(host, hanging.slot) !== hanging.pid;
  });
  t.ok(isAlive(pausing.pid));
});

t.test('a worker told to leave while it starts ends by itself', async (t) => {
  const host = await EchoHost.start(t, { config: { neverReady: true } });
  const codes: unknown[] = [];
  host.supervisor.observe({
    gone: (_process, { code, signal, expected }) => codes.push({ code, signal, expected }),
  });
  host.supervisor.leave(10_000, 60_000);
  await host.supervisor.whenStopped();
  const byItself = { code: 0, signal: null, expected: true };
  t.same(codes, [byItself, byItself]);
});

t.test('leaving workers close what they have; one that does not is killed', async (t) => {
  const host = await EchoHost.start(t, { workers: 2 });
  await host.ready(2);
  const sockets = await Promise.all(Array.from({ length: 10 }, () => RawSocket.upgraded(t, host.port)));
  const stuck = pidOf(host, 2);
  process.kill(stuck, 'SIGSTOP');
  host.supervisor.leave(100, 1000);
  t.same(host.readySlots, []);
  await host.supervisor.whenStopped();
  await Promise.all(sockets.map((socket) => socket.closed()));
  t.notOk(isAlive(stuck));
});

t.test('signals to the group leave workers alone', async (t) => {
  const host = await EchoHost.start(t);
  await host.ready(2);
  const socket = await RawSocket.upgraded(t, host.port);
  const pids = host.supervisor.processes().map(({ pid }) => pid);
  for (const pid of pids) {
    process.kill(pid, 'SIGINT');
    process.kill(pid, 'SIGTERM');
  }
  // An answer of each shows that the signals have been handled.
  const answers = await host.survey.collect('facts', null);
  t.same(
    answers.map(({ pid }) => pid).toSorted((a, b) => a - b),
    pids.toSorted((a, b) => a - b),
  );
  t.notOk(socket.ended);
});

t.test('questions go to all processes and take what comes in time', async (t) => {
  const host = await EchoHost.start(t, { workers: 3 });
  await host.ready(3);
  const overheard: unknown[] = [];
  host.survey.overhear('facts', (value) => overheard.push(value));
  host.survey.answer('facts', () => 'primary here');
  const asked = await fetch(`http://127.0.0.1:${host.port}/collect`);
  const answers: unknown = await asked.json();
  t.match(answers, [
    { from: 'primary', pid: process.pid, value: 'primary here' },
    { value: { slot: Number } },
    { value: { slot: Number } },
    { value: { slot: Number } },
  ]);
  t.equal(overheard.length, 3);
  process.kill(pidOf(host, 2), 'SIGSTOP');
  const partial = await host.survey.collect('facts', null);
  t.same(
    partial.map(({ from }) => from).toSorted((a, b) => a.localeCompare(b)),
    ['primary', 'worker-1', 'worker-3'],
  );
  const pending = host.survey.collect('facts', null);
  process.kill(pidOf(host, 2), 'SIGKILL');
  t.equal((await pending).length, 3);
  t.same(await host.survey.collect('nobody answers this', null), []);
});

t.test('the internal port is shared, and a crash strands none of its connections', async (t) => {
  const host = await EchoHost.start(t);
  await host.ready(2);
  const port = host.internalPort;
  const slots = new Set<string>();
  await waitFor('answers of both', async () => {
    const response = await fetch(`http://127.0.0.1:${port}`, { headers: { connection: 'close' } });
    slots.add(await response.text());
    return slots.size === 2;
  });
  t.equal(host.assigner.clients, 0, 'they are no clients');
  // Connections that are on their way to a stopped worker go to the other one.
  const victim = pidOf(host, 1);
  process.kill(victim, 'SIGSTOP');
  const sockets = await Promise.all(Array.from({ length: 10 }, () => RawSocket.open(t, port)));
  for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  process.kill(victim, 'SIGKILL');
  await Promise.all(sockets.map((socket) => socket.closed()));
  t.ok(sockets.filter(({ socket }) => socket.bytesRead > 0).length >= 8);
});

t.test('slow bodies are cut by the worker, although its server never listens', async (t) => {
  const host = await EchoHost.start(t, { config: { requestTimeoutMs: 300 } });
  await host.ready(2);
  const socket = await RawSocket.open(t, host.port);
  socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nslow');
  t.equal(await socket.status(), 408);
  await socket.closed();
});

t.test('workers do not outlive their primary', async (t) => {
  const program = fileURLToPath(new URL('../../helpers/echo-primary.js', import.meta.url));
  const primary = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => primary.kill('SIGKILL'));
  let output = '';
  primary.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const line = await waitFor('what the primary prints', () => /^(\d+) (.*)$/m.exec(output));
  const socket = await RawSocket.upgraded(t, Number(line[1]));
  const pids = (line[2] ?? '').split(' ').map(Number);
  t.equal(pids.filter(isAlive).length, 2);
  primary.kill('SIGKILL');
  await once(primary, 'exit');
  await waitFor('the end of all workers', () => pids.every((pid) => !isAlive(pid)));
  await socket.closed();
});

t.test('an upgrade with bytes behind it keeps them in order', async (t) => {
  const host = await EchoHost.start(t);
  await host.ready(2);
  const socket = await RawSocket.open(t, host.port);
  socket.write(`${handshake()}first `);
  t.equal(await socket.status(), 101);
  const before = socket.socket.bytesRead;
  socket.write('second');
  await waitFor('the echo', () => socket.socket.bytesRead >= before + 6);
});
