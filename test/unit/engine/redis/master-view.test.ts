import t from 'tap';
import { chooseMaster, type MasterView, parseMaster } from '../../../../src/engine/redis/master-view.ts';

const old: MasterView = { host: 'a', port: 1, epoch: 4 };
const now: MasterView = { host: 'b', port: 1, epoch: 5 };

t.test('the answer of a sentinel is read', async (t) => {
  const answer = ['name', 'x', 'ip', 'a', 'port', '1', 'flags', 'master', 'config-epoch', '4'];
  t.same(parseMaster(answer.map((text) => Buffer.from(text))), old);
  t.equal(parseMaster(undefined), undefined);
  t.equal(parseMaster(['name', 'x']), undefined);
});

t.test('the sentinel that knows the latest failover is right', async (t) => {
  t.equal(chooseMaster([], undefined, 3), undefined);
  t.equal(chooseMaster([old], undefined, 3), old);
  t.equal(chooseMaster([old, now, old], old, 3), now);
  t.equal(chooseMaster([], now, 3), now, 'without sentinels the last one stays');
  t.equal(chooseMaster([old], now, 3), now, 'one alone does not turn the time back');
  t.equal(chooseMaster([old, old], now, 3), old, 'most of them may, having been set up anew');
  t.equal(chooseMaster([old], now, 1), old);
});
