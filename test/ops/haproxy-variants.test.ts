// Every choice that `holdfast haproxy` offers: valid without a warning, and official clients talk through it.
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { Child } from '../helpers/child.ts';
import { API_KEY, startGateway } from '../helpers/gateway.ts';
import { generateConfig, type Haproxy, makeCertificate, startHaproxy } from '../helpers/haproxy.ts';
import { freePort } from '../helpers/ports.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

// Two "hosts" that are the same gateway: which one HAProxy chose is in its log.
const directory = await tempDir(t);
const unixSocket = join(directory, 'gateway.sock');
const internalPort = await freePort();
const gateway = await startGateway(t, {
  workers: 1,
  config: {
    http_server: { address: '127.0.0.1', port: 0, unix_socket: unixSocket, internal_port: internalPort },
  },
});
const tcp = `127.0.0.1:${gateway.port}/health=${internalPort}`;
const unix = `unix:${unixSocket}/health=${internalPort}`;
const ticketKeys = join(directory, 'ticket.keys');
const stateFile = join(directory, 'server.states');
await writeFile(stateFile, '1\n');
await writeFile(ticketKeys, `${[1, 2, 3].map(() => randomBytes(80).toString('base64')).join('\n')}\n`);
const { siteFile } = await makeCertificate(t);

interface Variant {
  readonly args: readonly string[];
  /** Beside the plain talk of two clients. */
  readonly also?: (
    t: Test,
    haproxy: Haproxy,
    talk: (over?: Talk) => Promise<OfficialClient>,
  ) => Promise<void>;
}

interface Talk {
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Servers of the websockets that ended, as the log names them. */
async function serversOf(haproxy: Haproxy, count: number): Promise<unknown[]> {
  const ended = (): unknown[] =>
    haproxy.logs.filter(({ status }) => status === 101).map(({ server }) => server);
  return waitFor('log lines of websockets', () => (ended().length >= count ? ended() : undefined));
}

async function sameServer(
  t: Test,
  haproxy: Haproxy,
  talks: readonly Promise<OfficialClient>[],
): Promise<void> {
  const before = haproxy.logs.filter(({ status }) => status === 101).length;
  const clients = await Promise.all(talks);
  for (const { client } of clients) client.disconnect();
  const servers = (await serversOf(haproxy, before + talks.length)).slice(before);
  t.equal(new Set(servers).size, 1, `one host: ${servers.join(' ')}`);
}

const VARIANTS: Readonly<Record<string, Variant>> = {
  'leastconn, two hosts': {
    args: [tcp, tcp],
    also: async (t, haproxy, talk) => {
      const clients = [await talk(), await talk(), await talk(), await talk()];
      for (const { client } of clients) client.disconnect();
      const servers = await serversOf(haproxy, 4);
      t.same(new Set(servers), new Set(['host1', 'host2']));
      t.match(haproxy.logs.at(-1), { backend: 'holdfast', path: '/connection/websocket' });
    },
  },
  'one host by UNIX socket': { args: [unix] },
  'many hosts, TCP and UNIX, blue and green': { args: [`a=${tcp},${unix}`, `b=${unix}`, `c=${tcp}`] },
  'URL parameter': {
    args: [tcp, tcp, '--balance=url_param:room'],
    also: (t, haproxy, talk) =>
      sameServer(
        t,
        haproxy,
        [1, 2, 3].map(() => talk({ query: '?room=kitchen' })),
      ),
  },
  header: {
    args: [tcp, tcp, '--balance=header:X-Room'],
    also: (t, haproxy, talk) =>
      sameServer(
        t,
        haproxy,
        [1, 2, 3].map(() => talk({ headers: { 'X-Room': 'kitchen' } })),
      ),
  },
  'source address': {
    args: [tcp, tcp, '--balance=source'],
    also: (t, haproxy, talk) => sameServer(t, haproxy, [talk(), talk(), talk()]),
  },
  cookie: {
    args: [tcp, tcp, '--balance=cookie:PLACE'],
    also: (t, haproxy, talk) =>
      sameServer(
        t,
        haproxy,
        [1, 2, 3].map(() => talk({ headers: { Cookie: 'PLACE=host2' } })),
      ),
  },
  'TLS modern with ticket keys': {
    args: [tcp, '--tls=modern', `--ticket-keys=${ticketKeys}`, `--state-file=${stateFile}`],
    also: async (t, haproxy) => {
      const old = connectTls({
        host: 'localhost',
        port: haproxy.port,
        maxVersion: 'TLSv1.2',
        ca: haproxy.certificate,
      });
      t.teardown(() => old.destroy());
      const refused = await new Promise<string>((resolve) => {
        old.once('error', ({ message }) => resolve(message));
        old.once('secureConnect', () => resolve('accepted'));
      });
      t.match(refused, /protocol version/);
    },
  },
  'text log, no limits, no figures': {
    args: [tcp, '--log=text', '--per-source=0', '--no-ops-bind'],
    also: async (t, haproxy, talk) => {
      (await talk({ query: '?key=confidential' })).client.disconnect();
      await waitFor('a line', () => / GET \/connection\/websocket HTTP\/1\.1$/m.test(haproxy.child.output));
      t.notMatch(haproxy.child.output, 'confidential');
    },
  },
};

for (const [name, { args, also }] of Object.entries(VARIANTS)) {
  t.test(name, async (t) => {
    await valid(t, args);
    const opsArgs = args.includes('--no-ops-bind') ? [] : [`--ops-bind=127.0.0.1:${await freePort()}`];
    const configFile = await generateConfig(t, [...args, ...opsArgs]);
    const haproxy = await startHaproxy(t, { configFile });
    const talk = ({ query = '', headers = {} }: Talk = {}): Promise<OfficialClient> =>
      new OfficialClient(t, haproxy.wssUrl + query, {
        socket: { ca: haproxy.certificate, headers },
      }).connect();
    await also?.(t, haproxy, talk);
    const [speaker, listener] = [await talk(), await talk()];
    const subscription = await listener.subscribe('room');
    await speaker.client.publish('room', { name });
    await waitFor('the publication', () => subscription.publications.length > 0);
    t.same(subscription.publications, [{ name }]);
    await haproxy.child.stop('SIGTERM');
  });
}

t.test('figures and the server API have addresses of their own', async (t) => {
  const [opsPort, apiPort] = [await freePort(), await freePort()];
  const args = [tcp, unix, `--ops-bind=127.0.0.1:${opsPort}`, `--api-bind=127.0.0.1:${apiPort}`];
  await valid(t, args);
  const haproxy = await startHaproxy(t, { configFile: await generateConfig(t, args) });
  const client = new OfficialClient(t, haproxy.wssUrl, { socket: { ca: haproxy.certificate } });
  const subscription = await (await client.connect()).subscribe('news');
  const published = await fetch(`http://127.0.0.1:${apiPort}/api/publish`, {
    method: 'POST',
    headers: { 'X-API-Key': API_KEY, 'Content-Type': 'application/json' },
    body: JSON.stringify({ channel: 'news', data: 1 }),
  });
  t.equal(published.status, 200);
  await waitFor('the publication', () => subscription.publications.length > 0);
  t.equal((await fetch(`http://127.0.0.1:${apiPort}/metrics`)).status, 404);
  const figures = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
  t.match(figures, /haproxy_server_current_sessions\{proxy="holdfast",server="host1"\} \d/);
});

t.test('limits each source, but for those that are trusted', async (t) => {
  const refused = async (trusted: string): Promise<boolean> => {
    const args = [tcp, '--no-ops-bind', '--per-source=1', `--trusted=${trusted}`];
    const haproxy = await startHaproxy(t, { configFile: await generateConfig(t, args) });
    const socket = { ca: haproxy.certificate };
    await new OfficialClient(t, haproxy.wssUrl, { socket }).connect();
    const second = new OfficialClient(t, haproxy.wssUrl, { socket });
    second.client.connect();
    await waitFor('an outcome', () => second.count('error') + second.count('connected') > 0);
    return second.count('error') > 0;
  };
  t.equal(await refused('10.0.0.0/8'), true);
  t.equal(await refused('127.0.0.0/8'), false);
});

/** As production reads it: with root, chroot and the runtime socket. */
async function valid(t: Test, args: readonly string[]): Promise<void> {
  const file = await generateConfig(t, args, [`--certificate=${siteFile}`]);
  const check = new Child(t, 'haproxy', ['-dW', '-c', '-f', file]);
  t.same(await check.exited, { code: 0, signal: null }, check.output);
}
