// Who is let in when, over real sockets: the workers are a list, and time for the bucket is the test's own.
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import t from 'tap';
import { AdmissionDesk, type AdmissionSettings } from '../../../src/cluster/admission/admission-desk.ts';
import { defaultHeadLimits, HeadReader } from '../../../src/cluster/admission/head-reader.ts';
import type { Refusal } from '../../../src/cluster/admission/refusal.ts';
import type { RequestHead } from '../../../src/cluster/admission/request-head.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { portOf } from '../../helpers/port-of.ts';
import { RawSocket } from '../../helpers/raw-socket.ts';
import type { Scope } from '../../helpers/scope.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const SETTINGS: AdmissionSettings = {
  acceptRate: 2,
  queueTimeMs: 60_000,
  maxQueued: 100,
  addressRate: 0,
  addressBurst: 1,
  trustedProxies: ['127.0.0.1'],
  workers: 1,
};

class Host {
  readonly clock = new FakeClock();
  /** Names of those who were let in, in order. */
  readonly inside: string[] = [];
  readonly bytes: string[] = [];
  readonly refused: string[] = [];
  readonly waits: number[] = [];
  readonly desk: AdmissionDesk;
  onTheWay = 0;
  closedFor: Refusal | undefined;
  port = 0;

  constructor(settings: Partial<AdmissionSettings>) {
    this.desk = new AdmissionDesk(
      {
        clock: this.clock,
        random: () => 0.5,
        isNewClient: ({ target }) => !target.startsWith('/api'),
        closedFor: () => this.closedFor,
        onTheWay: () => this.onTheWay,
        letIn: (socket, head, bytes) => this.#answer(socket, head, bytes),
        passBy: (socket, head, bytes) => this.#answer(socket, head, bytes),
        onRefused: (reason) => this.refused.push(reason),
        onLetIn: (waitedMs) => this.waits.push(waitedMs),
      },
      { ...SETTINGS, ...settings },
    );
  }

  #answer(socket: Socket, { target }: RequestHead, bytes: Buffer): void {
    this.inside.push(target);
    this.bytes.push(bytes.toString());
    socket.end('HTTP/1.1 204 No Content\r\n\r\n');
  }

  static async start(scope: Scope, settings: Partial<AdmissionSettings> = {}): Promise<Host> {
    const host = new Host(settings);
    const heads = new HeadReader(
      {
        clock: host.clock,
        onHead: (socket, head, bytes) => host.desk.arrive(socket, head, bytes),
        onRefused: () => undefined,
      },
      defaultHeadLimits,
    );
    const server = createServer({ allowHalfOpen: true }, (socket) => heads.accept(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    host.port = portOf(server);
    scope.teardown(() => {
      heads.close();
      host.desk.close();
      host.desk.close();
      server.close();
    });
    return host;
  }

  get waiting(): number {
    return this.desk.waiting.returning + this.desk.waiting.new;
  }

  /** Asks to be let in, and is known as waiting, inside or refused when this resolves. */
  async arrive(scope: Scope, name: string, address = '', more = ''): Promise<RawSocket> {
    const before = this.waiting + this.inside.length + this.refused.length;
    const socket = await RawSocket.open(scope, this.port);
    const from = address === '' ? '' : `X-Forwarded-For: ${address}\r\n`;
    socket.write(`GET ${name} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n${from}\r\n${more}`);
    await waitFor(
      `${name} to be judged`,
      () => this.waiting + this.inside.length + this.refused.length > before,
    );
    return socket;
  }
}

t.test('at once as long as there are tokens and room, then by turns', async (t) => {
  const host = await Host.start(t);
  for (const name of ['/1', '/2', '/3', '/4']) await host.arrive(t, name);
  t.same(host.inside, ['/1', '/2']);
  t.same(host.desk.waiting, { returning: 2, new: 0 }, 'of an address that is known');
  host.clock.advance(500);
  await waitFor('the next', () => host.inside.length === 3);
  host.clock.advance(500);
  await waitFor('the last', () => host.inside.length === 4);
  t.same(host.inside, ['/1', '/2', '/3', '/4']);
  t.same(host.waits, [0, 0, 500, 1000]);
  t.equal(host.desk.acceptRate, 2);
});

t.test('measured: whoever comes is let in as fast as workers take them', async (t) => {
  const host = await Host.start(t, { acceptRate: 0 });
  for (let i = 0; i < 20; i++) await host.arrive(t, `/${i}`);
  t.equal(host.inside.length, 20);
  host.onTheWay = 8;
  await host.arrive(t, '/late');
  t.equal(host.waiting, 1);
  host.onTheWay = 7;
  host.desk.onRoom();
  t.equal(host.inside.at(-1), '/late');
  t.equal(host.desk.acceptRate, undefined, 'nobody had to wait for long');
});

t.test('late workers make it slower', async (t) => {
  const host = await Host.start(t, { acceptRate: 0 });
  const late = { overMs: 200, lagMs: 300, busyShare: 1, opened: 20, overloaded: false };
  for (let i = 0; i < 30; i++) host.desk.onLoad(1, late);
  // 1,000 a second and worker at least, of which a fifth may go at once.
  for (let i = 0; i < 201; i++) await host.arrive(t, `/${i}`);
  t.equal(host.inside.length, 200);
  t.equal(host.desk.acceptRate, 100, 'what a busy worker did is all that is known');
});

t.test('nobody is refused for a guess below the least pace', async (t) => {
  const host = await Host.start(t, { acceptRate: 0, queueTimeMs: 10_000, maxQueued: 1_000 });
  // A neighbour took the machine: ten a second were counted while others waited, and the worker was late.
  for (let i = 0; i < 40; i++) {
    host.clock.advance(100);
    host.desk.rate.taken(true);
  }
  const late = { overMs: 200, lagMs: 300, busyShare: 1, opened: 2, overloaded: false };
  for (let i = 0; i < 30; i++) host.desk.onLoad(1, late);
  t.equal(host.desk.acceptRate, 10);
  host.onTheWay = 8;
  // Twelve seconds at that rate, less than one at the least pace of a worker.
  for (let i = 0; i < 120; i++) await host.arrive(t, `/${i}`);
  t.same(host.refused, []);
  t.equal(host.waiting, 120);
});

t.test('those who come back go first', async (t) => {
  const host = await Host.start(t);
  await host.arrive(t, '/known', '1.1.1.1');
  await host.arrive(t, '/page?sid=aaaaaaaaaaaaaaaaaaaa', '2.2.2.2');
  await host.arrive(t, '/new', '3.3.3.3');
  await host.arrive(t, '/back', '1.1.1.1');
  await host.arrive(t, '/new-too', '2.2.2.2');
  await host.arrive(t, '/page?sid=aaaaaaaaaaaaaaaaaaaa', '4.4.4.4');
  await host.arrive(t, '/stream?cf_connect=%7B%22recover%22%3Atrue%7D', '5.5.5.5');
  t.same(host.desk.waiting, { returning: 3, new: 2 });
  host.inside.length = 0;
  for (let i = 1; i <= 4; i++) {
    host.clock.advance(500);
    await waitFor(`${i} more`, () => host.inside.length === i);
  }
  t.same(host.inside.slice(0, 3), [
    '/back',
    '/page?sid=aaaaaaaaaaaaaaaaaaaa',
    '/stream?cf_connect=%7B%22recover%22%3Atrue%7D',
  ]);
  t.match(host.inside[3], /^\/new/);
});

t.test('whoever would wait too long is told so at once, and when to come', async (t) => {
  const host = await Host.start(t, { queueTimeMs: 1_000 });
  for (const name of ['/1', '/2', '/3', '/4', '/5']) await host.arrive(t, name);
  const late = await host.arrive(t, '/6');
  t.same(host.refused, ['accept_rate']);
  const answer = await late.head();
  t.match(answer, /^HTTP\/1\.1 503 /);
  t.match(answer, /\r\nRetry-After: 3\r\n/);
});

t.test('whose turn does not come is told in the end', async (t) => {
  const host = await Host.start(t, { queueTimeMs: 100 });
  for (const name of ['/1', '/2']) await host.arrive(t, name);
  const waits = await host.arrive(t, '/3');
  t.match(await waits.head(), /^HTTP\/1\.1 503 /);
  t.equal(host.waiting, 0);
});

t.test('in a full room who comes back takes the place of one who is new', async (t) => {
  const host = await Host.start(t, { maxQueued: 1 });
  await host.arrive(t, '/known', '1.1.1.1');
  await host.arrive(t, '/other', '2.2.2.2');
  const first = await host.arrive(t, '/new', '3.3.3.3');
  await host.arrive(t, '/new-too', '4.4.4.4');
  t.same(host.desk.waiting, { returning: 0, new: 1 });
  const known = await RawSocket.open(t, host.port);
  known.write('GET /back HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n');
  t.match(await first.head(), /^HTTP\/1\.1 503 /);
  t.same(host.desk.waiting, { returning: 1, new: 0 });
  t.same(host.refused, ['accept_rate', 'accept_rate']);
});

t.test('one address has only so many', async (t) => {
  const host = await Host.start(t, { acceptRate: 0, addressRate: 1, addressBurst: 3 });
  for (let i = 0; i < 3; i++) await host.arrive(t, '/same', '1.1.1.1');
  const fourth = await host.arrive(t, '/same', '1.1.1.1');
  t.match(await fourth.head(), /^HTTP\/1\.1 429 [^]*\r\nRetry-After: 2\r\n/);
  await host.arrive(t, '/other', '2.2.2.2');
  t.same(host.inside, ['/same', '/same', '/same', '/other']);
  t.same(host.refused, ['address_rate']);
});

t.test('who gives up is forgotten, and what came meanwhile goes along', async (t) => {
  const host = await Host.start(t);
  for (const name of ['/1', '/2']) await host.arrive(t, name);
  const impatient = await host.arrive(t, '/3');
  const patient = await host.arrive(t, '/4', '', 'early');
  impatient.socket.destroy();
  await waitFor('one to be gone', () => host.waiting === 1);
  t.equal(host.desk.gaveUp, 1);
  patient.write(' and more');
  const half = await host.arrive(t, '/5');
  half.socket.end();
  await waitFor('the half-closed one to be gone', () => host.waiting === 1);
  host.clock.advance(1_000);
  await waitFor('the other', () => host.inside.length === 3);
  t.match(host.bytes.at(-1), /^GET \/4 [^]*early and more$/);
});

t.test('requests of clients that are here pass by', async (t) => {
  const host = await Host.start(t);
  host.closedFor = { status: 503, reason: 'closed' };
  const api = await RawSocket.open(t, host.port);
  api.write('POST /api/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
  await waitFor('it', () => host.inside.length === 1);
  await host.arrive(t, '/client');
  t.same(host.refused, ['closed']);
});

t.test('all who wait are told when the host leaves', async (t) => {
  const host = await Host.start(t);
  const sockets: RawSocket[] = [];
  for (const name of ['/1', '/2', '/3', '/4']) sockets.push(await host.arrive(t, name));
  host.desk.dismiss();
  t.equal(host.waiting, 2, 'not without a reason');
  host.closedFor = { status: 503, reason: 'leaving', retryAfterS: 2 };
  host.desk.dismiss();
  t.same(host.refused, ['leaving', 'leaving']);
  t.match(await sockets[3]?.head(), /Retry-After: 2/);
});

t.test('another configuration counts from then on', async (t) => {
  const host = await Host.start(t);
  for (const name of ['/1', '/2', '/3']) await host.arrive(t, name);
  host.desk.configure({ ...SETTINGS, acceptRate: 100 });
  await waitFor('the one who waited', () => host.inside.length === 3);
  for (let i = 0; i < 50; i++) await host.arrive(t, `/more${i}`);
  t.equal(host.waiting, 0);
});
