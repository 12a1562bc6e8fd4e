import t from 'tap';
import type { ChannelEvent } from '../../../src/hub/channel-item.ts';
import { Heard } from '../../../src/hub/heard.ts';

const plain = (publisher: number, number: number): ChannelEvent => ({
  kind: 'publication',
  publication: { data: Buffer.from('x'), offset: 0, time: 0 },
  epoch: '',
  previous: undefined,
  origin: { publisher, number },
});

const stored = (offset: number, epoch = 'e'): ChannelEvent => ({
  kind: 'publication',
  publication: { data: Buffer.from('x'), offset, time: 0 },
  epoch,
  previous: undefined,
});

t.test('counts what is missing of each publisher', async (t) => {
  const heard = new Heard();
  t.equal(heard.note(plain(1, 7)), 0, 'nothing is known before the first');
  t.equal(heard.note(plain(1, 8)), 0);
  t.equal(heard.note(plain(1, 11)), 2);
  t.equal(heard.note(plain(2, 40)), 0);
  t.equal(heard.note(plain(2, 41)), 0);
  t.equal(heard.note(plain(1, 12)), 0);
  t.equal(heard.note(plain(-3, 1)) + heard.note(plain(-3, 9)), 0, 'numbers that may be missing');
  t.equal(heard.note(stored(5)) + heard.note(stored(9)), 0, 'offsets are watched elsewhere');
});

t.test('knows what it has, also as plain data', async (t) => {
  const first = new Heard();
  for (const event of [plain(1, 3), plain(2, 5), stored(10)]) first.note(event);
  for (const heard of [first, new Heard(structuredClone(first.state))]) {
    t.ok(heard.has(plain(1, 3)));
    t.ok(heard.has(plain(2, 1)));
    t.notOk(heard.has(plain(1, 4)));
    t.notOk(heard.has(plain(3, 1)));
    t.ok(heard.has(stored(10)));
    t.notOk(heard.has(stored(11)));
    t.notOk(heard.has(stored(10, 'other')));
  }
  t.same(new Heard().state, { numbers: [], top: undefined });
});

t.test('remembers a bounded number of publishers', async (t) => {
  const heard = new Heard();
  for (let publisher = 1; publisher <= 5000; publisher++) heard.note(plain(publisher, 1));
  t.ok(heard.state.numbers.length <= 1024);
  t.ok(heard.has(plain(5000, 1)));
});
