import t from 'tap';
import { sharedRounds } from '../../../src/handoff/shared-rounds.ts';
import { deferred } from '../../helpers/deferred.ts';

t.test('whoever asks during a round waits for a later one, together with the others', async (t) => {
  const rounds: ReturnType<typeof deferred<void>>[] = [];
  const ask = sharedRounds(() => {
    const round = deferred<void>();
    rounds.push(round);
    return round.promise;
  });
  const done: string[] = [];
  const asks = ['a', 'b', 'c'].map((name) => ask().then(() => done.push(name)));
  t.equal(rounds.length, 1);
  rounds[0]?.resolve();
  await asks[0];
  t.same(done, ['a']);
  await new Promise(setImmediate);
  t.equal(rounds.length, 2, 'one for both');
  rounds[1]?.resolve();
  await Promise.all(asks);
  t.same(done, ['a', 'b', 'c']);
  const last = ask();
  t.equal(rounds.length, 3, 'nothing is remembered');
  rounds[2]?.resolve();
  await last;
});
