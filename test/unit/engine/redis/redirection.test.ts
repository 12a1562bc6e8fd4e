import t from 'tap';
import { type Redirection, redirection } from '../../../../src/engine/redis/redirection.ts';
import { RedisReplyError } from '../../../../src/engine/redis/redis-error.ts';

function of(reply: string): Redirection | undefined {
  return redirection(new RedisReplyError(reply));
}

t.test('what a Cluster answers to those who asked the wrong server', async (t) => {
  t.same(of('MOVED 3999 127.0.0.1:6381'), { kind: 'moved', server: '127.0.0.1:6381' });
  t.same(of('ASK 3999 ::1:6381'), { kind: 'ask', server: '::1:6381' });
  t.same(of('TRYAGAIN Multiple keys request during rehashing of slot'), { kind: 'again' });
  t.equal(of('CLUSTERDOWN Hash slot not served'), undefined);
  t.equal(of("OOM command not allowed when used memory > 'maxmemory'."), undefined);
  t.equal(redirection(new Error('MOVED 1 a:1')), undefined);
});
