import t from 'tap';
import { MoveCourse } from '../../../src/handoff/move-course.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

const PATIENCE_MS = 1000;

function begun(): { clock: FakeClock; course: MoveCourse<object> } {
  const clock = new FakeClock();
  return { clock, course: new MoveCourse(clock, PATIENCE_MS) };
}

t.test('rounds that move nothing try its patience', async (t) => {
  const { clock, course } = begun();
  clock.advance(PATIENCE_MS + 1);
  course.arrived();
  course.roundEnded();
  t.notOk(course.isStopped, 'something was moved');
  clock.advance(PATIENCE_MS);
  course.roundEnded();
  t.notOk(course.isStopped);
  clock.advance(1);
  course.roundEnded();
  t.equal(course.stopped, 'what is left cannot be moved now');
  t.equal(course.moved, 1);
  t.notOk(course.isRefused);
});

t.test('it says what was in the way last', async (t) => {
  const { clock, course } = begun();
  course.hindered('no room');
  course.hindered('no descriptors');
  clock.advance(PATIENCE_MS + 1);
  course.begins();
  course.roundEnded();
  t.notOk(course.isStopped, 'patience is counted from the beginning');
  clock.advance(PATIENCE_MS + 1);
  course.roundEnded();
  t.equal(course.stopped, 'what is left cannot be moved now: no descriptors');
});

t.test('five in a row that do not arrive: none would', async (t) => {
  const { course } = begun();
  course.hindered('no descriptors');
  for (let i = 0; i < 4; i += 1) course.returned();
  course.arrived();
  for (let i = 0; i < 4; i += 1) course.returned();
  t.notOk(course.isStopped, 'one has arrived in between');
  course.returned();
  t.equal(course.stopped, 'connections do not arrive: no descriptors');
  t.ok(course.isRefused);
});

t.test('the first reason to stop is the one that is told', async (t) => {
  const { course } = begun();
  course.stop('by command');
  for (let i = 0; i < 5; i += 1) course.returned();
  course.stop('the primary is gone');
  t.equal(course.stopped, 'by command');
  t.notOk(course.isRefused, 'others may try again');
});

t.test('one that was held in vain is left alone for a while', async (t) => {
  const { clock, course } = begun();
  const [one, other] = [{}, {}];
  course.rest(one, 500);
  t.ok(course.isResting(one));
  t.notOk(course.isResting(other));
  clock.advance(500);
  t.notOk(course.isResting(one));
});
