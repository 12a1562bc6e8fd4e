import t from 'tap';
import { Interests } from '../../../src/hub/interest.ts';
import { UnavailableError } from '../../../src/util/errors.ts';
import { deferred } from '../../helpers/deferred.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { waitFor } from '../../helpers/wait-for.ts';

class Engine {
  readonly log: string[] = [];
  answer: () => Promise<void> = () => Promise.resolve();

  subscribe(channel: string): Promise<void> {
    this.log.push(`+${channel}`);
    return this.answer();
  }

  unsubscribe(channel: string): Promise<void> {
    this.log.push(`-${channel}`);
    return this.answer();
  }
}

function setUp(): { engine: Engine; clock: FakeClock; interests: Interests } {
  const engine = new Engine();
  const clock = new FakeClock();
  const interests = new Interests({ broker: engine, nowMs: () => clock.monotonicMs() });
  return { engine, clock, interests };
}

t.test('the engine is asked once for all who want a channel', async (t) => {
  const { engine, interests } = setUp();
  const gate = deferred<void>();
  engine.answer = () => gate.promise;
  const wanted = [interests.want('a'), interests.want('a'), interests.want('b')];
  t.strictSame(engine.log, ['+a', '+b']);
  gate.resolve();
  await Promise.all(wanted);
  await interests.want('a');
  t.strictSame(engine.log, ['+a', '+b']);
});

t.test('interest lingers: who comes back in time costs nothing', async (t) => {
  const { engine, clock, interests } = setUp();
  interests.start();
  t.teardown(() => interests.close());
  await interests.want('gone');
  await interests.want('back');
  await interests.want('stays');
  interests.release('gone');
  interests.release('back');
  clock.advance(2_900);
  await interests.want('back');
  // It is released anew, so that its time begins anew.
  interests.release('back');
  clock.advance(200);
  await waitFor('the end of the interest', () => engine.log.includes('-gone'));
  t.strictSame(engine.log, ['+gone', '+back', '+stays', '-gone']);
  clock.advance(3_000);
  await waitFor('the end of the other', () => engine.log.includes('-back'));
  await interests.want('gone');
  t.strictSame(engine.log.slice(4), ['-back', '+gone'], 'and begins again with the next who wants it');
});

t.test('a failed subscribe is not kept: the next one tries again', async (t) => {
  const { engine, interests } = setUp();
  engine.answer = () => Promise.reject(new UnavailableError('away'));
  await t.rejects(interests.want('a'), { code: 'HOLDFAST_UNAVAILABLE' });
  engine.answer = () => Promise.resolve();
  await interests.want('a');
  t.strictSame(engine.log, ['+a', '+a']);
});

t.test('an engine that is away when interest ends is no fault', async (t) => {
  const { engine, clock, interests } = setUp();
  interests.start();
  t.teardown(() => interests.close());
  await interests.want('a');
  interests.release('a');
  interests.release('never wanted');
  engine.answer = () => Promise.reject(new UnavailableError('away'));
  clock.advance(10_000);
  await waitFor('the attempt', () => engine.log.includes('-a'));
  t.strictSame(engine.log, ['+a', '-a']);
});
