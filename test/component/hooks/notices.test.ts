// Events told to a real HTTP server that is away, slow, picky or fine.
import { createHmac } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import t, { type Test } from 'tap';
import { NoticeSender, type NoticeSettings } from '../../../src/hooks/notices/notice-sender.ts';
import { HotCounters } from '../../../src/observe/hot-counters.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { Backend, raw } from '../../helpers/backend.ts';
import { waitFor } from '../../helpers/wait-for.ts';

async function setUp(t: Test, over: Partial<NoticeSettings> = {}) {
  const backend = await Backend.start(t);
  const counters = new HotCounters();
  const lines: string[] = [];
  const log = createLogger({
    level: 'debug',
    role: 'worker',
    destination: { write: (line) => void lines.push(line) },
  });
  const clock = { monotonicMs: () => 0, wallMs: () => 1_700_000_000_000 };
  const sender = new NoticeSender(
    { clock, random: () => 0, log, counters, node: 'n-1', version: '1.2.3' },
    {
      url: backend.url.replace('//', '//app:pass-secret@') + '/events?key=query-secret',
      kinds: new Set(['channel_occupied', 'disconnect']),
      secret: 'sign-secret',
      staticHeaders: {},
      includeMeta: false,
      timeoutMs: 10_000,
      maxBatch: 3,
      maxDelayMs: 1,
      maxEvents: 1_000,
      maxBytes: 1_000_000,
      retryMinMs: 1,
      retryMaxMs: 2,
      flushMs: 10_000,
      ...over,
    },
  );
  t.teardown(() => sender.close());
  let told = 0;
  const tell = (count: number): void => {
    for (let n = 0; n < count; n += 1) {
      sender.notify({ kind: 'channel_occupied', timeMs: 1, channel: String((told += 1)) });
    }
  };
  const outcome = (name: 'delivered' | 'dropped') => counters.notices.cell(name).value;
  return { backend, sender, lines, tell, outcome };
}

interface Told {
  readonly id: string;
  readonly channel: string;
}

function eventsOf(text: string): Told[] {
  const { events }: { events: Told[] } = JSON.parse(text);
  return events;
}

const channels = (texts: readonly string[]): string[] =>
  texts.flatMap((text) => eventsOf(text).map(({ channel }) => channel));

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index));

t.test('in batches, in order, signed', async (t) => {
  const { backend, sender, tell, outcome } = await setUp(t);
  tell(8);
  await waitFor('all events', () => outcome('delivered') === 8);
  t.same(channels(backend.calls.map(({ text }) => text)), numbers(1, 8));
  t.same(
    backend.calls.map(({ text }) => eventsOf(text).length),
    [3, 3, 2],
  );
  const [first] = backend.calls;
  const expected = createHmac('sha256', 'sign-secret').update(`1700000000.${first?.text}`).digest('hex');
  t.match(first, {
    path: '/events?key=query-secret',
    headers: {
      'content-type': 'application/json',
      'x-holdfast-signature': `t=1700000000,v1=${expected}`,
      'user-agent': 'holdfast/1.2.3',
    },
  });
  t.equal(new Set(backend.calls.map(({ peerPort }) => peerPort)).size, 1, 'one connection');
  t.equal(sender.size, 0);
});

t.test('only what was asked for', async (t) => {
  const { backend, sender, tell, outcome } = await setUp(t, { secret: '' });
  sender.notify({ kind: 'channel_vacated', timeMs: 1, channel: 'x' });
  tell(1);
  await waitFor('the event', () => outcome('delivered') === 1);
  t.same(channels(backend.calls.map(({ text }) => text)), ['1']);
  t.notOk('x-holdfast-signature' in (backend.calls[0]?.headers ?? {}));
});

t.test('again until it is taken, under the same ids, with those behind it waiting', async (t) => {
  const { backend, tell, outcome, lines } = await setUp(t);
  const answers = [
    raw('', 500),
    raw('<html>', 404),
    raw('', 302),
    (_: unknown, r: ServerResponse) => r.destroy(),
  ];
  backend.answer = (call, response) => {
    const next = answers.shift();
    if (typeof next === 'function') next(call, response);
    else response.writeHead(204).end();
  };
  tell(5);
  await waitFor('all events', () => outcome('delivered') === 5);
  const bodies = backend.calls.map(({ text }) => text);
  t.equal(new Set(bodies.slice(0, 5)).size, 1, 'five times the same');
  t.same(channels(bodies.slice(4)), numbers(1, 5));
  t.equal(lines.length, 3, 'a connection that broke off was tried again at once');
  t.notMatch(lines.join(''), 'secret');
});

t.test('a back end that takes less at a time', async (t) => {
  const { backend, tell, outcome } = await setUp(t, { maxBatch: 8 });
  backend.answer = (call, response) => {
    const events = eventsOf(call.text);
    const isTooMuch = events.length > 2 || events.some(({ channel }) => channel === '5');
    response.writeHead(isTooMuch ? 413 : 200).end();
  };
  tell(8);
  await waitFor('all events', () => outcome('delivered') + outcome('dropped') === 8);
  t.equal(outcome('dropped'), 1, 'one alone was too large');
});

t.test('while it is away the newest are kept, and it is in nobody’s way', async (t) => {
  const { backend, sender, tell, outcome, lines } = await setUp(t, { maxEvents: 10 });
  backend.answer = () => undefined;
  tell(3);
  await waitFor('the first call', () => backend.calls.length === 1);
  tell(100);
  t.equal(sender.size, 13, 'the batch under way and the newest ten');
  t.equal(outcome('dropped'), 90);
  t.equal(lines.filter((line) => line.includes('notices dropped')).length, 1);
  backend.answer = raw('', 200);
  backend.server.closeAllConnections();
  await waitFor('all events', () => outcome('delivered') === 13);
  t.same(channels(backend.calls.slice(1).map(({ text }) => text)), [...numbers(1, 3), ...numbers(94, 103)]);
});

t.test('closing tells what waits', async (t) => {
  const { backend, sender, tell, outcome } = await setUp(t, { maxDelayMs: 60_000 });
  tell(2);
  t.equal(backend.calls.length, 0);
  await sender.close();
  t.equal(outcome('delivered'), 2);
  tell(1);
  t.equal(outcome('dropped'), 1, 'what comes later is lost, and counted');
  await sender.close();
});

t.test('closing does not wait for a pause to pass', async (t) => {
  const { backend, sender, tell, outcome } = await setUp(t, { retryMinMs: 60_000, retryMaxMs: 60_000 });
  backend.answer = raw('', 500);
  tell(1);
  await waitFor('the first failure', () => backend.calls.length === 1);
  backend.answer = raw('', 200);
  // The failure may still be on its way back; then the pause is the short one of a closing sender.
  await sender.close();
  t.equal(outcome('delivered'), 1);
});

t.test('closing gives up in the end', async (t) => {
  const { backend, sender, tell, outcome } = await setUp(t, { flushMs: 20 });
  backend.answer = () => undefined;
  tell(5);
  await sender.close();
  t.equal(outcome('dropped'), 5);
  t.equal(sender.size, 0);
});
