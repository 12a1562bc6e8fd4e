// Interest and exclusivity: who is told what, when links come, publish, leave and die.
import t from 'tap';
import { type InterestedLink, InterestTable } from '../../../src/engine/memory/interest.ts';

class RecordingLink implements InterestedLink {
  readonly channels = new Set<string>();
  readonly told: string[] = [];
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
  subscribed(requestId: number, grant: number): void {
    this.told.push(`subscribed ${String(requestId)} ${String(grant)}`);
  }
  offer(channel: string): void {
    this.told.push(`offer ${channel}`);
  }
  share(channel: string, grant: number): void {
    this.told.push(`share ${channel} ${String(grant)}`);
  }
  take(): string[] {
    return this.told.splice(0);
  }
}

function setUp() {
  const table = new InterestTable<RecordingLink>();
  return { table, a: new RecordingLink('a'), b: new RecordingLink('b'), c: new RecordingLink('c') };
}

const names = (links: readonly RecordingLink[]): string => links.map(({ name }) => name).join('');

t.test('a sole publisher is offered exclusivity once, a crowd is not', (t) => {
  const { table, a, b } = setUp();
  table.subscribe(a, 'x', 1, false, 0);
  t.same(a.take(), ['subscribed 1 0']);
  for (let count = 0; count < 5; count += 1) t.equal(names(table.publishing(a, 'x')), 'a');
  t.same(a.take(), ['offer x']);
  t.equal(names(table.publishing(b, 'x')), 'a', 'somebody else publishes to it');
  table.subscribe(b, 'x', 2, false, 0);
  for (let count = 0; count < 5; count += 1) t.equal(names(table.publishing(a, 'x')), 'ab');
  t.same(a.take(), []);
  table.unsubscribe(b, 'x');
  for (let count = 0; count < 5; count += 1) table.publishing(a, 'x');
  t.same(a.take(), ['offer x'], 'alone again, asked again');
  t.same(table.publishing(a, 'nobody'), []);
  t.end();
});

t.test('a grant needs to be asked for alone', (t) => {
  const { table, a, b } = setUp();
  table.subscribe(a, 'x', 1, false, 0);
  table.subscribe(b, 'x', 2, false, 0);
  a.take();
  table.subscribe(a, 'x', 3, true, 0);
  t.same(a.take(), ['subscribed 3 0']);
  table.unsubscribe(b, 'x');
  table.subscribe(a, 'x', 4, true, 0);
  t.same(a.take(), ['subscribed 4 1']);
  t.equal(names(table.links('x')), 'a');
  t.end();
});

t.test('a newcomer waits until the holder has let go', (t) => {
  const { table, a, b, c } = setUp();
  table.subscribe(a, 'x', 1, true, 0);
  t.same(a.take(), ['subscribed 1 1']);
  table.subscribe(b, 'x', 2, false, 100);
  table.subscribe(c, 'x', 3, false, 100);
  t.same(a.take(), ['share x 1'], 'asked once');
  t.same(b.take(), []);
  t.equal(names(table.publishing(c, 'x')), 'a');
  t.same(table.unresponsive(100), []);
  t.same(names(table.unresponsive(101)), 'a');
  table.shared(b, 'x', 1);
  table.shared(a, 'x', 7);
  table.shared(a, 'y', 1);
  t.same(b.take(), [], 'only the holder with its grant ends it');
  table.shared(a, 'x', 1);
  t.same(b.take(), ['subscribed 2 0']);
  t.same(c.take(), ['subscribed 3 0']);
  t.equal(names(table.links('x')), 'abc');
  t.same(table.unresponsive(1e9), []);
  t.end();
});

t.test('a holder that leaves or dies lets the waiting in; a waiting one that leaves is forgotten', (t) => {
  for (const leave of ['unsubscribe', 'drop'] as const) {
    const { table, a, b, c } = setUp();
    table.subscribe(a, 'x', 1, true, 0);
    table.subscribe(b, 'x', 2, false, 0);
    table.subscribe(c, 'x', 3, false, 0);
    table.unsubscribe(c, 'x');
    if (leave === 'drop') table.drop(a);
    else table.unsubscribe(a, 'x');
    t.same(b.take(), ['subscribed 2 0']);
    t.same(c.take(), []);
    t.equal(names(table.links('x')), 'b');
    table.drop(b);
    t.equal(table.channels, 0);
    t.equal(a.channels.size + b.channels.size + c.channels.size, 0);
  }
  t.end();
});

t.test('a late confirmation does not end a newer grant', (t) => {
  const { table, a, b } = setUp();
  table.subscribe(a, 'x', 1, true, 0);
  table.subscribe(b, 'x', 2, false, 0);
  table.unsubscribe(a, 'x');
  table.unsubscribe(b, 'x');
  table.subscribe(a, 'x', 3, true, 0);
  table.subscribe(b, 'x', 4, false, 0);
  b.take();
  table.shared(a, 'x', 1);
  t.same(b.take(), []);
  table.shared(a, 'x', 2);
  t.same(b.take(), ['subscribed 4 0']);
  t.end();
});

t.test('a holder that subscribes again has let go', (t) => {
  const { table, a, b } = setUp();
  table.subscribe(a, 'x', 1, true, 0);
  table.subscribe(b, 'x', 2, false, 0);
  a.take();
  table.subscribe(a, 'x', 3, false, 0);
  t.same(b.take(), ['subscribed 2 0']);
  t.same(a.take(), ['subscribed 3 0']);
  t.equal(names(table.links('x')), 'ab');
  t.end();
});
