// Calls that Redis leaves without an answer are given up in their order, all that wait at once.
import t from 'tap';
import { PendingCalls } from '../../../../src/engine/redis/pending-calls.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { waitFor } from '../../../helpers/wait-for.ts';

t.test('what waits behind a call that is given up is given up with it', async (t) => {
  const clock = new FakeClock(0);
  const calls = new PendingCalls(clock);
  t.teardown(() => calls.close());
  const failed: number[] = [];
  const add = (id: number) => calls.add(10, () => failed.push(id));
  const first = add(1);
  // Time passes between the checks, which come by themselves: more at once would be a pause of this process.
  let passed = 0;
  const passing = setInterval(() => {
    if (failed.length > 0) return;
    clock.advance(20);
    passed += 1;
    if (passed % 10 === 0) add(1 + passed / 10);
  }, 20);
  t.teardown(() => clearInterval(passing));
  await waitFor('the first to be given up', () => failed.length > 0);
  t.ok(failed.length >= 3, `${failed.length} waited`);
  t.same(
    failed,
    failed.map((_, at) => at + 1),
  );
  t.equal(calls.size, 0);
  t.equal(calls.failed, failed.length);
  t.ok(calls.stalled);
  t.equal(calls.bytes, 10 * failed.length, 'they still wait to be sent');
  calls.settled(first);
  t.notOk(calls.stalled);
});
