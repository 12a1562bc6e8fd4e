// Every state of a slot with every event.
import t from 'tap';
import {
  type CrashRecord,
  initialSlotState,
  slotTransition,
  type SlotEffect,
  type SlotEvent,
  type SlotPolicy,
  type SlotState,
} from '../../../src/cluster/slot-state.ts';

const policy: SlotPolicy = {
  backoff: { minMs: 100, maxMs: 1000 },
  bootTimeoutMs: 5000,
  stableMs: 10_000,
  brakeCrashes: 3,
  brakeWindowMs: 60_000,
  brakedRetryMs: 30_000,
};
const NOW = 100_000;
const none: CrashRecord = { timesMs: [], inRow: 0, looping: false };
const one: CrashRecord = { timesMs: [99_000], inRow: 1, looping: false };
const crashedAgain: CrashRecord = { timesMs: [99_000, NOW], inRow: 2, looping: false };

const states = {
  stopped: { name: 'stopped', crashes: one },
  booting: { name: 'booting', sinceMs: 99_500, crashes: one },
  ready: { name: 'ready', sinceMs: 99_500, crashes: one },
  leaving: { name: 'leaving', sinceMs: 99_500, crashes: one },
  'backing-off': { name: 'backing-off', untilMs: NOW, crashes: one },
  braked: { name: 'braked', untilMs: NOW, crashes: one },
} as const satisfies Record<SlotState['name'], SlotState>;

const events = {
  start: { type: 'start', nowMs: NOW },
  ready: { type: 'ready', nowMs: NOW },
  exited: { type: 'exited', nowMs: NOW, roll: 0.5 },
  timer: { type: 'timer', nowMs: NOW },
  hung: { type: 'hung', nowMs: NOW },
  leave: { type: 'leave', nowMs: NOW, drainMs: 700, killAfterMs: 900 },
  retire: { type: 'retire', nowMs: NOW },
  reinstate: { type: 'reinstate', nowMs: NOW },
} as const satisfies Record<SlotEvent['type'], SlotEvent>;

/** Undefined: nothing changes and nothing is done. */
type Step = readonly [SlotState, readonly SlotEffect[]] | undefined;

const boot: readonly SlotEffect[] = [{ type: 'fork' }, { type: 'arm', delayMs: 5000 }];
const rebooting: Step = [{ name: 'booting', sinceMs: NOW, crashes: one }, boot];
const leaving: SlotState = { name: 'leaving', sinceMs: NOW, crashes: one };
const tellDrain: readonly SlotEffect[] = [
  { type: 'tell-drain', durationMs: 700 },
  { type: 'arm', delayMs: 900 },
];
const backingOff: SlotState = { name: 'backing-off', untilMs: NOW + 100, crashes: crashedAgain };
const noteCrash: readonly SlotEffect[] = [
  { type: 'note-crash', retryMs: 100 },
  { type: 'arm', delayMs: 100 },
];
const stopped: Step = [states.stopped, [{ type: 'disarm' }]];

const table: Record<SlotState['name'], Record<SlotEvent['type'], Step>> = {
  stopped: {
    start: [{ name: 'booting', sinceMs: NOW, crashes: none }, boot],
    ready: undefined,
    exited: undefined,
    timer: undefined,
    hung: undefined,
    leave: undefined,
    retire: undefined,
    reinstate: undefined,
  },
  booting: {
    start: undefined,
    ready: [{ name: 'ready', sinceMs: NOW, crashes: one }, [{ type: 'disarm' }, { type: 'route' }]],
    exited: [backingOff, noteCrash],
    timer: [states.booting, [{ type: 'kill', reason: 'boot-timeout' }]],
    hung: [states.booting, [{ type: 'kill', reason: 'hung' }]],
    leave: [leaving, [{ type: 'tell-stop' }, { type: 'arm', delayMs: 900 }]],
    retire: [leaving, [{ type: 'tell-stop' }, { type: 'arm', delayMs: 5000 }]],
    reinstate: undefined,
  },
  ready: {
    start: undefined,
    ready: undefined,
    exited: [backingOff, [{ type: 'unroute' }, ...noteCrash]],
    timer: undefined,
    hung: [states.ready, [{ type: 'kill', reason: 'hung' }]],
    leave: [leaving, [{ type: 'unroute' }, ...tellDrain]],
    retire: [leaving, [{ type: 'unroute' }]],
    reinstate: undefined,
  },
  leaving: {
    start: undefined,
    ready: undefined,
    exited: stopped,
    timer: [states.leaving, [{ type: 'kill', reason: 'leave-timeout' }]],
    hung: [states.leaving, [{ type: 'kill', reason: 'hung' }]],
    leave: [states.leaving, tellDrain],
    retire: undefined,
    reinstate: [{ name: 'ready', sinceMs: NOW, crashes: one }, [{ type: 'route' }]],
  },
  'backing-off': {
    start: undefined,
    ready: undefined,
    exited: undefined,
    timer: rebooting,
    hung: undefined,
    leave: stopped,
    retire: stopped,
    reinstate: undefined,
  },
  braked: {
    start: undefined,
    ready: undefined,
    exited: undefined,
    timer: rebooting,
    hung: undefined,
    leave: stopped,
    retire: stopped,
    reinstate: undefined,
  },
};

for (const state of Object.values(states)) {
  for (const event of Object.values(events)) {
    t.test(`${state.name} × ${event.type}`, async (t) => {
      const expected = table[state.name][event.type] ?? [state, []];
      t.strictSame(slotTransition(state, event, policy), expected);
    });
  }
}

/** Boots, is ready for `livedMs` and crashes; as often as told. Collects what was noted. */
function crash(state: SlotState, times: number, livedMs: number): { state: SlotState; notes: SlotEffect[] } {
  const notes: SlotEffect[] = [];
  let nowMs = NOW;
  let current = state;
  const dispatch = (event: SlotEvent): void => {
    const [next, effects] = slotTransition(current, event, policy);
    current = next;
    notes.push(...effects.filter(({ type }) => type === 'note-crash' || type === 'note-brake'));
  };
  for (let round = 0; round < times; round++) {
    dispatch({ type: current.name === 'stopped' ? 'start' : 'timer', nowMs });
    dispatch({ type: 'ready', nowMs });
    nowMs += livedMs;
    dispatch({ type: 'exited', nowMs, roll: 0.5 });
  }
  return { state: current, notes };
}

t.test('crashes in a row back off longer, then brake', async (t) => {
  const { state, notes } = crash(initialSlotState, 5, 10);
  t.equal(state.name, 'braked');
  t.strictSame(notes, [
    { type: 'note-crash', retryMs: 50 },
    { type: 'note-crash', retryMs: 100 },
    { type: 'note-brake', crashes: 3, retryMs: 30_000 },
    { type: 'note-brake', crashes: 4, retryMs: 30_000 },
    { type: 'note-brake', crashes: 5, retryMs: 30_000 },
  ]);
});

t.test('a braked slot stays slow although its crashes are far apart', async (t) => {
  const braked = crash(initialSlotState, 3, 10).state;
  // Each lives shorter than stable; the window has long forgotten the others.
  const { state } = crash({ ...braked, crashes: { ...braked.crashes, timesMs: [0] } }, 1, 9000);
  t.equal(state.name, 'braked');
});

t.test('a worker that lived long clears the record', async (t) => {
  const braked = crash(initialSlotState, 3, 10).state;
  const { state, notes } = crash(braked, 1, 10_000);
  t.equal(state.name, 'backing-off');
  t.strictSame(notes, [{ type: 'note-crash', retryMs: 50 }]);
});
