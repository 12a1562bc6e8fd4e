import t from 'tap';
import { type Flushable, Flusher } from '../../../src/connection/flusher.ts';
import { waitFor } from '../../helpers/wait-for.ts';

class Dirty implements Flushable {
  flushes = 0;
  readonly #then: () => void;

  constructor(then: () => void = () => undefined) {
    this.#then = then;
  }

  flush(): void {
    this.flushes += 1;
    this.#then();
  }
}

t.test('everyone is flushed once, at the end of the turn', async (t) => {
  const flusher = new Flusher();
  const all = Array.from({ length: 200 }, () => new Dirty());
  for (const each of all) flusher.add(each);
  t.ok(all.every(({ flushes }) => flushes === 0));
  await waitFor('the end of the turn', () => all.at(-1)?.flushes === 1);
  t.ok(all.every(({ flushes }) => flushes === 1));
});

t.test('what cannot be written in its time goes on in a later turn, in order', async (t) => {
  const flusher = new Flusher();
  const order: number[] = [];
  for (let n = 0; n < 1_000; n += 1) flusher.add(new Dirty(() => order.push(n)));
  t.notOk(flusher.flush(-Infinity), 'no time at all');
  const before = order.length;
  t.ok(before > 0, 'but each call brings it further');
  t.ok(before < 1_000);
  flusher.add(new Dirty(() => order.push(1_000)));
  t.ok(flusher.flush(Infinity));
  t.strictSame(
    order,
    Array.from({ length: 1_001 }, (_, n) => n),
  );
  t.ok(flusher.flush(Infinity), 'nothing is left');
  t.equal(order.length, 1_001);
});

t.test('who gets something while being flushed is flushed again', async (t) => {
  const flusher = new Flusher();
  const eager: Dirty = new Dirty(() => {
    if (eager.flushes === 1) flusher.add(eager);
  });
  flusher.add(eager);
  t.ok(flusher.flush(Infinity));
  t.equal(eager.flushes, 2);
});
