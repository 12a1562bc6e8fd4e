import t from 'tap';
import { InFlight } from '../../../src/handoff/in-flight.ts';
import { deferred } from '../../helpers/deferred.ts';

t.test('what is on its way is kept until it is known what has become of it', async (t) => {
  const inFlight = new InFlight<string>(() => undefined, 3_600_000);
  const posted: number[] = [];
  const first = inFlight.send('one', (id) => posted.push(id));
  const second = inFlight.send('two', (id) => posted.push(id));
  t.same(posted, [1, 2]);
  t.same(inFlight.ids, [1, 2]);

  t.equal(inFlight.settle(1, 'elsewhere'), 'one');
  t.equal(await first, 'elsewhere');
  t.equal(inFlight.settle(1, undefined), undefined, 'the first word counts');
  t.equal(inFlight.size, 1);

  t.equal(inFlight.settle(2, undefined), 'two');
  t.equal(await second, undefined, 'it is still here');
  t.equal(inFlight.size, 0);
});

t.test('nobody says a word: it is asked about again and again', { timeout: 30_000 }, async (t) => {
  const asked: number[] = [];
  const askedTwice = deferred<void>();
  const inFlight = new InFlight<string>((id) => {
    asked.push(id);
    if (asked.length === 2) askedTwice.resolve();
  }, 1);
  const sent = inFlight.send('one', () => undefined);
  await askedTwice.promise;
  t.same(asked.slice(0, 2), [1, 1]);
  inFlight.settle(1, '');
  t.equal(await sent, '');
});
