// Assignment of connections: even, sticky, patient, and without loss when a worker dies.
import t from 'tap';
import { EchoHost } from '../../helpers/echo-host.ts';
import { handshake, RawSocket } from '../../helpers/raw-socket.ts';
import type { Scope } from '../../helpers/scope.ts';
import { BurstSocket } from '../../helpers/upgrade-burst.ts';
import { waitFor } from '../../helpers/wait-for.ts';

interface Answer {
  readonly slot: number;
  readonly pid: number;
  readonly url: string;
  readonly bodyBytes: number;
}

async function ask(port: number, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the echo worker says so
  return (await response.json()) as Answer;
}

t.test('1,000 upgrades opened at once spread evenly', async (t) => {
  const host = await EchoHost.start(t, { workers: 4 });
  await host.ready(4);
  const sockets = await BurstSocket.open(t, host.port, 1000);
  for (const socket of sockets) socket.upgrade();
  const outcomes = await Promise.all(sockets.map((socket) => socket.outcome));
  t.equal(outcomes.filter((outcome) => outcome === 101).length, 1000);
  for (const slot of [1, 2, 3, 4]) {
    const connections = host.connectionsOf(slot);
    t.ok(connections >= 225 && connections <= 275, `slot ${slot} has ${connections}`);
  }
  for (const { socket } of sockets.slice(0, 500)) socket.resetAndDestroy();
  await waitFor('the closed ones to be counted', () => {
    return [1, 2, 3, 4].reduce((sum, slot) => sum + host.connectionsOf(slot), 0) === 500;
  });
});

t.test('requests weigh on nobody for long: clients spread as if there were none', async (t) => {
  const host = await EchoHost.start(t);
  await host.ready(2);
  const requests = await Promise.all(Array.from({ length: 20 }, () => unfinished(t, host.port)));
  t.equal(host.assigner.clients, 0, 'they are no clients');
  await Promise.all(Array.from({ length: 6 }, () => RawSocket.upgraded(t, host.port)));
  t.same(
    [1, 2].map((slot) => host.connectionsOf(slot)),
    [3, 3],
  );
  for (const request of requests) request.write('56789');
  t.same(await Promise.all(requests.map((request) => request.status())), Array(20).fill(200));
  const all = requests.map(({ text }) => text).join('');
  t.equal(all.split('"slot":1').length - 1, 10, 'they were spread as well');
});

/** A request that a worker has, and waits for the rest of. */
async function unfinished(scope: Scope, port: number): Promise<RawSocket> {
  const request = await RawSocket.open(scope, port);
  request.write('POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n01234');
  if ((await request.status()) !== 100) throw new Error('nobody waits for the rest of it');
  return request;
}

t.test('a worker killed while connections are assigned strands none', async (t) => {
  const host = await EchoHost.start(t, { workers: 3 });
  await host.ready(3);
  const victim = host.supervisor.slots()[0]?.process;
  const sockets = await BurstSocket.open(t, host.port, 600);
  sockets.forEach((socket, index) => {
    socket.upgrade();
    if (index === 300) victim?.kill();
  });
  const outcomes = await Promise.all(sockets.map((socket) => socket.outcome));
  t.ok(outcomes.every((outcome) => outcome === 101 || outcome === 'closed'));
  const upgraded = sockets.filter((_, index) => outcomes[index] === 101);
  t.ok(upgraded.length >= 400, `${upgraded.length} of 600 upgraded`);
  // Those that the victim had are closed, all others echo.
  for (const { socket } of upgraded) socket.write('hello');
  await waitFor('an echo or an end everywhere', () => {
    return upgraded.every(({ ended, received }) => ended || received.endsWith('hello'));
  });
  await host.ready(3);
  t.equal((await ask(host.port, '/')).url, '/');
});

t.test('what waits for a worker that hangs and is killed goes to others', async (t) => {
  const host = await EchoHost.start(t, { workers: 2 });
  await host.ready(2);
  const victim = host.supervisor.slots()[0]?.process;
  if (victim === undefined) throw new Error('no process in the first slot');
  process.kill(victim.pid, 'SIGSTOP');
  const sockets = await BurstSocket.open(t, host.port, 100);
  for (const socket of sockets) socket.upgrade();
  await waitFor('half of them to be assigned to the stopped one', () => host.connectionsOf(1) === 50);
  t.equal(victim.undelivered, 50);
  victim.kill();
  const outcomes = await Promise.all(sockets.map((socket) => socket.outcome));
  t.ok(outcomes.every((outcome) => outcome === 101));
});

t.test('a sid leads back to its worker', async (t) => {
  const host = await EchoHost.start(t, { workers: 3 });
  await host.ready(3);
  const sid = 'abcdefghij_123456-XY';
  const owner = await ask(host.port, `/bind?${sid}`);
  await waitFor('the sid to lead back', async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () =>
        ask(host.port, `/emulation?x=1&sid=${sid}`, { method: 'POST', body: 'x' }),
      ),
    );
    return answers.every(({ pid }) => pid === owner.pid);
  });
  // Its own name in another part of the head is no sid.
  const others = await Promise.all(
    Array.from({ length: 6 }, () => ask(host.port, '/', { headers: { cookie: `sid=${sid}` } })),
  );
  t.ok(new Set(others.map(({ pid }) => pid)).size > 1);
  await ask(host.port, `/unbind?${sid}&sid=${sid}`);
});

t.test('bodies reach the worker whole, whatever their size and cut', async (t) => {
  const host = await EchoHost.start(t);
  await host.ready(2);
  const body = Buffer.alloc(3_000_000, 'b');
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => ask(host.port, '/body', { method: 'POST', body })),
  );
  t.ok(answers.every(({ bodyBytes }) => bodyBytes === body.length));

  const socket = await RawSocket.open(t, host.port);
  const request = Buffer.from('POST /cut HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789');
  for (const byte of request) {
    socket.write(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  t.equal(await socket.status(), 200);
});

t.test('a UNIX socket serves as the port does, and leaves no file', async (t) => {
  const { tempDir } = await import('../../helpers/temp-dir.ts');
  const { existsSync, statSync } = await import('node:fs');
  const { connect } = await import('node:net');
  const host = await EchoHost.start(t);
  await host.ready(2);
  const path = `${await tempDir(t)}/gateway.sock`;
  t.equal(await host.listener.listen({ kind: 'unix', path }), `unix:${path}`);
  // Any user may connect: that takes both.
  t.equal(statSync(path).mode & 0o666, 0o666);
  const socket = connect(path);
  t.teardown(() => socket.destroy());
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
  });
  socket.write(`${handshake()}early bytes`);
  await waitFor('the echo', () => received.endsWith('early bytes'));
  t.match(received, /^HTTP\/1.1 101 /);
  host.listener.close();
  t.notOk(existsSync(path));
});

t.test('connections wait for the first worker, some in vain', async (t) => {
  const host = await EchoHost.listen(t, { assignPolicy: { maxHeld: 2 } });
  const early = await Promise.all(Array.from({ length: 3 }, () => RawSocket.open(t, host.port)));
  for (const socket of early) socket.write(handshake());
  await waitFor('the one too many', () => host.refusals.length > 0);
  host.startWorkers();
  const statuses = await Promise.all(early.map((socket) => socket.status()));
  t.equal(statuses.filter((status) => status === 101).length, 2);
  t.equal(statuses.filter((status) => status === 503).length, 1);
  t.same(host.refusals, ['no worker is ready']);
});

t.test('a worker without descriptors passes its connections on', async (t) => {
  const host = await EchoHost.start(t, { workers: 2, assignPolicy: { refusedPauseMs: 100 } });
  await host.ready(2);
  const full = await ask(host.port, '/exhaust');
  const answers = await Promise.all(Array.from({ length: 10 }, () => RawSocket.open(t, host.port)));
  for (const socket of answers) socket.write(handshake());
  for (const socket of answers) t.equal(await socket.status(), 101);
  t.ok(host.connectionsOf(full.slot) <= 2, 'the full one has none of them but those that fitted');
});
