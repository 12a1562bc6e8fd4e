import t from 'tap';
import {
  admits,
  type BreakerEvent,
  type BreakerState,
  breakerTransition,
  CLOSED_BREAKER,
} from '../../../src/hooks/webhooks/breaker-state.ts';

const policy = { threshold: 3, minOpenMs: 1_000, maxOpenMs: 3_000 };

const apply = (state: BreakerState, ...events: BreakerEvent[]): BreakerState =>
  events.reduce((before, event) => breakerTransition(before, event, policy), state);

/** As many calls in a row that find the endpoint away. */
function outages(state: BreakerState, count: number, nowMs: number): BreakerState {
  let after = state;
  for (let n = 0; n < count; n += 1) {
    after = apply(after, { type: 'outage', generation: after.generation, nowMs });
  }
  return after;
}

const attempt = (nowMs: number): BreakerEvent => ({ type: 'attempt', nowMs });

t.test('outages in a row open it, others do not', (t) => {
  const two = outages(CLOSED_BREAKER, 2, 0);
  t.equal(two.phase, 'closed');
  const again = outages(apply(two, { type: 'success', generation: two.generation }), 2, 0);
  t.equal(again.phase, 'closed', 'a success between them starts the count anew');
  t.ok(admits(again, 0));
  const open = outages(again, 1, 50);
  t.match(open, { phase: 'open', openUntilMs: 1_050 });
  t.notOk(admits(open, 1_049));
  t.ok(admits(open, 1_050));
  t.end();
});

t.test('one probe decides, and nobody else goes through meanwhile', (t) => {
  const open = outages(CLOSED_BREAKER, 3, 0);
  t.equal(apply(open, attempt(999)), open, 'too early');
  const probing = apply(open, attempt(1_000));
  t.equal(probing.phase, 'half_open');
  t.notOk(admits(probing, 99_999));
  const closed = apply(probing, { type: 'success', generation: probing.generation });
  t.match(closed, { phase: 'closed', outages: 0, openMs: 0 });
  t.ok(admits(closed, 1_001));
  t.end();
});

t.test('every failed probe doubles the time, up to the limit', (t) => {
  let state = outages(CLOSED_BREAKER, 3, 0);
  const lengths = [state.openMs];
  for (let n = 0; n < 3; n += 1) {
    const nowMs = state.openUntilMs;
    state = outages(apply(state, attempt(nowMs)), 1, nowMs);
    t.equal(state.openUntilMs, nowMs + state.openMs);
    lengths.push(state.openMs);
  }
  t.same(lengths, [1_000, 2_000, 3_000, 3_000]);
  t.end();
});

t.test('a probe that was never made leaves the next one free', (t) => {
  const probing = apply(outages(CLOSED_BREAKER, 3, 0), attempt(1_000));
  const after = apply(probing, { type: 'void', generation: probing.generation, nowMs: 1_100 });
  t.equal(after.phase, 'open');
  t.ok(admits(after, 1_100));
  t.equal(after.openMs, 1_000, 'it was no failure');
  const closed = apply(CLOSED_BREAKER, { type: 'void', generation: 0, nowMs: 5 });
  t.equal(closed, CLOSED_BREAKER);
  t.end();
});

t.test('what calls of an earlier phase bring does not count', (t) => {
  const open = outages(CLOSED_BREAKER, 3, 0);
  const probing = apply(open, attempt(1_000));
  for (const type of ['success', 'outage', 'void'] as const) {
    t.equal(
      apply(open, { type, generation: CLOSED_BREAKER.generation, nowMs: 10 }),
      open,
      `${type} while open`,
    );
    t.equal(
      apply(probing, { type, generation: CLOSED_BREAKER.generation, nowMs: 10 }),
      probing,
      `${type} while half open`,
    );
  }
  t.end();
});
