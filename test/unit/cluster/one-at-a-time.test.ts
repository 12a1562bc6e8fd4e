import t from 'tap';
import { OneAtATime } from '../../../src/cluster/control/one-at-a-time.ts';
import { deferred } from '../../helpers/deferred.ts';

t.test('a second change is refused: what is under way, and what ends it', async (t) => {
  const changes = new OneAtATime();
  const first = deferred<number>();
  const running = changes.run('reload', () => first.promise);
  t.equal(changes.current, 'reload');
  await t.rejects(
    changes.run('rebalancing', () => Promise.resolve(2)),
    {
      code: 'HOLDFAST_BUSY',
      message: 'a reload is under way already (`holdfast reload --abort` stops it)',
    },
  );
  first.resolve(1);
  t.equal(await running, 1);
  t.equal(changes.current, undefined);
  t.equal(await changes.run('rebalancing', () => Promise.resolve(2)), 2);
});

t.test('one that fails leaves the way free', async (t) => {
  const changes = new OneAtATime();
  await t.rejects(
    changes.run('reload', () => Promise.reject(new Error('no'))),
    { message: 'no' },
  );
  t.equal(await changes.run('reload', () => Promise.resolve(1)), 1);
});

t.test('one that yields is asked to end, and waited for', async (t) => {
  const changes = new OneAtATime();
  const first = deferred<void>();
  const asked: string[] = [];
  const order: string[] = [];
  const yielding = changes
    .run(
      'rebalancing',
      () => first.promise,
      (other) => asked.push(other),
    )
    .finally(() => order.push('first ended'));
  const second = changes.run('reload', async () => void order.push('second began'));
  const third = changes.run('upgrade', async () => void order.push('third began'));
  t.same(asked, ['a reload', 'an upgrade']);
  first.resolve();
  await yielding;
  const [, outcome] = await Promise.allSettled([second, third]);
  t.equal(outcome.status, 'rejected', 'only one of those that waited begins; the other is refused');
  t.same(order.toSorted(), ['first ended', 'second began']);
});
