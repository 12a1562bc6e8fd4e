import t from 'tap';
import {
  compare,
  mergeViews,
  type NodeView,
  NO_SLOTS,
  parseNodes,
  SLOTS,
  slotOf,
} from '../../../../src/engine/redis/cluster-slots.ts';

t.test('slots of tags are those of Redis', async (t) => {
  // As CLUSTER KEYSLOT gives them.
  t.equal(slotOf('123456789'), 12_739);
  t.equal(slotOf('foo'), 12_182);
  t.equal(slotOf(''), 0);
  t.equal(slotOf('Ω'), 4_504);
});

const A = 'a'.repeat(40);
const B = 'b'.repeat(40);
const C = 'c'.repeat(40);

t.test('CLUSTER NODES is read', async (t) => {
  const text = [
    `${A} :7001@17001 myself,master - 0 0 3 connected 0-5 8 [9->-${B}]`,
    `${B} 10.0.0.2:7002@17002,redis-b,tls-port=1 master - 0 1 2 connected 6-7 [9-<-${A}]`,
    `${C} ::1:7003@17003 slave,fail ${A} 0 1 3 disconnected`,
    'dddd :0@0 master,noaddr - 1 1 0 disconnected 10-16383',
    '',
  ].join('\n');
  const known = { hostname: '', isMaster: true, hasFailed: false };
  t.same(parseNodes(text, 'asked'), [
    {
      ...known,
      id: A,
      host: 'asked',
      port: 7001,
      epoch: 3,
      ranges: [
        [0, 5],
        [8, 8],
      ],
    },
    { ...known, id: B, host: '10.0.0.2', port: 7002, hostname: 'redis-b', epoch: 2, ranges: [[6, 7]] },
    { ...known, id: C, host: '::1', port: 7003, isMaster: false, hasFailed: true, epoch: 3, ranges: [] },
  ]);
});

function node(
  id: string,
  epoch: number,
  first: number,
  last: number,
  over: Partial<NodeView> = {},
): NodeView {
  return {
    id,
    host: id,
    port: 1,
    hostname: '',
    isMaster: true,
    hasFailed: false,
    epoch,
    ranges: [[first, last]],
    ...over,
  };
}

t.test('of views that differ the higher epoch is right', async (t) => {
  const before = [node(A, 1, 0, 100), node(B, 2, 101, SLOTS - 1)];
  const after = [node(A, 1, 0, 49), node(B, 4, 50, SLOTS - 1)];
  for (const views of [
    [before, after],
    [after, before],
  ]) {
    const { owners } = mergeViews(views);
    t.same([owners[49], owners[50], owners[100], owners[101]], [A, B, B, B]);
  }
  t.equal(mergeViews([[node(A, 1, 5, 5)]]).owners[4], undefined);
});

t.test('a slot that moved is no failover', async (t) => {
  const before = mergeViews([[node(A, 1, 0, 9), node(B, 2, 10, 20)]]);
  t.same(compare(NO_SLOTS, before), { changed: true, failedOver: false });
  t.same(compare(before, before), { changed: false, failedOver: false });
  const moved = mergeViews([[node(A, 1, 0, 8), node(B, 3, 9, 20)]]);
  t.same(compare(before, moved), { changed: true, failedOver: false });
  const gone = mergeViews([[node(C, 3, 0, 9), node(B, 2, 10, 20)]]);
  const demoted = mergeViews([[node(A, 3, 0, 9, { isMaster: false }), node(C, 3, 0, 9), node(B, 2, 10, 20)]]);
  const failed = mergeViews([[node(A, 1, 0, 9, { hasFailed: true }), node(C, 3, 0, 9), node(B, 2, 10, 20)]]);
  for (const after of [gone, demoted, failed]) {
    t.same(compare(before, after), { changed: true, failedOver: true });
  }
});
