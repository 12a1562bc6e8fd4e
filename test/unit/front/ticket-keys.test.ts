import { randomBytes } from 'node:crypto';
import t from 'tap';
import { parseTicketKeys, rotated } from '../../../src/front/ticket-keys.ts';

const key = (bytes = 80): string => randomBytes(bytes).toString('base64');
const [a, b, c, d] = [key(), key(), key(), key()];

t.test('the last three keys of a file count', async (t) => {
  t.same(parseTicketKeys(`${a}\n${b}\n${c}\n`, 'file'), [a, b, c]);
  t.same(parseTicketKeys(`${a}\n\n${b}\n${c}\n${d}`, 'file'), [b, c, d]);
});

t.test('what HAProxy would not take', async (t) => {
  const short = key(48);
  for (const text of [
    '',
    `${a}\n${b}\n`,
    `${a}\n${b}\n${short}\n`,
    'x\ny\nz\n',
    [1, 2, 3].map(() => key(40)).join('\n'),
  ]) {
    t.throws(() => parseTicketKeys(text, 'the file'), {
      code: 'HOLDFAST_CONFIG',
      message: /^the file holds no/,
    });
  }
});

t.test('a rotation drops the oldest and adds one of the same length', async (t) => {
  const next = rotated([a, b, c]);
  t.same(next.slice(0, 2), [b, c]);
  t.equal(next.length, 3);
  t.notOk([a, b, c].includes(next[2] ?? a));
  const short = [1, 2, 3].map(() => key(48));
  t.equal(Buffer.from(rotated(short)[2] ?? '', 'base64').length, 48);
  const fresh = rotated([]);
  t.equal(new Set(fresh).size, 3);
  t.same(parseTicketKeys(fresh.join('\n'), 'fresh'), fresh);
});
