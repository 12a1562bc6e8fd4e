// The configurations that ship are what the program prints, are valid as production reads them, and keep strangers out.
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Child } from '../helpers/child.ts';
import { cliRun } from '../helpers/cli-run.ts';
import { makeCertificate, startHaproxy } from '../helpers/haproxy.ts';
import { freePort } from '../helpers/ports.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const FOLDER = fileURLToPath(new URL('../../../haproxy/', import.meta.url));

t.test('the files are what their heads say (npm run docs)', async (t) => {
  for (const name of ['haproxy.cfg', 'front.cfg']) {
    const text = await readFile(join(FOLDER, name), 'utf8');
    const command = /^# {3}holdfast (.+)$/m.exec(text)?.[1] ?? '';
    const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(
      ([, inQuotes, bare]) => inQuotes ?? bare ?? '',
    );
    const { code, out, err } = await cliRun(words);
    t.equal(code, 0, err);
    t.equal(text, out, name);
  }
});

t.test('are valid without a warning', async (t) => {
  const { siteFile } = await makeCertificate(t);
  const directory = await tempDir(t);
  const production = join(directory, 'haproxy.cfg');
  const [keyFile, stateFile] = [join(directory, 'ticket.keys'), join(directory, 'server.states')];
  t.equal((await cliRun(['haproxy', 'rotate-keys', '--no-live', '--keys', keyFile])).code, 0);
  await writeFile(stateFile, '1\n');
  const text = await readFile(join(FOLDER, 'haproxy.cfg'), 'utf8');
  const places = {
    '/etc/haproxy/certs/site.pem': siteFile,
    '/etc/haproxy/ticket.keys': keyFile,
    '/var/lib/haproxy/server.states': stateFile,
  };
  await writeFile(
    production,
    Object.entries(places).reduce((written, [from, to]) => written.replaceAll(from, to), text),
  );
  const env = { HOLDFAST_CERTIFICATE: siteFile, HOLDFAST_TO: '127.0.0.1:1', HOLDFAST_BIND: '127.0.0.1:1' };
  for (const file of [production, join(FOLDER, 'front.cfg')]) {
    const check = new Child(t, 'haproxy', ['-dW', '-c', '-f', file], { env });
    t.same(await check.exited, { code: 0, signal: null }, check.output);
  }
});

t.test('let clients reach the client endpoints only', async (t) => {
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
