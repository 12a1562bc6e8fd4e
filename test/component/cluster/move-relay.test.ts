// Connections between two workers that end, or decline: each has one owner, or is closed.
import { connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import type { ToWorker } from '../../../src/cluster/ipc.ts';
import { type MovePeer, MoveRelay } from '../../../src/cluster/moves/move-relay.ts';
import type { Parcel } from '../../../src/cluster/worker-process.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { freeze } from '../../../src/util/native-handle.ts';
import { portOf } from '../../helpers/port-of.ts';
import type { Scope } from '../../helpers/scope.ts';
import { waitFor } from '../../helpers/wait-for.ts';

class Peer implements MovePeer {
  connected = true;
  readonly pid: number;
  readonly posted: ToWorker[] = [];
  readonly parcels: Parcel[] = [];

  constructor(pid: number) {
    this.pid = pid;
  }

  post(message: ToWorker): void {
    this.posted.push(message);
  }

  deliver(parcel: Parcel): void {
    this.parcels.push(parcel);
  }

  get kinds(): readonly string[] {
    return this.posted.map(({ type }) => type);
  }
}

async function begin(scope: Scope, others: readonly Peer[] = []) {
  const [from, to] = [new Peer(1), new Peer(2)];
  const arrivals: MovePeer[] = [];
  const relay = new MoveRelay({
    logger: createLogger({ level: 'silent', role: 'primary' }),
    onArrived: (at) => arrivals.push(at),
    otherWorker: (than) => others.find((worker) => worker.connected && !than.includes(worker)),
  });
  for (const peer of [from, to, ...others]) relay.forked(peer);
  const server = createServer();
  scope.teardown(() => {
    relay.close();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const client = connect(portOf(server), '127.0.0.1');
  scope.teardown(() => client.destroy());
  const socket = await accepted;
  const handle = freeze(socket);
  if (handle === undefined) throw new Error('closed already');
  const park = (): void => relay.message(from, { type: 'park', id: 7 }, handle);
  const moveOut = (): void =>
    relay.message(from, { type: 'move-out', to: 2, id: 8, parked: 7, payload: new Uint8Array(1) });
  return { relay, from, to, arrivals, handle, park, moveOut };
}

t.test('one that was parked goes to the worker that is to have it', async (t) => {
  const { relay, from, to, arrivals, handle, park, moveOut } = await begin(t);
  park();
  t.same(from.posted, [{ type: 'parked', id: 7 }]);
  relay.message(from, { type: 'move-query', id: 7 });
  t.same(from.kinds, ['parked'], 'nobody needs to be told where it is');
  moveOut();
  t.equal(to.parcels[0]?.handle(), handle);
  relay.message(to, { type: 'arrived', from: 1, id: 8, node: 'n' });
  t.same(arrivals, [to]);
  t.equal(handle.fd, -1, 'this copy is closed');
  t.equal(relay.size, 0);
  await waitFor('the news', () => from.kinds.at(-1) === 'moved');
  t.same(from.posted.at(-1), { type: 'moved', moves: [{ id: 8, node: 'n' }] });
});

t.test('whoever asks for one that has arrived is told so first', async (t) => {
  const { relay, from, to, park, moveOut } = await begin(t);
  park();
  moveOut();
  relay.message(to, { type: 'arrived', from: 1, id: 8, node: 'n' });
  relay.message(from, { type: 'move-query', id: 8 });
  t.same(from.kinds, ['parked', 'moved', 'not-moved']);
});

t.test('it cannot go back: a third worker takes it', async (t) => {
  const third = new Peer(3);
  const { relay, from, to, handle, park, moveOut } = await begin(t, [third]);
  park();
  moveOut();
  relay.gone(to);
  t.equal(third.parcels[0]?.handle(), handle);
  t.same(from.kinds, ['parked', 'peer-gone']);
  relay.message(third, { type: 'arrived', from: 1, id: 8, node: 'n' });
  await waitFor('the news', () => from.kinds.at(-1) === 'moved');
});

t.test('all refuse it: each is asked once, then it is closed', async (t) => {
  const others = [new Peer(3), new Peer(4)];
  const { relay, from, to, handle, park, moveOut } = await begin(t, others);
  park();
  moveOut();
  for (const peer of [to, ...others]) {
    t.equal(peer.parcels.length, 1);
    relay.message(peer, { type: 'declined', from: 1, id: 8, reason: 'no' });
  }
  t.same(
    [to, ...others].map(({ parcels }) => parcels.length),
    [1, 1, 1],
  );
  t.equal(from.kinds.at(-1), 'not-moved');
  t.equal(handle.fd, -1);
  t.equal(relay.size, 0);
});

t.test('also when the other one has ended before', async (t) => {
  const third = new Peer(3);
  const { relay, to, handle, park, moveOut } = await begin(t, [third]);
  park();
  to.connected = false;
  relay.gone(to);
  moveOut();
  t.equal(third.parcels[0]?.handle(), handle);
});

t.test('when nobody can have it, it is closed, and its sender hears that', async (t) => {
  for (const ends of ['before', 'meanwhile', 'declines'] as const) {
    const { relay, from, to, handle, park, moveOut } = await begin(t);
    park();
    if (ends === 'before') to.connected = false;
    moveOut();
    if (ends === 'meanwhile') relay.gone(to);
    if (ends === 'declines') relay.message(to, { type: 'declined', from: 1, id: 8, reason: 'no' });
    t.ok(
      from.posted.some((message) => message.type === 'not-moved' && message.id === 8),
      ends,
    );
    t.equal(handle.fd, -1);
    t.equal(relay.size, 0);
  }
});

t.test('one that stays after all, or whose worker ends, is not kept', async (t) => {
  for (const why of ['unpark', 'gone'] as const) {
    const { relay, from, handle, park } = await begin(t);
    park();
    if (why === 'unpark') relay.message(from, { type: 'unpark', id: 7 });
    else relay.gone(from);
    t.equal(handle.fd, -1, why);
    t.equal(relay.size, 0);
  }
});

t.test('what did not come along is not waited for', async (t) => {
  const { relay, from } = await begin(t);
  relay.message(from, { type: 'park', id: 9 }, undefined);
  t.match(from.posted, [{ type: 'not-moved', id: 9 }]);
  relay.message(from, { type: 'move-out', to: 2, id: 10, parked: 9, payload: new Uint8Array(1) });
  t.match(from.posted.at(-1), { type: 'not-moved', id: 10 });
});

t.test('a worker of another primary ends: what is on its way there is that one’s to decline', async (t) => {
  const third = new Peer(3);
  const { relay, from, to, handle } = await begin(t, [third]);
  relay.message(from, { type: 'move-out', to: 2, id: 8, parked: 0, payload: new Uint8Array(1) }, handle);
  relay.left(to);
  t.same(from.kinds, ['peer-gone']);
  t.same(third.kinds, ['peer-gone']);
  t.ok(handle.fd >= 0, 'it waits in a channel that others use as well');
  t.equal(to.parcels[0]?.handle(), handle);
  relay.declinedBeyond({ from: 1, id: 8 }, 'it is not there');
  t.match(from.posted.at(-1), { type: 'not-moved', id: 8 });
  t.equal(handle.fd, -1);
  t.equal(to.parcels[0]?.handle(), undefined, 'and is not sent any more');
  t.equal(relay.size, 0);
});
