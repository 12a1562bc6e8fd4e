// Every state of the drain with every event, and the time it promises.
import t from 'tap';
import {
  type DrainEffect,
  type DrainEvent,
  type DrainState,
  drainTransition,
  planDrain,
} from '../../../src/cluster/drain-state.ts';

const policy = { timeoutMs: 30_000, hurryMs: 3000 };
const NOW = 50_000;

const states = {
  serving: { name: 'serving' },
  draining: { name: 'draining', sinceMs: 40_000, deadlineMs: 70_000 },
  hurrying: { name: 'hurrying', sinceMs: 40_000, deadlineMs: 70_000 },
  ended: { name: 'ended', tookMs: 1 },
} as const satisfies Record<DrainState['name'], DrainState>;

const ended: readonly [DrainState, readonly DrainEffect[]] = [
  { name: 'ended', tookMs: 10_000 },
  [{ type: 'finish', tookMs: 10_000 }],
];

const table: Record<
  DrainState['name'],
  Record<DrainEvent['type'], readonly [DrainState, readonly DrainEffect[]] | undefined>
> = {
  serving: {
    ask: [
      { name: 'draining', sinceMs: NOW, deadlineMs: NOW + 30_000 },
      [{ type: 'refuse-new' }, { type: 'leave', drainMs: 26_000, killAfterMs: 29_000 }],
    ],
    empty: undefined,
  },
  draining: {
    ask: [
      { name: 'hurrying', sinceMs: 40_000, deadlineMs: 70_000 },
      [{ type: 'leave', drainMs: 0, killAfterMs: 2700 }],
    ],
    empty: ended,
  },
  hurrying: {
    ask: [states.hurrying, [{ type: 'leave', drainMs: 0, killAfterMs: 0 }]],
    empty: ended,
  },
  ended: { ask: undefined, empty: undefined },
};

for (const state of Object.values(states)) {
  for (const type of ['ask', 'empty'] as const) {
    t.test(`${state.name} × ${type}`, async (t) => {
      t.strictSame(
        drainTransition(state, { type, nowMs: NOW }, policy),
        table[state.name][type] ?? [state, []],
      );
    });
  }
}

t.test('a hurry does not outlast the time-out that was promised first', async (t) => {
  const late = { ...states.draining, deadlineMs: NOW + 1000 };
  const [, effects] = drainTransition(late, { type: 'ask', nowMs: NOW }, policy);
  t.strictSame(effects, [{ type: 'leave', drainMs: 0, killAfterMs: 900 }]);
});

t.test('whatever the time-out, closing comes before killing and killing before its end', async (t) => {
  for (const timeoutMs of [1, 10, 100, 999, 1000, 5000, 30_000, 3_600_000]) {
    const { drainMs, killAfterMs } = planDrain(timeoutMs);
    t.ok(drainMs >= 0 && drainMs <= killAfterMs && killAfterMs <= timeoutMs, `${timeoutMs} ms`);
  }
});
