import t from 'tap';
import { parseRequestHead } from '../../../src/cluster/request-head.ts';

const parse = (text: string): ReturnType<typeof parseRequestHead> =>
  parseRequestHead(Buffer.from(`${text}\r\n\r\n`, 'latin1'));

t.test('says what is asked for', async (t) => {
  t.strictSame(parse('GET /healthz HTTP/1.1\r\nHost: x'), {
    method: 'GET',
    target: '/healthz',
    upgrade: false,
    sid: undefined,
  });
  t.strictSame(parse('POST /emulation?a=b HTTP/1.0'), {
    method: 'POST',
    target: '/emulation?a=b',
    upgrade: false,
    sid: undefined,
  });
});

t.test('knows an upgrade by its header alone', async (t) => {
  t.equal(parse('GET / HTTP/1.1\r\nuPgRaDe: \t WebSocket \r\nConnection: Upgrade')?.upgrade, true);
  t.equal(parse('GET / HTTP/1.1\r\nUpgrade: h2c')?.upgrade, false);
  t.equal(parse('GET /upgrade:%20websocket HTTP/1.1\r\nX-Upgrade: websocket')?.upgrade, false);
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
