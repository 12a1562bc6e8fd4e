// The small parts of admission: how fast a host takes connections, whom it knows, and how many come from one address.
import t from 'tap';
import { AcceptRate } from '../../../src/cluster/admission/accept-rate.ts';
import { AddressLimits } from '../../../src/cluster/admission/address-limits.ts';
import { SeenLately } from '../../../src/cluster/admission/seen-lately.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

function acceptRate(): { readonly clock: FakeClock; readonly rate: AcceptRate } {
  const clock = new FakeClock();
  return { clock, rate: new AcceptRate(() => clock.monotonicMs()) };
}

t.test(
  'nothing is known before anything happened, nor from connections that found nobody waiting',
  async (t) => {
    const { clock, rate } = acceptRate();
    t.equal(rate.perSecond, undefined);
    for (let i = 0; i < 1000; i++) {
      clock.advance(1);
      rate.taken(false);
    }
    t.equal(rate.perSecond, undefined);
  },
);

t.test('estimated from how busy the workers were', async (t) => {
  const { rate } = acceptRate();
  rate.busy(1, { opened: 9, busyShare: 0.5 }, 200);
  rate.busy(1, { opened: 100, busyShare: 0.1 }, 200);
  t.equal(rate.perSecond, undefined, 'too little to say anything');
  rate.busy(1, { opened: 100, busyShare: 0.5 }, 200);
  t.equal(rate.perSecond, 1_000);
  rate.busy(2, { opened: 100, busyShare: 1 }, 200);
  t.equal(rate.perSecond, 1_500, 'of both workers');
  t.equal(rate.measured, undefined);
});

t.test('counted while others wait, which says more', async (t) => {
  const { clock, rate } = acceptRate();
  rate.busy(1, { opened: 100, busyShare: 0.5 }, 200);
  const take = (count: number, everyMs: number): void => {
    for (let i = 0; i < count; i++) {
      clock.advance(everyMs);
      rate.taken(true);
    }
  };
  take(252, 2);
  t.equal(rate.measured, rate.perSecond);
  t.equal(rate.perSecond, 500);
  take(2000, 4);
  t.ok(Math.abs((rate.perSecond ?? 0) - 250) < 5, 'follows what it is now');
});

t.test('a pause of the machine is no measurement', async (t) => {
  const { clock, rate } = acceptRate();
  rate.taken(true);
  clock.advance(60_000);
  rate.taken(true);
  t.equal(rate.perSecond, undefined);
});

t.test('who was let in is known, up to a number', async (t) => {
  const seen = new SeenLately(2);
  t.notOk(seen.has('a'));
  seen.add('a');
  seen.add('b');
  seen.add('a');
  seen.add('c');
  t.ok(seen.has('a'));
  t.notOk(seen.has('b'), 'not seen for longest');
  t.ok(seen.has('c'));
  t.equal(seen.size, 2);
  seen.add('');
  t.notOk(seen.has(''), 'who cannot be told apart');
});

t.test('each address has its own limit, and one nobody knows has none', async (t) => {
  const limits = new AddressLimits();
  const rate = { perSecond: 1, burst: 2 };
  const take = (address: string, nowMs: number): boolean => limits.take(address, rate, nowMs);
  t.same(
    [1, 2, 3].map(() => take('1.2.3.4', 0)),
    [true, true, false],
  );
  t.ok(take('1.2.3.5', 0));
  t.ok(take('1.2.3.4', 1000));
  t.same(
    ['2001:db8::1', '2001:db8::2', '2001:db8::3'].map((address) => take(address, 0)),
    [true, true, false],
    'of one network',
  );
  t.ok([1, 2, 3, 4].every(() => take('', 0)));
  t.equal(limits.size, 3);
});
