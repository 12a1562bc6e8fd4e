// The edge of the channel: only whole messages of ours pass.
import t from 'tap';
import { isToPrimary, isToWorker, type ToPrimary, type ToWorker } from '../../../src/cluster/ipc.ts';

const facts = { config: {}, slot: 1, slots: 2, incarnation: 1, engineSocketPath: '' };
const vitals = {
  loopLagMs: 1.5,
  rssBytes: 1,
  heapUsedBytes: 1,
  outboxBytes: 1,
  trafficBytes: 1,
  loopBusyMs: 1.5,
};

const toWorker: { readonly [Type in ToWorker['type']]: ToWorker & { readonly type: Type } } = {
  start: { type: 'start', facts },
  ping: { type: 'ping', id: 1 },
  assign: { type: 'assign', door: 'public', isClient: true, head: new Uint8Array(3) },
  drain: { type: 'drain', durationMs: 5 },
  hurry: { type: 'hurry' },
  leaving: { type: 'leaving', detail: 'why' },
  'close-some': { type: 'close-some', count: 3 },
  stop: { type: 'stop' },
  question: { type: 'question', id: 1, kind: 'metrics', params: null },
  collected: { type: 'collected', id: 1, answers: [] },
  move: { type: 'move', number: 1, to: 1, sid: '', part: null },
  'move-stop': { type: 'move-stop' },
  'move-in': { type: 'move-in', from: 1, id: 1, payload: new Uint8Array(3) },
  parked: { type: 'parked', id: 1 },
  moved: { type: 'moved', moves: [{ id: 1, node: 'n' }] },
  'not-moved': { type: 'not-moved', id: 1, reason: 'no' },
  peer: { type: 'peer', from: 1, body: null },
  'peer-gone': { type: 'peer-gone', from: 1 },
};

const toPrimary: { readonly [Type in ToPrimary['type']]: ToPrimary & { readonly type: Type } } = {
  hello: { type: 'hello', version: 1 },
  ready: { type: 'ready', immovable: '' },
  failed: { type: 'failed', reason: 'no', isConfig: false },
  'last-words': { type: 'last-words', kind: 'metrics', value: 1 },
  pong: { type: 'pong', id: 1, vitals },
  connections: { type: 'connections', closed: 1, answered: 0, boundSids: [], unboundSids: ['x'] },
  load: { type: 'load', overMs: 200, lagMs: 1, busyShare: 0.5, opened: 3, overloaded: false },
  draining: { type: 'draining', remaining: 0, ordered: 0 },
  answer: { type: 'answer', id: 1, value: null },
  collect: { type: 'collect', id: 1, kind: 'metrics', params: null },
  park: { type: 'park', id: 1 },
  unpark: { type: 'unpark', id: 1 },
  'move-out': { type: 'move-out', to: 1, id: 1, parked: 0, payload: new Uint8Array(3) },
  'move-query': { type: 'move-query', id: 1 },
  arrived: { type: 'arrived', from: 1, id: 1, node: 'n' },
  declined: { type: 'declined', from: 1, id: 1, reason: 'no' },
  peer: { type: 'peer', to: 1, body: null },
  moves: { type: 'moves', number: 1, moved: 1, left: 0, ended: null, refused: false },
};

t.test('every message passes in its own direction only', async (t) => {
  for (const message of Object.values(toWorker)) {
    t.ok(isToWorker(message), message.type);
    t.notOk(isToPrimary(message), message.type);
  }
  for (const message of Object.values(toPrimary)) {
    t.ok(isToPrimary(message), message.type);
    t.notOk(isToWorker(message), message.type);
  }
});

t.test('a message with a missing or wrong field does not pass', async (t) => {
  for (const message of [...Object.values(toWorker), ...Object.values(toPrimary)]) {
    for (const field of Object.keys(message)) {
      // Of these anything is allowed.
      if (['params', 'value', 'body'].includes(field)) continue;
      const { [field]: _, ...rest } = Object.fromEntries(Object.entries(message));
      t.notOk(isToWorker(rest) || isToPrimary(rest), `${message.type} without ${field}`);
      const wrong = { ...rest, [field]: Symbol.iterator };
      t.notOk(isToWorker(wrong) || isToPrimary(wrong), `${message.type} with a wrong ${field}`);
    }
  }
});

t.test('nobody else’s messages pass', async (t) => {
  for (const message of [
    undefined,
    null,
    1,
    'ready',
    [],
    {},
    { type: 1 },
    { type: 'sticky:connection' },
    { type: 'toString' },
  ]) {
    t.notOk(isToWorker(message) || isToPrimary(message), JSON.stringify(message));
  }
});
