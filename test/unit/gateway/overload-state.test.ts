import t from 'tap';
import {
  heaviest,
  initialOverload,
  nextOverload,
  type OverloadReading,
  type OverloadState,
} from '../../../src/gateway/overload-state.ts';

const POLICY = { maxLagMs: 1_000 };

function after(
  readings: readonly Partial<OverloadReading>[],
  from: OverloadState = initialOverload,
  policy = POLICY,
): OverloadState {
  return readings.reduce<OverloadState>(
    (state, reading) => nextOverload(state, { lagMs: 0, memoryShare: 0.3, ...reading }, policy),
    from,
  );
}

const times = (count: number, reading: Partial<OverloadReading>): Partial<OverloadReading>[] =>
  Array.from({ length: count }, () => reading);

t.test('every level on every reading, one at a time and for long', async (t) => {
  const levels = ['normal', 'refusing', 'shedding'] as const;
  const readings: readonly [Partial<OverloadReading>, ...(typeof levels)[number][]][] = [
    // What each of the levels becomes when it lasts.
    [{ memoryShare: 0.3 }, 'normal', 'normal', 'normal'],
    [{ memoryShare: 0.85 }, 'normal', 'refusing', 'shedding'],
    [{ memoryShare: 0.95 }, 'refusing', 'refusing', 'shedding'],
    [{ memoryShare: 1 }, 'shedding', 'shedding', 'shedding'],
    [{ lagMs: 400 }, 'normal', 'normal', 'normal'],
    [{ lagMs: 700 }, 'normal', 'refusing', 'refusing'],
    [{ lagMs: 1_000 }, 'refusing', 'refusing', 'refusing'],
    [{ lagMs: 1_000, memoryShare: 1 }, 'shedding', 'shedding', 'shedding'],
  ];
  for (const [reading, ...become] of readings) {
    for (const [index, level] of levels.entries()) {
      const from: OverloadState = { level, reason: level === 'normal' ? undefined : 'memory', readings: 0 };
      t.equal(after([reading], from).level, level, 'one reading changes nothing');
      t.equal(after(times(10, reading), from).level, become[index], `${level}: ${JSON.stringify(reading)}`);
    }
  }
});

t.test('up is quick, down is slow', async (t) => {
  const full = after(times(2, { memoryShare: 1 }));
  t.same(full, { level: 'shedding', reason: 'memory', readings: 0 });
  t.equal(after(times(4, {}), full).level, 'shedding');
  t.same(after(times(5, {}), full), initialOverload);
  t.equal(after([...times(4, {}), { memoryShare: 1 }, ...times(4, {})], full).level, 'shedding');
});

t.test('why', async (t) => {
  t.equal(after(times(2, { lagMs: 2_000 })).reason, 'lag');
  t.equal(after(times(2, { memoryShare: 0.95 })).reason, 'memory');
});

t.test('lag is no reason where it is switched off', async (t) => {
  t.same(after(times(10, { lagMs: 60_000 }), initialOverload, { maxLagMs: 0 }), initialOverload);
});

t.test('the heaviest go first, no more than needed, none with little, and only so many', async (t) => {
  const connections = [10, 500, 90, 300, 5].map((unsentBytes) => ({ unsentBytes }));
  const bytes = (free: number, minBytes = 0, most = 10): number[] =>
    heaviest(connections, free, { minBytes, most }).map(({ unsentBytes }) => unsentBytes);
  t.same(bytes(1), [500]);
  t.same(bytes(501), [500, 300]);
  t.same(bytes(10_000, 50), [500, 300, 90]);
  t.same(bytes(10_000, 0, 2), [500, 300]);
  t.same(bytes(0), []);
});
