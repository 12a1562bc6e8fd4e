// The shipped haproxy.cfg, as production reads it and as `npm run front` does.
import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import t from 'tap';
import { Child } from '../helpers/child.ts';
import { SHIPPED_CONFIG, makeCertificate, startHaproxy } from '../helpers/haproxy.ts';
import { freePort } from '../helpers/ports.ts';

t.test('is valid without a warning', async (t) => {
  const { siteFile } = await makeCertificate(t);
  for (const env of [{}, { HOLDFAST_FRONT: '1', HOLDFAST_TO: '127.0.0.1:1', HOLDFAST_MAXCONN: '100' }]) {
    const check = new Child(t, 'haproxy', ['-dW', '-c', '-f', SHIPPED_CONFIG], {
      env: { HOLDFAST_CERTIFICATE: siteFile, ...env },
    });
    t.same(await check.exited, { code: 0, signal: null }, check.output);
  }
});

t.test('lets clients reach the client endpoints only', async (t) => {
  const haproxy = await startHaproxy(t, { to: `127.0.0.1:${await freePort()}` });
  const status = async (path: string): Promise<number | undefined> => {
    // Not `fetch`: it would tidy the path.
    const request = get({
      host: 'localhost',
      port: haproxy.port,
      path,
      ca: haproxy.certificate,
      agent: false,
    });
    const [response]: unknown[] = await once(request, 'response');
    if (!(response instanceof IncomingMessage)) return undefined;
    response.resume();
    return response.statusCode;
  };
  for (const path of ['/api/publish', '/metrics', '/admin', '/readyz', '/', '/connection/../api']) {
    t.equal(await status(path), 404, path);
  }
  // Nobody is behind it: what gets through is answered with 503.
  for (const path of ['/connection/websocket', '/emulation']) t.equal(await status(path), 503, path);
});
