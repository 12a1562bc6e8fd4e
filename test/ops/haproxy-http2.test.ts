// Websockets over HTTP/2 through a real HAProxy, where `--http2` has chosen them, and what a reload of HAProxy means for them.
import type { ClientHttp2Session } from 'node:http2';
import { join } from 'node:path';
import t from 'tap';
import { openPage } from '../helpers/browser.ts';
import { MasterSocket } from '../../src/front/master-socket.ts';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { cliRun } from '../helpers/cli-run.ts';
import { startGateway } from '../helpers/gateway.ts';
import { generateConfig, startHaproxy } from '../helpers/haproxy.ts';
import { connectHttp2, Http2WebSocket } from '../helpers/http2-websocket.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

const gateway = await startGateway(t, {
  workers: 1,
  config: { client: { allowed_origins: ['http://localhost:*'] } },
});
const to = `127.0.0.1:${gateway.port}`;

/** Opens a websocket, connects, and subscribes to the channel. */
async function talk(session: ClientHttp2Session, channel: string): Promise<Http2WebSocket> {
  const websocket = new Http2WebSocket(session);
  const status = await websocket.status;
  if (status !== 200) throw new Error(`the server answered ${status}`);
  websocket.send({ id: 1, connect: {} });
  await websocket.heard('"connect"');
  websocket.send({ id: 2, subscribe: { channel } });
  await websocket.heard('"subscribe"');
  return websocket;
}

t.test('many websockets share a connection, beside clients of HTTP/1.1', async (t) => {
  const haproxy = await startHaproxy(t, {
    configFile: await generateConfig(t, [to, '--http2', '--no-ops-bind']),
  });
  const session = await connectHttp2(t, haproxy);
  const websockets = await Promise.all(Array.from({ length: 20 }, () => talk(session, 'room')));
  const other = new OfficialClient(t, haproxy.wssUrl, { socket: { ca: haproxy.certificate } });
  await (await other.connect()).subscribe('room');
  await other.client.publish('room', 'over-http-1');
  for (const websocket of websockets) await websocket.heard('over-http-1');
  const [first] = websockets;
  first?.send({ id: 3, publish: { channel: 'room', data: 'over-http-2' } });
  for (const websocket of websockets) await websocket.heard('over-http-2');
  t.equal(await gateway.metric('worker_connections'), 21);

  session.destroy();
  await waitFor('the gateway to miss them', async () => (await gateway.metric('worker_connections')) === 1);
  const lines = haproxy.logs.filter(({ path }) => path === '/connection/websocket');
  t.equal(lines.length, 20, 'a line for each websocket');
  t.equal(await new Http2WebSocket(await connectHttp2(t, haproxy), '/api/publish').status, 404);
});

t.test('limits per source count requests', async (t) => {
  const args = [
    to,
    '--http2',
    '--no-ops-bind',
    '--per-source=5',
    '--per-source-rate=8',
    '--trusted=10.0.0.0/8',
  ];
  const haproxy = await startHaproxy(t, { configFile: await generateConfig(t, args) });
  const session = await connectHttp2(t, haproxy);
  const statuses: number[] = [];
  for (let count = 0; count < 12; count += 1) statuses.push(await new Http2WebSocket(session).status);
  t.same(
    statuses.slice(0, 8),
    Array.from({ length: 8 }, () => 200),
  );
  t.equal(statuses.at(-1), 429);
});

t.test('a reload ends them one after the other, and they come back on a new connection', async (t) => {
  const masterSocket = join(await tempDir(t), 'master.sock');
  const configFile = await generateConfig(t, [to, '--http2', '--no-ops-bind']);
  const haproxy = await startHaproxy(t, { configFile, masterSocket });
  const session = await connectHttp2(t, haproxy);
  const websockets = await Promise.all(Array.from({ length: 10 }, () => talk(session, 'room')));
  let isToldToLeave = false;
  session.on('goaway', () => (isToldToLeave = true));
  const reload = cliRun(['haproxy', 'reload', '--pace=5', '--master', masterSocket]);
  await waitFor('the first to end', () => websockets.some(({ closed }) => closed));
  t.ok(
    websockets.some(({ closed }) => !closed),
    'not all at once',
  );
  t.equal(isToldToLeave, true, 'the next one takes a new connection');
  t.match(await reload, { code: 0, out: /^10 connections of before were ended/ });
  await waitFor('all to have ended', () => websockets.every(({ closed }) => closed));
  const again = await talk(await connectHttp2(t, haproxy), 'room');
  again.send({ id: 3, publish: { channel: 'room', data: 'here again' } });
  await again.heard('here again');
});

/** Two clients of the official SDK in one page, after something else of that origin as any page has it. */
function browserScript(address: string): string {
  return `
    await fetch('https://${address}/', { mode: 'no-cors', credentials: 'include' });
    for (const name of ['first', 'second']) {
      const client = new Centrifuge('wss://${address}/connection/websocket');
      client.on('error', ({ error }) => say(name + ' failed: ' + error.message));
      const subscription = client.newSubscription('room');
      subscription.on('publication', ({ data }) => say(name + ' heard ' + data));
      subscription.on('subscribed', () => say(name + ' is there'));
      subscription.subscribe();
      client.connect();
      await subscription.ready();
      if (name === 'second') await subscription.publish('the browser');
    }`;
}

t.test('a browser with the official client', async (t) => {
  const configFile = await generateConfig(t, [to, '--http2', '--no-ops-bind']);
  const masterSocket = join(await tempDir(t), 'master.sock');
  const haproxy = await startHaproxy(t, { configFile, masterSocket });
  const node = new OfficialClient(t, haproxy.wssUrl, { socket: { ca: haproxy.certificate } });
  const heard = await (await node.connect()).subscribe('room');
  const page = await openPage(t, browserScript(`localhost:${haproxy.port}`));
  await Promise.all(['first', 'second'].map((name) => page.says(`${name} is there`)));
  await heard.next('publication');
  t.same(heard.publications, ['the browser']);
  await Promise.all(['first', 'second'].map((name) => page.says(`${name} heard the browser`)));
  await node.client.publish('room', 'the server');
  await Promise.all(['first', 'second'].map((name) => page.says(`${name} heard the server`)));

  // By other means than ours, so that nobody ends them: the new process only says that no more may come.
  const master = new MasterSocket(masterSocket);
  haproxy.child.signal('SIGUSR2');
  await waitFor('the old process to be left', async () => (await master.processes()).old.length === 1);
  await node.client.publish('room', 'after the reload');
  await Promise.all(['first', 'second'].map((name) => page.says(`${name} heard after the reload`)));
  t.same(page.said.items, [], 'nobody had to come back');

  await page.close();
  const lines = await waitFor('the end of both in the log', () => {
    const found = haproxy.logs.filter(({ path, ua }) => path === '/connection/websocket' && ua !== '');
    return found.length === 2 ? found : undefined;
  });
  t.match(
    lines.map(({ http, ua }) => ({ http, ua })),
    [
      { http: 'HTTP/2.0', ua: /Chrom/ },
      { http: 'HTTP/2.0', ua: /Chrom/ },
    ],
  );
  t.equal(new Set(lines.map(({ port }) => port)).size, 1, 'both in one connection');
});
