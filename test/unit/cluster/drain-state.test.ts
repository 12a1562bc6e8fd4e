// Every state of the drain with every event, and the time it promises.
import t from 'tap';
import {
  type DrainCommand,
  type DrainEffect,
  type DrainEvent,
  drainRefusal,
  type DrainState,
  drainTransition,
  planDrain,
} from '../../../src/cluster/drain/drain-state.ts';

const policy = { timeoutMs: 30_000, hurryMs: 3000, announceMs: 2000 };
const NOW = 50_000;

type Step = readonly [DrainState, readonly DrainEffect[]];

const command = { sinceMs: 40_000, announcedMs: 42_000, deadlineMs: null, ends: false };
const signal = { ...command, deadlineMs: 70_000, ends: true };
/** All closed at 66,000, killed at 69,000. */
const ending: DrainState = { name: 'ending', sinceMs: 40_000, deadlineMs: 70_000 };
const END: readonly DrainEffect[] = [{ type: 'hold' }, { type: 'end-workers', killAfterMs: 19_000 }];
const HURRY: readonly DrainEffect[] = [{ type: 'hold' }, { type: 'end-workers', killAfterMs: 2700 }];
const BACK: Step = [{ name: 'serving' }, [{ type: 'hold' }, { type: 'serve-again' }]];
/** Counted from now: a drain by command has no deadline of its own. */
const endNow: Step = [
  { name: 'ending', sinceMs: 40_000, deadlineMs: 80_000 },
  [{ type: 'hold' }, { type: 'end-workers', killAfterMs: 29_000 }],
];

const states = {
  serving: { name: 'serving' },
  announcing: { name: 'announcing', ...command },
  'announcing after a signal': { name: 'announcing', ...signal },
  closing: { name: 'closing', hurried: false, ...command },
  'closing to the end': { name: 'closing', hurried: false, ...command, ends: true },
  'closing after a signal': { name: 'closing', hurried: false, ...signal },
  paused: { name: 'paused', ...command },
  drained: { name: 'drained', tookMs: 1, ...command },
  ending,
  ended: { name: 'ended', tookMs: 1 },
} as const satisfies Record<string, DrainState>;

const events = {
  drain: { type: 'drain', nowMs: NOW, ends: false },
  'drain --exit': { type: 'drain', nowMs: NOW, ends: true },
  signal: { type: 'signal', nowMs: NOW },
  announced: { type: 'announced', nowMs: NOW, sinceMs: 40_000 },
  'announced, of another drain': { type: 'announced', nowMs: NOW, sinceMs: 1 },
  pause: { type: 'pause', nowMs: NOW },
  resume: { type: 'resume', nowMs: NOW },
  hurry: { type: 'hurry', nowMs: NOW },
  abort: { type: 'abort', nowMs: NOW },
  closed: { type: 'closed', nowMs: NOW },
  timer: { type: 'timer', nowMs: NOW },
  empty: { type: 'empty', nowMs: NOW },
} as const satisfies Record<string, DrainEvent>;

/** What is not named changes nothing. */
const table: Record<keyof typeof states, Partial<Record<keyof typeof events, Step>>> = {
  serving: {
    drain: [
      { name: 'announcing', sinceMs: NOW, announcedMs: 52_000, deadlineMs: null, ends: false },
      [{ type: 'announce', waitMs: 2000 }],
    ],
    'drain --exit': [
      { name: 'announcing', sinceMs: NOW, announcedMs: 52_000, deadlineMs: null, ends: true },
      [{ type: 'announce', waitMs: 2000 }],
    ],
    signal: [
      { name: 'announcing', sinceMs: NOW, announcedMs: 52_000, deadlineMs: 80_000, ends: true },
      [{ type: 'announce', waitMs: 2000 }],
    ],
  },
  announcing: {
    'drain --exit': [{ ...states.announcing, ends: true }, []],
    signal: [{ ...states.announcing, deadlineMs: 80_000, ends: true }, []],
    announced: [{ ...states.closing, announcedMs: NOW }, [{ type: 'pace', closeWithinMs: null }]],
    pause: [states.paused, [{ type: 'hold' }]],
    hurry: [{ ...states.closing, hurried: true }, [{ type: 'close-all' }]],
    abort: BACK,
  },
  'announcing after a signal': {
    signal: [ending, HURRY],
    announced: [
      { ...states['closing after a signal'], announcedMs: NOW },
      [
        { type: 'pace', closeWithinMs: 16_000 },
        { type: 'arm', delayMs: 16_000 },
      ],
    ],
    hurry: [ending, HURRY],
  },
  closing: {
    'drain --exit': [states['closing to the end'], []],
    signal: [
      { ...states['closing after a signal'], deadlineMs: 80_000 },
      [
        { type: 'pace', closeWithinMs: 26_000 },
        { type: 'arm', delayMs: 26_000 },
      ],
    ],
    pause: [states.paused, [{ type: 'hold' }]],
    hurry: [{ ...states.closing, hurried: true }, [{ type: 'close-all' }]],
    abort: BACK,
    closed: [
      { ...states.drained, tookMs: 10_000 },
      [{ type: 'hold' }, { type: 'note-drained', tookMs: 10_000 }],
    ],
  },
  'closing to the end': {
    signal: [
      { ...states['closing after a signal'], deadlineMs: 80_000 },
      [
        { type: 'pace', closeWithinMs: 26_000 },
        { type: 'arm', delayMs: 26_000 },
      ],
    ],
    pause: [{ ...states.paused, ends: true }, [{ type: 'hold' }]],
    hurry: [{ ...states['closing to the end'], hurried: true }, [{ type: 'close-all' }]],
    abort: BACK,
    closed: endNow,
  },
  'closing after a signal': {
    signal: [ending, HURRY],
    hurry: [ending, HURRY],
    closed: [ending, END],
  },
  paused: {
    'drain --exit': [{ ...states.paused, ends: true }, []],
    signal: [
      { ...states['closing after a signal'], deadlineMs: 80_000 },
      [
        { type: 'pace', closeWithinMs: 26_000 },
        { type: 'arm', delayMs: 26_000 },
      ],
    ],
    resume: [states.closing, [{ type: 'pace', closeWithinMs: null }]],
    hurry: [{ ...states.closing, hurried: true }, [{ type: 'close-all' }]],
    abort: BACK,
  },
  drained: {
    'drain --exit': endNow,
    signal: endNow,
    abort: BACK,
  },
  ending: {
    signal: [ending, [{ type: 'end-workers', killAfterMs: 0 }]],
    hurry: [ending, [{ type: 'end-workers', killAfterMs: 0 }]],
    empty: [{ name: 'ended', tookMs: 10_000 }, [{ type: 'finish', tookMs: 10_000 }]],
  },
  ended: {},
};

for (const [name, state] of Object.entries(states)) {
  for (const [type, event] of Object.entries(events)) {
    t.test(`${name} × ${type}`, async (t) => {
      const row: Partial<Record<string, Step>> | undefined = Object.entries(table).find(
        ([each]) => each === name,
      )?.[1];
      t.strictSame(drainTransition(state, event, policy), row?.[type] ?? [state, []]);
    });
  }
}

t.test('a command that would change nothing is refused with a reason', async (t) => {
  const commands: readonly DrainCommand[] = ['drain', 'pause', 'resume', 'hurry', 'abort'];
  const refused = (state: DrainState): readonly string[] =>
    commands.filter((each) => drainRefusal(state, each) !== undefined);
  t.strictSame(refused(states.serving), ['pause', 'resume', 'hurry', 'abort']);
  t.strictSame(refused(states.announcing), ['resume']);
  t.strictSame(refused(states.closing), ['resume']);
  t.strictSame(refused(states['closing after a signal']), ['pause', 'resume', 'abort']);
  t.strictSame(refused(states.paused), ['pause']);
  t.strictSame(refused(states.drained), ['pause', 'resume', 'hurry']);
  t.strictSame(refused(states.ending), ['pause', 'resume', 'abort']);
  t.match(drainRefusal(states['closing after a signal'], 'abort'), /cannot be taken back/);
});

t.test('a drain that is resumed before load balancers know waits for the rest of that time', async (t) => {
  const early = { ...states.paused, announcedMs: NOW + 500 };
  t.strictSame(drainTransition(early, { type: 'resume', nowMs: NOW }, policy), [
    { ...early, name: 'announcing' },
    [{ type: 'announce', waitMs: 500 }],
  ]);
});

t.test('what is not closed in time is ended with its worker', async (t) => {
  const late = { type: 'timer', nowMs: 66_000 } as const;
  t.strictSame(drainTransition(states['closing after a signal'], late, policy), [
    ending,
    [{ type: 'hold' }, { type: 'end-workers', killAfterMs: 3000 }],
  ]);
});

t.test('a hurry does not outlast the time-out that was promised first', async (t) => {
  const late = { ...states['closing after a signal'], deadlineMs: NOW + 1000 };
  const [, effects] = drainTransition(late, { type: 'signal', nowMs: NOW }, policy);
  t.strictSame(effects, [{ type: 'hold' }, { type: 'end-workers', killAfterMs: 900 }]);
});

t.test('a signal spends no more than a fifth of its time on the announcement', async (t) => {
  const hasty = { ...policy, timeoutMs: 4000 };
  const [, effects] = drainTransition(states.serving, { type: 'signal', nowMs: NOW }, hasty);
  t.strictSame(effects, [{ type: 'announce', waitMs: 800 }]);
});

t.test('whatever the time-out, closing comes before killing and killing before its end', async (t) => {
  for (const timeoutMs of [1, 10, 100, 999, 1000, 5000, 30_000, 3_600_000]) {
    const { drainMs, killAfterMs } = planDrain(timeoutMs);
    t.ok(drainMs >= 0 && drainMs <= killAfterMs && killAfterMs <= timeoutMs, `${timeoutMs} ms`);
  }
});
