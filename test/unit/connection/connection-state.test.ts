import t from 'tap';
import {
  type ConnectionEffect,
  type ConnectionEvent,
  type ConnectionPhase,
  type ConnectionState,
  nextDeadlineMs,
  openedState,
  transition,
} from '../../../src/connection/connection-state.ts';
import { CloseCauses } from '../../../src/protocol/close-causes.ts';
import { COMMAND_MEMBERS } from '../../../src/protocol/commands.ts';

const TIMING = { pingIntervalMs: 25_000, pongTimeoutMs: 8_000 };
const PHASES = ['opened', 'connecting', 'live', 'refused', 'closed'] as const;
const NEVER = {
  staleAtMs: Infinity,
  pingAtMs: Infinity,
  pongByMs: Infinity,
  expireAtMs: Infinity,
  subscriptionAtMs: Infinity,
  readAtMs: Infinity,
  isPaused: false,
};

/** A state as this phase is reached in practice: stale is watched until the client is live. */
function inPhase(phase: ConnectionPhase, over: Partial<ConnectionState> = {}): ConnectionState {
  const deadlines =
    phase === 'live'
      ? { ...NEVER, pingAtMs: 5_000 }
      : phase === 'closed'
        ? NEVER
        : { ...NEVER, staleAtMs: 10_000 };
  return { phase, ...deadlines, ...over };
}

const run: ConnectionEffect[] = [{ type: 'run' }];
const bad: ConnectionEffect[] = [{ type: 'close', cause: CloseCauses.badRequest }];
const none: ConnectionEffect[] = [];

type Expectation = readonly [phase: ConnectionPhase, effects: ConnectionEffect[]];
type Row = readonly [name: string, event: ConnectionEvent, ...expected: Expectation[]];

const close: ConnectionEffect[] = [{ type: 'close', cause: CloseCauses.shutdown }];
const release: ConnectionEffect[] = [{ type: 'release', cause: CloseCauses.connectionClosed }];
const accepted: ConnectionEvent = { type: 'accepted', nowMs: 0, expireAtMs: Infinity, jitter: 0 };
const unchanged: Expectation[] = PHASES.map((phase) => [phase, none]);
const otherCommand: Expectation[] = [
  ['closed', bad],
  ['closed', bad],
  ['live', run],
  ['closed', bad],
  ['closed', none],
];

// One column a phase, in the order of PHASES.
const TABLE: Row[] = [
  [
    'command connect',
    { type: 'command', kind: 'connect' },
    ['connecting', run],
    ['closed', bad],
    ['closed', bad],
    ['closed', bad],
    ['closed', none],
  ],
  ...COMMAND_MEMBERS.filter((kind) => kind !== 'connect').map((kind): Row => [
    `command ${kind}`,
    { type: 'command', kind },
    ...otherCommand,
  ]),
  [
    'command pong, unasked',
    { type: 'command', kind: 'pong' },
    ['closed', bad],
    ['closed', bad],
    ['closed', bad],
    ['closed', bad],
    ['closed', none],
  ],
  [
    'accepted',
    accepted,
    ['opened', none],
    ['live', none],
    ['live', none],
    ['refused', none],
    ['closed', none],
  ],
  [
    'refused',
    { type: 'refused' },
    ['opened', none],
    ['refused', none],
    ['live', none],
    ['refused', none],
    ['closed', none],
  ],
  ['expiry', { type: 'expiry', atMs: 7 }, ...unchanged],
  ['subscription deadline', { type: 'subscription_deadline', atMs: 7 }, ...unchanged],
  ['throttled', { type: 'throttled', untilMs: 7 }, ...unchanged],
  ['ping skipped', { type: 'ping_skipped' }, ...unchanged],
  ['deadline, nothing due', { type: 'deadline', nowMs: 1 }, ...unchanged],
  [
    'deadline, all due',
    { type: 'deadline', nowMs: 100_000 },
    ['closed', [{ type: 'close', cause: CloseCauses.stale }]],
    ['closed', [{ type: 'close', cause: CloseCauses.stale }]],
    ['live', [{ type: 'send_ping' }]],
    ['closed', [{ type: 'close', cause: CloseCauses.stale }]],
    ['closed', none],
  ],
  [
    'close',
    { type: 'close', cause: CloseCauses.shutdown },
    ['closed', close],
    ['closed', close],
    ['closed', close],
    ['closed', close],
    ['closed', none],
  ],
  [
    'transport closed',
    { type: 'transport_closed', cause: CloseCauses.connectionClosed },
    ['closed', release],
    ['closed', release],
    ['closed', release],
    ['closed', release],
    ['closed', none],
  ],
];

t.test('every phase and every event', async (t) => {
  for (const [name, event, ...expected] of TABLE) {
    t.equal(expected.length, PHASES.length, `${name} says something of every phase`);
    for (const [index, phase] of PHASES.entries()) {
      const before = inPhase(phase);
      const frozen = structuredClone(before);
      const [after, effects] = transition(before, event, TIMING);
      const [nextPhase, nextEffects] = expected[index] ?? [];
      t.equal(after.phase, nextPhase, `${name} in ${phase}: phase`);
      t.strictSame(effects, nextEffects, `${name} in ${phase}: effects`);
      t.strictSame(before, frozen, `${name} in ${phase}: the old state is left alone`);
      if (after.phase === 'closed')
        t.equal(nextDeadlineMs(after), Infinity, `${name} in ${phase}: no deadline is left`);
    }
  }
});

t.test('a state that did not change is the same object, so that no deadline is laid anew', async (t) => {
  const live = inPhase('live', { subscriptionAtMs: 9 });
  t.equal(transition(live, { type: 'command', kind: 'publish' }, TIMING)[0], live);
  t.equal(transition(live, { type: 'subscription_deadline', atMs: 9 }, TIMING)[0], live);
  const closed = inPhase('closed');
  t.equal(transition(closed, { type: 'expiry', atMs: 1 }, TIMING)[0], closed);
});

t.test('a fresh connection only waits for its client to speak', async (t) => {
  const state = openedState(10_000);
  t.equal(nextDeadlineMs(state), 10_000);
  t.equal(transition(state, { type: 'deadline', nowMs: 9_999 }, TIMING)[0].phase, 'opened');
  t.equal(transition(state, { type: 'deadline', nowMs: 10_000 }, TIMING)[0].phase, 'closed');
});

t.test('accepted: the first ping comes between half an interval and a whole one', async (t) => {
  for (const [jitter, pingAtMs] of [
    [0, 13_500],
    [0.5, 19_750],
    [1, 26_000],
  ] as const) {
    const event: ConnectionEvent = { type: 'accepted', nowMs: 1_000, expireAtMs: 77_000, jitter };
    const [state] = transition(inPhase('connecting'), event, TIMING);
    t.strictSame(state, { ...NEVER, phase: 'live', pingAtMs, expireAtMs: 77_000 });
  }
  const silent = { pingIntervalMs: 0, pongTimeoutMs: 0 };
  t.equal(transition(inPhase('connecting'), accepted, silent)[0].pingAtMs, Infinity, 'no pings at all');
});

t.test('ping and pong', async (t) => {
  const live = inPhase('live');
  const [pinged, effects] = transition(live, { type: 'deadline', nowMs: 5_000 }, TIMING);
  t.strictSame(effects, [{ type: 'send_ping' }]);
  t.equal(pinged.pingAtMs, 30_000);
  t.equal(pinged.pongByMs, 13_000);

  const [answered, nothing] = transition(pinged, { type: 'command', kind: 'pong' }, TIMING);
  t.strictSame(nothing, [], 'a pong is not carried out');
  t.equal(answered.pongByMs, Infinity);
  t.strictSame(transition(answered, { type: 'command', kind: 'pong' }, TIMING)[1], bad, 'one pong a ping');

  t.equal(transition(pinged, { type: 'deadline', nowMs: 12_999 }, TIMING)[0].phase, 'live');
  const [, late] = transition(pinged, { type: 'deadline', nowMs: 13_000 }, TIMING);
  t.strictSame(late, [{ type: 'close', cause: CloseCauses.noPong }]);

  t.equal(transition(pinged, { type: 'ping_skipped' }, TIMING)[0].pongByMs, Infinity);
  const unawaited = { pingIntervalMs: 25_000, pongTimeoutMs: 0 };
  t.equal(transition(live, { type: 'deadline', nowMs: 5_000 }, unawaited)[0].pongByMs, Infinity);
});

t.test('a peer that is not read for a while owes no pong meanwhile', async (t) => {
  const live = inPhase('live');
  const [pinged] = transition(live, { type: 'deadline', nowMs: 5_000 }, TIMING);
  const [throttled] = transition(pinged, { type: 'throttled', untilMs: 20_000 }, TIMING);
  t.equal(throttled.readAtMs, 20_000);
  t.equal(throttled.pongByMs, 28_000);
  t.equal(nextDeadlineMs(throttled), 20_000);
  const [read, effects] = transition(throttled, { type: 'deadline', nowMs: 20_000 }, TIMING);
  t.strictSame(effects, [{ type: 'read_again' }]);
  t.equal(read.readAtMs, Infinity);
  t.equal(read.pongByMs, 28_000);

  const [first] = transition(live, { type: 'throttled', untilMs: 20_000 }, TIMING);
  t.equal(first.pongByMs, Infinity, 'no pong is owed without a ping');
  const [then] = transition(first, { type: 'deadline', nowMs: 5_000 }, TIMING);
  t.equal(then.pongByMs, 28_000, 'a ping that is sent meanwhile');
  const [short] = transition(pinged, { type: 'throttled', untilMs: 5_001 }, TIMING);
  t.equal(short.pongByMs, 13_001);
});

t.test('deadlines that fall together are all met, once', async (t) => {
  const state = inPhase('live', { pingAtMs: 10, expireAtMs: 20, subscriptionAtMs: 30 });
  const [after, effects] = transition(state, { type: 'deadline', nowMs: 30 }, TIMING);
  t.strictSame(effects, [{ type: 'send_ping' }, { type: 'expire' }, { type: 'check_subscriptions' }]);
  t.equal(after.expireAtMs, Infinity);
  t.equal(after.subscriptionAtMs, Infinity);
  t.strictSame(transition(after, { type: 'deadline', nowMs: 31 }, TIMING)[1], []);
});

t.test('expiry and subscription deadlines are laid anew', async (t) => {
  const [expiring] = transition(inPhase('live'), { type: 'expiry', atMs: 44 }, TIMING);
  t.equal(expiring.expireAtMs, 44);
  const [both] = transition(expiring, { type: 'subscription_deadline', atMs: 33 }, TIMING);
  t.equal(nextDeadlineMs(both), 33);
});

t.test('while the peer is not read, an unread pong is not held against it', async (t) => {
  const waiting = inPhase('live', { pongByMs: 8_000 });
  const [paused] = transition(waiting, { type: 'paused', isPaused: true, nowMs: 1_000 }, TIMING);
  const [later, effects] = transition(paused, { type: 'deadline', nowMs: 60_000 }, TIMING);
  t.equal(later.phase, 'live');
  t.same(
    effects.filter(({ type }) => type === 'send_ping'),
    [],
    'a second ping would make a second pong',
  );
  const [resumed] = transition(later, { type: 'paused', isPaused: false, nowMs: 61_000 }, TIMING);
  t.equal(resumed.pongByMs, 61_000 + TIMING.pongTimeoutMs, 'from now on it has the whole time');
  const [closed, last] = transition(resumed, { type: 'deadline', nowMs: resumed.pongByMs }, TIMING);
  t.equal(closed.phase, 'closed');
  t.same(last, [{ type: 'close', cause: CloseCauses.noPong }]);
});
