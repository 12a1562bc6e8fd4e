import t from 'tap';
import { VerificationGate } from '../../../src/auth/verification-gate.ts';
import { UnavailableError } from '../../../src/util/errors.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import type { Scope } from '../../helpers/scope.ts';
import { waitFor } from '../../helpers/wait-for.ts';

function setUp(scope: Scope, perSecond: number) {
  const clock = new FakeClock();
  const passed: string[] = [];
  const gate = new VerificationGate(
    { nowMs: () => clock.monotonicMs(), onPassed: (how) => passed.push(how) },
    { perSecond },
  );
  scope.teardown(() => gate.close());
  return { clock, gate, passed };
}

t.test('as many at once as a second brings, then by turns: those who come back first', async (t) => {
  const { clock, gate, passed } = setUp(t, 2);
  await gate.enter(false);
  await gate.enter(false);
  const order: string[] = [];
  const enter = (name: string, returning: boolean): Promise<unknown> =>
    gate.enter(returning).then(() => order.push(name));
  const all = [enter('new 1', false), enter('back 1', true), enter('new 2', false), enter('back 2', true)];
  t.equal(gate.waiting, 4);
  clock.advance(500);
  await waitFor('the first', () => order.length === 1);
  clock.advance(1_000);
  await waitFor('two more', () => order.length === 3);
  t.equal(gate.waiting, 1);
  clock.advance(1_000);
  await Promise.all(all);
  t.same(order, ['back 1', 'back 2', 'new 1', 'new 2']);
  t.same(passed, ['at_once', 'at_once', 'waited', 'waited', 'waited', 'waited']);
});

t.test('whose turn does not come is told to try again', async (t) => {
  const { gate, passed } = setUp(t, 1);
  await gate.enter(false);
  await t.rejects(gate.enter(true), UnavailableError);
  t.same(passed, ['at_once', 'refused']);
  t.equal(gate.waiting, 0);
});

t.test('at the end nobody waits any more', async (t) => {
  const { gate } = setUp(t, 1);
  await gate.enter(false);
  const waiting = gate.enter(false);
  gate.close();
  gate.close();
  await t.rejects(waiting, UnavailableError);
});

t.test('measured: no limit until the event loop is late', async (t) => {
  const { clock, gate, passed } = setUp(t, 0);
  const enter = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await gate.enter(false);
  };
  await enter(5_000);
  gate.adapt({ lagMs: 200, overMs: 5_000 });
  await enter(1_000);
  t.ok(passed.every((how) => how === 'at_once'));
  gate.adapt({ lagMs: 200, overMs: 1_000 });
  // 750 a second now, of which a tenth may begin at once.
  const waiting = Promise.all(Array.from({ length: 200 }, () => gate.enter(false)));
  t.equal(gate.waiting, 125);
  clock.advance(1_000);
  await waitFor('a tenth of a second', () => gate.waiting === 50);
  clock.advance(1_000);
  await waiting;
});
