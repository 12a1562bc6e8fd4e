import t from 'tap';
import { Moving } from '../../../src/connection/moving.ts';

t.test('one that has just arrived and is to leave again is held until both have let it go', (t) => {
  const moving = Moving.arriving();
  moving.hold();
  let idle = 0;
  moving.whenIdle(() => {
    idle += 1;
  });
  moving.letGo();
  t.ok(moving.isHeld, 'by whoever moves it on');
  moving.tellIdle();
  t.equal(idle, 1, 'who is still told that it is idle');
  moving.letGo();
  t.notOk(moving.isHeld);
  moving.letGo();
  moving.hold();
  t.ok(moving.isHeld, 'letting go of what nobody holds counts for nothing');
  t.end();
});

t.test('nobody who has let go is told', (t) => {
  const moving = new Moving();
  moving.hold();
  moving.whenIdle(() => t.fail('told'));
  moving.letGo();
  moving.tellIdle();
  t.end();
});
