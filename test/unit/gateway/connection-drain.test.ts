import t from 'tap';
import type { Connection } from '../../../src/connection/connection.ts';
import { ConnectionDrain } from '../../../src/gateway/connection-drain.ts';
import { deferred } from '../../helpers/deferred.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { LoneConnections, wire } from '../../helpers/lone-connection.ts';
import { waitFor } from '../../helpers/wait-for.ts';

interface Stage {
  readonly all: LoneConnections;
  readonly clock: FakeClock;
  readonly drain: ConnectionDrain;
  readonly open: () => Connection[];
  readonly progress: number[];
  readonly done: () => number;
}

function stage(count: number): Stage {
  const all = new LoneConnections();
  const clock = new FakeClock();
  const made = Array.from({ length: count }, (_, n) => (n % 2 === 0 ? all.live() : all.open()));
  const open = (): Connection[] => made.filter(({ isClosed }) => !isClosed);
  const progress: number[] = [];
  let done = 0;
  const drain = new ConnectionDrain({
    connections: {
      get size() {
        return open().length;
      },
      all: open,
    },
    nowMs: () => clock.monotonicMs(),
    onProgress: (remaining) => progress.push(remaining),
    onDone: () => {
      done += 1;
    },
  });
  return { all, clock, drain, open, progress, done: () => done };
}

t.test('clients leave evenly over the time that is given', async (t) => {
  const { clock, drain, open, progress, done } = stage(100);
  t.teardown(() => drain.close());
  drain.start(1_000);
  t.equal(open().length, 90, 'the first slice goes at once');
  clock.advance(500);
  await waitFor('the next slice', () => progress.length > 1);
  t.equal(progress[1], 72, 'a fifth of the rest when half of the time is over');
  clock.advance(10_000);
  await waitFor('the end', () => done() === 1);
  t.equal(open().length, 0);
});

t.test('who has spoken the protocol is told in its terms, others in those of WebSocket', async (t) => {
  const { all, drain } = stage(4);
  drain.start(0);
  t.strictSame(
    all.ends.map(({ connection }) => wire(connection).closedWith?.code),
    [3001, 1001, 3001, 1001],
  );
});

t.test('hurrying, and hurrying when all is over', async (t) => {
  const { drain, open, done } = stage(10);
  drain.start(3_600_000);
  t.equal(open().length, 9);
  drain.start(0);
  t.equal(open().length, 0);
  t.equal(done(), 1);
  // A timer that is left would keep the process, and so this test, from ending.
  drain.start(0);
  drain.start(5_000);
  t.equal(done(), 1);
});

t.test('nobody there is done at once', async (t) => {
  const { drain, done, progress } = stage(0);
  drain.start(1_000);
  t.equal(done(), 1);
  t.strictSame(progress, [0]);
});

t.test('as many as it is told, those first that came first, and it goes on', async (t) => {
  const { drain, open, progress, done } = stage(10);
  t.teardown(() => drain.close());
  const before = open();
  drain.closeSome(0);
  drain.closeSome(3);
  t.strictSame(open(), before.slice(3));
  t.strictSame(progress, [10, 7], 'it says how many are left, asked for none too');
  drain.closeSome(100);
  t.equal(open().length, 0);
  t.equal(done(), 0, 'the worker stays');
});

t.test('who waits for a reply is closed after all others', async (t) => {
  const { drain, open } = stage(4);
  const [first] = open();
  const reply = deferred<void>();
  first?.keepHere(reply.promise);
  drain.closeSome(3);
  t.strictSame(open(), [first]);
  drain.closeSome(1);
  t.strictSame(open(), []);
  reply.resolve();
});
