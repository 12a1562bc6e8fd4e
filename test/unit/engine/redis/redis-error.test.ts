// Error replies of Redis: which pass, which end the connection, and what callers see.
import t from 'tap';
import {
  asEngineError,
  endsConnection,
  fromClient,
  RedisReplyError,
} from '../../../../src/engine/redis/redis-error.ts';
import { HoldfastError, UnavailableError } from '../../../../src/util/errors.ts';

function reply(message: string): Error {
  const error = new Error(message);
  error.name = 'ReplyError';
  return error;
}

for (const [message, isTemporary, isEnd] of [
  ['OOM command not allowed when used memory > maxmemory', true, false],
  ["READONLY You can't write against a read only replica.", true, true],
  ['LOADING Redis is loading the dataset in memory', true, true],
  ['MASTERDOWN Link with MASTER is down', true, true],
  ['MISCONF Errors writing to the AOF file', true, false],
  ['BUSY Redis is busy running a script', true, false],
  ['CLUSTERDOWN The cluster is down', true, false],
  ['MOVED 3999 127.0.0.1:6381', true, false],
  ['WRONGTYPE Operation against a key', false, false],
  ['NOPERM this user has no permissions', false, false],
  ['ERR unknown command', false, false],
] as const) {
  t.test(message, async (t) => {
    const error = fromClient(reply(message));
    if (!(error instanceof RedisReplyError)) throw new Error('expected an error reply');
    t.equal(error.kind, message.split(' ')[0]);
    t.equal(endsConnection(error), isEnd);
    const seen = asEngineError(error);
    t.equal(seen instanceof UnavailableError, isTemporary);
    t.type(seen, HoldfastError);
    t.match(seen, { message: new RegExp(message.slice(0, 20)) });
  });
}

t.test('everything else is a broken connection', async (t) => {
  t.type(fromClient(new Error('Connection is closed.')), UnavailableError);
  t.type(fromClient('odd'), UnavailableError);
  const other = new Error('x');
  t.equal(asEngineError(other), other);
});
