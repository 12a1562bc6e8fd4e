// Several paths answered 404 to a method that they do not take, and pipelined requests ended in a cut connection.
import t from 'tap';
import { startGateway } from '../helpers/gateway.ts';
import { handshake, RawSocket } from '../helpers/raw-socket.ts';

const ON = { enabled: true };

t.test('every path says which methods it takes', async (t) => {
  const gateway = await startGateway(t, {
    workers: 1,
    config: { http_stream: ON, sse: ON, uni_websocket: ON, uni_http_stream: ON, uni_sse: ON },
  });
  for (const [method, path, allow] of [
    ['POST', '/healthz', 'GET, HEAD'],
    ['DELETE', '/readyz', 'GET, HEAD'],
    ['PUT', '/metrics', 'GET, HEAD'],
    ['POST', '/connection/websocket', 'GET, HEAD'],
    ['PATCH', '/connection/uni_websocket', 'GET, HEAD'],
    ['GET', '/connection/http_stream', 'POST, OPTIONS'],
    ['HEAD', '/connection/sse', 'GET, POST, OPTIONS'],
    ['GET', '/connection/uni_http_stream', 'POST, OPTIONS'],
    ['DELETE', '/connection/uni_sse', 'GET, POST, OPTIONS'],
    ['GET', '/emulation', 'POST, OPTIONS'],
    ['POST', '/api/openapi.json', 'GET, HEAD'],
  ] as const) {
    const response = await fetch(gateway.httpUrl + path, { method });
    t.equal(response.status, 405, `${method} ${path}`);
    t.equal(response.headers.get('allow'), allow);
    await response.arrayBuffer();
  }
  const api = await fetch(`${gateway.apiUrl}/info`, { headers: { 'x-api-key': 'key-of-the-tests' } });
  t.same([api.status, api.headers.get('allow')], [405, 'POST']);
  const upgrade = await RawSocket.open(t, gateway.port);
  upgrade.write(handshake().replace('GET', 'POST'));
  const head = await upgrade.head();
  t.match(head, /^HTTP\/1\.1 405 [^]*\r\nAllow: GET\r\n/);

  const pipelined = await RawSocket.open(t, gateway.port);
  pipelined.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3));
  await pipelined.closed();
  t.match(pipelined.text, /^HTTP\/1\.1 200 OK\r\n[^]*connection: close\r\n/i);
  t.equal(pipelined.text.match(/HTTP\/1\.1/g)?.length, 1);
});
