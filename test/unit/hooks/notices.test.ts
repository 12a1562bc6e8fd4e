import { createHmac } from 'node:crypto';
import t from 'tap';
import { batchJson, noticeJson } from '../../../src/hooks/notices/notice-json.ts';
import { NoticeQueue } from '../../../src/hooks/notices/notice-queue.ts';
import { signature } from '../../../src/hooks/notices/signature.ts';

const subject = {
  client: 'c-1',
  user: '17',
  transport: 'websocket',
  protocol: 'json' as const,
  meta: Buffer.from('{"big":9007199254740993}'),
  headers: { cookie: 'secret' },
  emulatedHeaders: {},
};
const form = { id: 'e-1', node: 'n-1', includeMeta: false };

t.test('what the application is told', (t) => {
  const closed = { kind: 'disconnect', timeMs: 5.4, subject, code: 3001, reason: 'shutdown' } as const;
  const who = { client: 'c-1', user: '17', transport: 'websocket', protocol: 'json' };
  t.same(JSON.parse(noticeJson(closed, form)), {
    id: 'e-1',
    type: 'disconnect',
    time_ms: 5,
    node: 'n-1',
    ...who,
    code: 3001,
    reason: 'shutdown',
  });
  t.match(noticeJson(closed, { ...form, includeMeta: true }), ',"meta":{"big":9007199254740993}}');
  t.same(JSON.parse(noticeJson({ ...closed, kind: 'unsubscribe', channel: 'news' }, form)), {
    id: 'e-1',
    type: 'unsubscribe',
    time_ms: 5,
    node: 'n-1',
    ...who,
    channel: 'news',
    code: 3001,
    reason: 'shutdown',
  });
  for (const kind of ['channel_occupied', 'channel_vacated'] as const) {
    t.same(JSON.parse(noticeJson({ kind, timeMs: 7, channel: 'news' }, form)), {
      id: 'e-1',
      type: kind,
      time_ms: 7,
      node: 'n-1',
      channel: 'news',
    });
  }
  t.equal(batchJson(['{"a":1}', '{"b":2}']), '{"events":[{"a":1},{"b":2}]}');
  t.end();
});

t.test('the signature covers time and body', (t) => {
  const expected = createHmac('sha256', 'key').update('1700000000.{"events":[]}').digest('hex');
  t.equal(signature('key', '{"events":[]}', 1_700_000_000_999), `t=1700000000,v1=${expected}`);
  t.end();
});

t.test('a queue gives back in order', (t) => {
  const queue = new NoticeQueue({ maxEvents: 100, maxBytes: 1_000 });
  for (let n = 0; n < 10; n += 1) t.equal(queue.push(`${n}`), 0);
  t.same(queue.take(3), ['0', '1', '2']);
  t.same(queue.take(4), ['3', '4', '5', '6']);
  queue.putBack(['5', '6']);
  queue.push('x');
  t.match(queue, { size: 6, bytes: 6 });
  t.same(queue.take(99), ['5', '6', '7', '8', '9', 'x']);
  t.same(queue.take(1), []);
  t.match(queue, { size: 0, bytes: 0 });
  t.end();
});

t.test('the oldest make room, by number and by bytes', (t) => {
  const few = new NoticeQueue({ maxEvents: 2, maxBytes: 1_000 });
  t.same(
    ['a', 'b', 'c', 'd'].map((event) => few.push(event)),
    [0, 0, 1, 1],
  );
  t.same(few.take(9), ['c', 'd']);
  const small = new NoticeQueue({ maxEvents: 100, maxBytes: 6 });
  t.same(
    ['aa', 'éé', 'ccc'].map((event) => small.push(event)),
    [0, 0, 2],
    'bytes, not characters',
  );
  t.match(small, { size: 1, bytes: 3 });
  t.equal(small.push('x'.repeat(7)), 2, 'one that never fits goes, too');
  t.match(small, { size: 0, bytes: 0 });
  t.end();
});
