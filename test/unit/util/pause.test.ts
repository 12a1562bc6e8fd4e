import t from 'tap';
import { endsWithin, pause } from '../../../src/util/pause.ts';

t.test('a pause ends by itself', async (t) => {
  await t.resolves(pause(1));
  await t.resolves(pause(1, new AbortController().signal));
});

t.test('a signal ends it early, without an error', { timeout: 30_000 }, async (t) => {
  const abort = new AbortController();
  const paused = pause(3_600_000, abort.signal);
  abort.abort();
  await t.resolves(paused);
  await t.resolves(pause(3_600_000, abort.signal));
});

t.test('work may take so long, and is left alone when it takes longer', { timeout: 30_000 }, async (t) => {
  t.equal(await endsWithin(Promise.resolve(), 3_600_000), true);
  t.equal(await endsWithin(new Promise(() => undefined), 1), false);
  await t.rejects(endsWithin(Promise.reject(new Error('no')), 3_600_000), { message: 'no' });
});
