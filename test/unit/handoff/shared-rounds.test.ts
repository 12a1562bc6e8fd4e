import t from 'tap';
import { sharedRounds } from '../../../src/handoff/shared-rounds.ts';
import { deferred } from '../../helpers/deferred.ts';
import { waitFor } from '../../helpers/wait-for.ts';

t.test('whoever asks during a round waits for a later one, together with the others', async (t) => {
  const rounds: ReturnType<typeof deferred<void>>[] = [];
  const ask = sharedRounds(() => {
    const round = deferred<void>();
    rounds.push(round);
    return round.promise;
  }, 1);
  const done: string[] = [];
  const asks = ['a', 'b', 'c'].map((name) => ask().then(() => done.push(name)));
  t.equal(rounds.length, 1);
  rounds[0]?.resolve();
  await asks[0];
  t.same(done, ['a']);
  t.equal(rounds.length, 1, 'not at once');
  await waitFor('the next round', () => rounds.length === 2);
  await new Promise(setImmediate);
  t.equal(rounds.length, 2, 'one for both');
  rounds[1]?.resolve();
  await Promise.all(asks);
  t.same(done, ['a', 'b', 'c']);
  const last = ask();
  await waitFor('another one', () => rounds.length === 3);
  rounds[2]?.resolve();
  await last;
});

t.test('a round that fails is not the end', async (t) => {
  let rounds = 0;
  const ask = sharedRounds(() => {
    rounds += 1;
    return rounds === 1 ? Promise.reject(new Error('away')) : Promise.resolve();
  }, 1);
  const [first, second] = [ask(), ask()];
  await t.rejects(first, { message: 'away' });
  await second;
  t.equal(rounds, 2);
});
