// What an engine does not answer in time is given up; an engine that works, and a process that stood still, are not blamed.
import t from 'tap';
import { Overdue, type Waiting } from '../../../src/engine/overdue.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { waitFor } from '../../helpers/wait-for.ts';

/** Time passes by hand between two checks, which come by themselves. */
function setUp(t: { teardown(undo: () => unknown): unknown }) {
  const clock = new FakeClock(0);
  const waiting = new Set<Waiting>();
  const given: number[] = [];
  let looks = 0;
  const overdue = new Overdue<Waiting>({
    clock,
    waiting: () => {
      looks += 1;
      return waiting;
    },
    giveUp: (item) => {
      waiting.delete(item);
      given.push(item.sinceMs);
    },
  });
  t.teardown(() => overdue.stop());
  /** The next check sees that so much time has passed. */
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    const seen = looks;
    await waitFor('a check', () => looks > seen || waiting.size === 0);
  };
  const add = (): void => {
    waiting.add({ sinceMs: clock.monotonicMs() });
    overdue.watch();
  };
  return { clock, waiting, given, overdue, pass, add };
}

t.test('silence is too long after 750 ms', async (t) => {
  const { given, pass, add } = setUp(t);
  add();
  for (const _ of [1, 2, 3]) await pass(200);
  t.same(given, []);
  add();
  await pass(200);
  await waitFor('the older one to be given up', () => given.length === 1);
  t.same(given, [0], 'and not the younger one');
});

t.test('an engine that says something is not silent, for five seconds', async (t) => {
  const { given, pass, add, overdue } = setUp(t);
  add();
  for (let passedMs = 0; passedMs < 4900; passedMs += 350) {
    await pass(350);
    overdue.heard();
    t.same(given, []);
  }
  await pass(350);
  await waitFor('it to be given up', () => given.length === 1);
});

t.test('a process that stood still has heard nothing because it did not listen', async (t) => {
  const { given, pass, add } = setUp(t);
  add();
  await pass(3000);
  t.same(given, []);
  for (const _ of [1, 2, 3, 4]) await pass(200);
  await waitFor('it to be given up', () => given.length === 1);
});

t.test('stopped, it looks at nothing', async (t) => {
  const { given, overdue, add, clock } = setUp(t);
  add();
  overdue.stop();
  clock.advance(10_000);
  await new Promise((resolve) => setImmediate(resolve));
  t.same(given, []);
});

t.test('an engine that asked for a pause may be silent, for five seconds', async (t) => {
  const { given, pass, add, overdue } = setUp(t);
  overdue.hold(true);
  add();
  for (let passedMs = 0; passedMs < 4900; passedMs += 350) {
    await pass(350);
    t.same(given, []);
  }
  await pass(350);
  await waitFor('it to be given up', () => given.length === 1);
  overdue.hold(false);
  add();
  for (const _ of [1, 2, 3, 4]) await pass(200);
  await waitFor('the next one to be given up after silence', () => given.length === 2);
});
