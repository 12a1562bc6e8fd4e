// Java's HTTP client offers an upgrade to HTTP/2 with its first request; the gateway answered 404 instead of the request.
import t from 'tap';
import { startGateway } from '../helpers/gateway.ts';
import { RawSocket } from '../helpers/raw-socket.ts';
import { waitFor } from '../helpers/wait-for.ts';

const OFFER = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n';

t.test('a request that offers another protocol is answered in this one', async (t) => {
  const gateway = await startGateway(t, { workers: 1, config: { http_api: { key: 'k' } } });
  const body = '{"channel":"news","data":{"n":1}}';
  const publish = `POST /api/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\n${OFFER}Content-Length: ${body.length}\r\n\r\n`;

  for (const cuts of [[publish + body], [publish, body], [publish + body.slice(0, 5), body.slice(5)]]) {
    const socket = await RawSocket.open(t, gateway.port);
    for (const piece of cuts) socket.write(piece);
    t.equal(await socket.status(), 200);
    await socket.closed();
    t.equal(socket.text, '{"result":{}}');
  }

  const plain = await RawSocket.open(t, gateway.port);
  plain.write(`GET /healthz HTTP/1.1\r\nHost: x\r\n${OFFER}\r\n`);
  t.equal(await plain.status(), 200);

  const missing = await RawSocket.open(t, gateway.port);
  missing.write(`GET /nowhere HTTP/1.1\r\nHost: x\r\n${OFFER}\r\n`);
  t.equal(await missing.status(), 404);
  await waitFor('the paths that there are', () => missing.text.includes('/connection/websocket'));
});
