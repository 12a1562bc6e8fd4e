// Decisions of the process side that need no process.
import t from 'tap';
import {
  connectionsAllowed,
  parseDescriptorLimit,
  readDescriptorLimit,
} from '../../../src/cluster/descriptors.ts';
import { judgeSilence } from '../../../src/cluster/load/heartbeat.ts';
import { jsonLine, JsonLines } from '../../../src/cluster/control/json-lines.ts';
import { encodeRefusal } from '../../../src/cluster/admission/refusal.ts';

function limits(soft: string, hard: string): string {
  return (
    `Limit                     Soft Limit           Hard Limit           Units\n` +
    `Max processes             96000                96000                processes\n` +
    `Max open files            ${soft.padEnd(20)} ${hard.padEnd(20)} files     \n`
  );
}

t.test('silence is judged by unanswered questions', async (t) => {
  const policy = { intervalMs: 1000, slowMs: 5000, hungMs: 30_000 };
  t.same(
    [0, 4, 5, 29, 30, 1000].map((unanswered) => judgeSilence(unanswered, policy)),
    ['answering', 'answering', 'slow', 'slow', 'hung', 'hung'],
  );
});

t.test('descriptor limits are read as the kernel writes them', async (t) => {
  t.same(parseDescriptorLimit(limits('1024', '20000')), { soft: 1024, hard: 20_000 });
  t.same(parseDescriptorLimit(limits('unlimited', 'unlimited')), { soft: Infinity, hard: Infinity });
  t.equal(parseDescriptorLimit('nothing of the kind'), undefined);
  t.equal(readDescriptorLimit('/nonexistent'), undefined);
  t.ok((readDescriptorLimit()?.hard ?? 0) > 0);
});

t.test('each worker has descriptors of its own for connections', async (t) => {
  t.equal(connectionsAllowed({ soft: 1024, hard: 20_000 }, 2), 39_600);
  t.equal(connectionsAllowed({ soft: 100, hard: 100 }, 2), 0);
});

t.test('lines come out whole, wherever they are cut', async (t) => {
  const text = jsonLine({ a: 'ü' }) + jsonLine([1]) + '\n' + jsonLine(null);
  for (let cut = 0; cut <= text.length; cut++) {
    const lines = new JsonLines(100);
    t.same([...lines.take(text.slice(0, cut)), ...lines.take(text.slice(cut))], [{ a: 'ü' }, [1], null]);
  }
  t.throws(() => new JsonLines(3).take('"abc'), RangeError);
  t.throws(() => new JsonLines(3).take('}\n'), SyntaxError);
});

t.test('a refusal is a whole response that ends the connection', async (t) => {
  t.equal(
    encodeRefusal({ status: 503, reason: 'this host is leaving', retryAfterS: 2 }),
    'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 2\r\n' +
      'Content-Type: text/plain\r\nContent-Length: 21\r\n\r\nthis host is leaving\n',
  );
  t.notMatch(encodeRefusal({ status: 400, reason: 'x' }), 'Retry-After');
});
