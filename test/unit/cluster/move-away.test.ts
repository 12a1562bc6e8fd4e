// All connections of a worker go to another one, or it is said why they do not.
import t from 'tap';
import type { MoveReport } from '../../../src/cluster/ipc.ts';
import { moveAway, targetFor } from '../../../src/cluster/moves/move-away.ts';
import type { MovePeer } from '../../../src/cluster/moves/move-relay.ts';
import { createLogger } from '../../../src/observe/logger.ts';

class Peer implements MovePeer {
  connected = true;
  readonly slot: number;

  constructor(slot: number) {
    this.slot = slot;
  }

  get pid(): number {
    return this.slot;
  }

  post(): void {
    // Nothing is said in these tests.
  }

  deliver(): void {
    // Nor sent.
  }
}

const REPORT: MoveReport = { number: 1, moved: 0, left: 3, ended: '', refused: false };

/** `order` is what becomes of each order, by its target. */
function scene(order: (to: MovePeer) => Partial<MoveReport>) {
  const from = new Peer(1);
  const orders: number[] = [];
  const reports: (readonly [moved: number, left: number])[] = [];
  let pauses = 0;
  const run = (target: () => MovePeer | undefined, isStopped: () => boolean = () => false): Promise<string> =>
    moveAway(
      {
        logger: createLogger({ level: 'silent', role: 'primary' }),
        pause: async () => void (pauses += 1),
        moves: {
          run: async (_from, to, onReport) => {
            orders.push(to.pid);
            const report = { ...REPORT, ...order(to) };
            onReport(report);
            return report;
          },
        },
      },
      { from, target, isStopped, onReport: (moved, left) => reports.push([moved, left]) },
    );
  return { from, orders, reports, run, pauses: () => pauses };
}

t.test('what a living target leaves is left because of its clients', async (t) => {
  const { run, orders } = scene(() => ({ moved: 5, left: 2 }));
  const to = new Peer(2);
  t.equal(await run(() => to), '');
  t.same(orders, [2]);
});

t.test('a target that dies is followed by another one, and all that moved is counted', async (t) => {
  const [first, second] = [new Peer(2), new Peer(3)];
  const { run, orders, reports } = scene((to) => {
    if (to !== first) return { moved: 3, left: 0 };
    first.connected = false;
    return { moved: 2, left: 3, ended: 'the other worker has ended' };
  });
  t.equal(await run(() => (first.connected ? first : second)), '');
  t.same(orders, [2, 3]);
  t.same(reports, [
    [2, 3],
    [5, 0],
  ]);
});

t.test('one that is replaced while another one stands in for it is tried as well', async (t) => {
  const [standIn, replaced] = [new Peer(2), new Peer(3)];
  let isBack = false;
  const { run, orders } = scene((to) => {
    isBack = true;
    return to === standIn ? { left: 3 } : { moved: 3, left: 0 };
  });
  t.equal(await run(() => (isBack ? replaced : standIn)), '');
  t.same(orders, [2, 3]);
});

t.test('targets that die again and again: it ends, with the reason', async (t) => {
  const { run, orders } = scene((to) => {
    if (to instanceof Peer) to.connected = false;
    return { ended: 'the other worker has ended' };
  });
  t.equal(await run(() => new Peer(2)), 'the other worker has ended');
  t.equal(orders.length, 5);
});

t.test('refused again and again: the same', async (t) => {
  const to = new Peer(2);
  const { run, orders } = scene(() => ({ ended: 'connections do not arrive', refused: true }));
  t.equal(await run(() => to), 'connections do not arrive');
  t.equal(orders.length, 5);
});

t.test(
  'a target is waited for, longer than a worker takes to start; then it is said that there is none',
  async (t) => {
    const slow = scene(() => ({ moved: 3, left: 0 }));
    const to = new Peer(2);
    t.equal(await slow.run(() => (slow.pauses() < 50 ? undefined : to)), '');
    t.same(slow.orders, [2]);
    const { run, orders } = scene(() => ({}));
    t.equal(await run(() => undefined), 'there is no worker that could have its connections');
    t.same(orders, []);
  },
);

t.test('nothing is ordered once it is stopped, or when the one that gives is gone', async (t) => {
  const stopped = scene(() => ({}));
  t.equal(
    await stopped.run(
      () => undefined,
      () => stopped.pauses() > 2,
    ),
    '',
  );
  t.equal(stopped.pauses(), 3);
  const gone = scene(() => {
    gone.from.connected = false;
    return { ended: 'the worker has ended' };
  });
  t.equal(await gone.run(() => new Peer(2)), '');
  t.equal(gone.orders.length, 1);
});

t.test('the one of the same number, or always the same other one', async (t) => {
  const peers = [new Peer(1), new Peer(2)];
  t.equal(targetFor(2, peers), peers[1]);
  t.equal(targetFor(4, peers), peers[0]);
  t.equal(targetFor(1, []), undefined);
  const [first] = peers;
  if (first !== undefined) first.connected = false;
  t.equal(targetFor(1, peers), peers[1]);
});
