import t from 'tap';
import { DeadlineWheel, type Timed } from '../../../src/util/deadline-wheel.ts';
import { FakeClock, passTime } from '../../helpers/fake-clock.ts';
import { waitFor } from '../../helpers/wait-for.ts';

class Alarm implements Timed {
  deadlineMs = Infinity;
  wheelSlot = -1;
  readonly firedMs: number[] = [];
  readonly #then: (nowMs: number) => void;

  constructor(then: (nowMs: number) => void = () => undefined) {
    this.#then = then;
  }

  onDeadline(nowMs: number): void {
    this.firedMs.push(nowMs);
    this.#then(nowMs);
  }
}

function setUp(onStall?: (stalledMs: number) => void): {
  clock: FakeClock;
  wheel: DeadlineWheel;
  pass: (ms: number) => void;
} {
  const clock = new FakeClock(0);
  const wheel = new DeadlineWheel({ clock, ...(onStall && { onStall }) });
  return { clock, wheel, pass: (ms) => passTime(clock, wheel, ms) };
}

t.test('a deadline is met once, never early, at most one tick late', async (t) => {
  const { wheel, pass } = setUp();
  for (const atMs of [1, 99, 100, 101, 250, 1_000, 51_099, 51_100, 51_200, 51_300, 200_000]) {
    const alarm = new Alarm();
    const from = wheel.nowMs;
    wheel.schedule(alarm, from + atMs);
    pass(Math.floor((atMs - 1) / 100) * 100);
    t.strictSame(alarm.firedMs, [], `${atMs}: not early`);
    pass(100);
    t.equal(alarm.firedMs.length, 1, `${atMs}: in its tick`);
    pass(60_000);
    t.equal(alarm.firedMs.length, 1, `${atMs}: once`);
    t.equal(alarm.wheelSlot, -1, `${atMs}: out of the wheel`);
  }
});

t.test('random deadlines come in order of their ticks', async (t) => {
  const { wheel, pass } = setUp();
  const order: number[] = [];
  const due: number[] = [];
  let seed = 7;
  for (let n = 0; n < 2_000; n += 1) {
    seed = (seed * 48_271) % 2_147_483_647;
    const atMs = seed % 150_000;
    due.push(atMs);
    wheel.schedule(new Alarm(() => order.push(atMs)), atMs);
  }
  pass(151_000);
  t.equal(order.length, due.length);
  const ticks = order.map((atMs) => Math.ceil(atMs / 100));
  t.strictSame(
    ticks,
    ticks.toSorted((a, b) => a - b),
  );
});

t.test('a deadline may be moved, lie in the past, or never come', async (t) => {
  const { wheel, pass } = setUp();
  const moved = new Alarm();
  wheel.schedule(moved, 500);
  wheel.schedule(moved, 2_000);
  const past = new Alarm();
  wheel.schedule(past, -10_000);
  const never = new Alarm();
  wheel.schedule(never, 300);
  wheel.schedule(never, Infinity);
  t.equal(never.wheelSlot, -1);
  pass(100);
  t.equal(past.firedMs.length, 1, 'what has passed is due at the next tick');
  pass(1_800);
  t.strictSame(moved.firedMs, []);
  pass(100);
  t.equal(moved.firedMs.length, 1);
  pass(120_000);
  t.strictSame(never.firedMs, []);
});

t.test('deadlines are laid anew from within a callback', async (t) => {
  const { wheel, pass } = setUp();
  const periodic: Alarm = new Alarm((nowMs) => wheel.schedule(periodic, nowMs + 1_000));
  wheel.schedule(periodic, 1_000);
  pass(10_000);
  t.strictSame(
    periodic.firedMs,
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((n) => n * 1_000),
  );

  const hasty: Alarm = new Alarm((nowMs) => {
    if (hasty.firedMs.length < 3) wheel.schedule(hasty, nowMs - 5);
  });
  wheel.schedule(hasty, wheel.nowMs + 100);
  pass(1_000);
  t.equal(
    hasty.firedMs.length,
    3,
    'a past deadline from within waits for the next tick, and the wheel goes on',
  );
});

t.test('one callback moves or takes away the others of its tick', async (t) => {
  const { wheel, pass } = setUp();
  const taken = new Alarm();
  const later = new Alarm();
  const first = new Alarm(() => {
    wheel.schedule(taken, Infinity);
    wheel.schedule(later, 3_000);
  });
  wheel.schedule(first, 1_000);
  wheel.schedule(taken, 1_000);
  wheel.schedule(later, 1_000);
  pass(2_900);
  t.equal(first.firedMs.length, 1);
  t.strictSame(taken.firedMs, []);
  t.strictSame(later.firedMs, []);
  pass(200);
  t.strictSame(later.firedMs, [3_000]);
  pass(60_000);
  t.strictSame(taken.firedMs, []);
  t.equal(later.firedMs.length, 1);
});

t.test('time in which the process was stalled is charged to nobody', async (t) => {
  const stalls: number[] = [];
  const { clock, wheel, pass } = setUp((ms) => stalls.push(ms));
  const alarm = new Alarm();
  wheel.schedule(alarm, 8_000);
  pass(1_000);
  clock.advance(60_000);
  wheel.advance();
  t.strictSame(stalls, [60_000]);
  t.equal(wheel.nowMs, 2_000, 'one second of it counts');
  t.strictSame(alarm.firedMs, [], 'who had seven seconds left still has most of them');
  pass(5_900);
  t.strictSame(alarm.firedMs, []);
  pass(100);
  t.equal(alarm.firedMs.length, 1);
  t.strictSame(stalls, [60_000]);
});

t.test('several ticks at once are no stall, and none is skipped', async (t) => {
  const { clock, wheel } = setUp();
  const alarms = [100, 200, 300, 400, 500].map((atMs) => {
    const alarm = new Alarm();
    wheel.schedule(alarm, atMs);
    return alarm;
  });
  clock.advance(450);
  wheel.advance();
  t.strictSame(
    alarms.map(({ firedMs }) => firedMs.length),
    [1, 1, 1, 1, 0],
  );
});

t.test('it turns by itself once started, and stops when closed', async (t) => {
  const clock = new FakeClock(0);
  const wheel = new DeadlineWheel({ clock });
  const alarm = new Alarm();
  wheel.schedule(alarm, 100);
  wheel.start();
  wheel.start();
  clock.advance(100);
  await waitFor('the deadline', () => alarm.firedMs.length === 1);
  t.equal(alarm.wheelSlot, -1);
  wheel.close();
  wheel.close();
});
