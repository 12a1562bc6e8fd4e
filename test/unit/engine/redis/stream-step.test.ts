import t from 'tap';
import { streamStep } from '../../../../src/engine/redis/stream-step.ts';

const position = { offset: 10, epoch: 'e' };

for (const [what, seen, offset, epoch, step] of [
  ['nothing is known', { position: undefined, began: 0, repaired: 0 }, 7, 'e', 'next'],
  ['the one after it', { position, began: 0, repaired: 0 }, 11, 'e', 'next'],
  ['one after a gap', { position, began: 0, repaired: 0 }, 12, 'e', 'gap'],
  ['another epoch', { position, began: 0, repaired: 0 }, 11, 'f', 'renewed'],
  ['another epoch, far behind', { position, began: 10, repaired: 10 }, 1, 'f', 'renewed'],
  ['read from the stream before it came', { position, began: 0, repaired: 10 }, 10, 'e', 'repeat'],
  ['on its way when following began', { position, began: 10, repaired: 0 }, 9, 'e', 'late'],
  ['the stream has gone back', { position, began: 0, repaired: 0 }, 10, 'e', 'back'],
  ['gone back before where following began', { position, began: 5, repaired: 4 }, 6, 'e', 'back'],
] as const) {
  t.equal(streamStep(seen, offset, epoch), step, what);
}
