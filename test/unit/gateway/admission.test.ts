import t from 'tap';
import { Admission, type AdmissionLimits } from '../../../src/gateway/admission.ts';
import { EmulatedSessions } from '../../../src/gateway/emulated-sessions.ts';
import { OpenConnections } from '../../../src/gateway/open-connections.ts';
import { CloseCauses } from '../../../src/protocol/close-causes.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { LoneConnections } from '../../helpers/lone-connection.ts';

function admission(limits: Partial<AdmissionLimits>): {
  readonly clock: FakeClock;
  readonly state: { open: number; draining: boolean; overloaded: boolean };
  readonly admission: Admission;
} {
  const clock = new FakeClock();
  const state = { open: 0, draining: false, overloaded: false };
  return {
    clock,
    state,
    admission: new Admission(
      {
        nowMs: () => clock.monotonicMs(),
        openConnections: () => state.open,
        isDraining: () => state.draining,
        isOverloaded: () => state.overloaded,
      },
      { maxConnections: 0, connectionsPerSecond: 0, ...limits },
    ),
  };
}

t.test('without limits only a worker that leaves or has too much to do refuses', async (t) => {
  const { admission: door, state } = admission({});
  state.open = 1_000_000;
  t.equal(door.refusal(), undefined);
  t.ok(door.hasRoom);
  state.overloaded = true;
  t.equal(door.refusal(), 'overloaded');
  state.draining = true;
  t.equal(door.refusal(), 'draining');
});

t.test('the number of connections', async (t) => {
  const { admission: door, state } = admission({ maxConnections: 2 });
  state.open = 1;
  t.equal(door.refusal(), undefined);
  state.open = 2;
  t.equal(door.refusal(), 'connection_limit');
  t.notOk(door.hasRoom);
  state.open = 1;
  t.ok(door.hasRoom);
});

t.test('the rate of connections', async (t) => {
  const { admission: door, clock } = admission({ connectionsPerSecond: 3 });
  t.strictSame(
    [1, 2, 3, 4].map(() => door.refusal()),
    [undefined, undefined, undefined, 'connection_rate'],
  );
  clock.advance(334);
  t.equal(door.refusal(), undefined);
  t.equal(door.refusal(), 'connection_rate');
});

t.test(
  'connections are known from the handshake to their end, and sids as long as one has them',
  async (t) => {
    const all = new LoneConnections();
    const bound: string[] = [];
    const binding = {
      bindSid: (sid: string) => bound.push(`+${sid}`),
      unbindSid: (sid: string) => bound.push(`-${sid}`),
    };
    const open = new OpenConnections(all.shared.owner, binding, new EmulatedSessions());
    const mine = new LoneConnections({ owner: open });
    const [first, second, other] = [{ sid: 's1' }, { sid: 's1' }, {}].map((over, index) => {
      const connection = mine.open(undefined, over);
      if (index === 1) open.adopt(connection);
      else open.add(connection);
      return connection;
    });
    t.equal(open.size, 3);
    t.equal(open.opened, 2, 'one was accepted elsewhere');
    t.strictSame(open.all(), [first, second, other]);
    first?.close(CloseCauses.shutdown);
    t.strictSame(bound, ['+s1']);
    second?.onTransportClosed();
    other?.close(CloseCauses.stale);
    t.strictSame(bound, ['+s1', '-s1']);
    t.equal(open.size, 0);
    t.equal(all.ends.length, 3, 'and passed on');
  },
);
