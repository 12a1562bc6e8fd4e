import t from 'tap';
import { parseRequestHead, withoutUpgrade } from '../../../src/cluster/admission/request-head.ts';

const parse = (text: string): ReturnType<typeof parseRequestHead> =>
  parseRequestHead(Buffer.from(`${text}\r\n\r\n`, 'latin1'));

const without = (text: string): string => withoutUpgrade(Buffer.from(text, 'latin1')).toString('latin1');

t.test('says what is asked for', async (t) => {
  t.strictSame(parse('GET /healthz HTTP/1.1\r\nHost: x'), {
    method: 'GET',
    target: '/healthz',
    upgrade: false,
    sid: undefined,
    requestId: undefined,
    forwardedFor: '',
  });
  t.strictSame(parse('POST /emulation?a=b HTTP/1.0'), {
    method: 'POST',
    target: '/emulation?a=b',
    upgrade: false,
    sid: undefined,
    requestId: undefined,
    forwardedFor: '',
  });
});

t.test('knows an upgrade by its header alone', async (t) => {
  t.equal(parse('GET / HTTP/1.1\r\nuPgRaDe: \t WebSocket \r\nConnection: Upgrade')?.upgrade, true);
  t.equal(parse('GET / HTTP/1.1\r\nUpgrade: h2c')?.upgrade, false);
  t.equal(parse('GET /upgrade:%20websocket HTTP/1.1\r\nX-Upgrade: websocket')?.upgrade, false);
});

t.test('leaves out an upgrade, and nothing else', async (t) => {
  t.equal(without('GET / HTTP/1.1\r\nUpgrade: h2c\r\nHost: x\r\n\r\n'), 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  t.equal(
    without('GET / HTTP/1.1\r\nA: \xe9\r\nuPGRADE:h2c\r\nupgrade: \r\n\r\n'),
    'GET / HTTP/1.1\r\nA: \xe9\r\n\r\n',
  );
  const others = 'GET /?upgrade:h2c HTTP/1.1\r\nX-Upgrade: h2c\r\nUpgrade-Insecure-Requests: 1\r\n\r\n';
  t.equal(without(others), others);
});

const id = (line: string): string | undefined => parse(`GET / HTTP/1.1\r\n${line}\r\nA: b`)?.requestId;

t.test('knows a request again by its id', async (t) => {
  t.equal(id('x-request-id: 0190e-4c_7A'), '0190e-4c_7A');
  t.equal(id('X-Request-ID:12345678 '), '12345678');
  for (const other of ['X-Request-Id: 1234567', 'X-Request-Id: 1234 5678', 'Y-X-Request-Id: 12345678']) {
    t.equal(id(other), undefined, other);
  }
  t.equal(id(`X-Request-Id: ${'1'.repeat(65)}`), undefined);
});

t.test('takes a sid from the query only', async (t) => {
  const sid = 'aA0_-bB1_-cC2_-dD3_-';
  t.equal(parse(`GET /?sid=${sid} HTTP/1.1`)?.sid, sid);
  t.equal(parse(`GET /x?a=1&sid=${sid}&b=2 HTTP/1.1`)?.sid, sid);
  t.equal(parse(`GET /x?a=1&sid=${sid.slice(1)} HTTP/1.1`)?.sid, undefined);
  t.equal(parse(`GET /x?xsid=${sid} HTTP/1.1`)?.sid, undefined);
  t.equal(parse(`GET / HTTP/1.1\r\nCookie: sid=${sid}\r\nReferer: http://x/?sid=${sid}`)?.sid, undefined);
});

t.test('what is no request is none', async (t) => {
  for (const text of [
    '',
    'hello',
    'GET /',
    'GET  / HTTP/1.1',
    'get / HTTP/1.1',
    'GET / HTTP/2.0',
    'GET / x HTTP/1.1',
  ]) {
    t.equal(parse(text), undefined, JSON.stringify(text));
  }
});
