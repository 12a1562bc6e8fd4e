// History of the embedded engine over a planned restart: the same clients come back and miss nothing.
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { OfficialClient, type OfficialSubscription } from '../helpers/centrifuge.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { freePort } from '../helpers/ports.ts';
import type { Scope } from '../helpers/scope.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CHANNELS = { without_namespace: { history_size: 100, history_ttl: '600s', force_recovery: true } };
const FAST_RECONNECT = { minReconnectDelay: 20, maxReconnectDelay: 200 };

interface Host {
  readonly port: number;
  readonly stateDirectory: string;
}

async function newHost(scope: Scope): Promise<Host & { readonly file: string }> {
  const port = await freePort();
  const stateDirectory = await tempDir(scope);
  return { port, stateDirectory, file: join(stateDirectory, `history-${port}.snapshot`) };
}

function start(scope: Scope, { port, stateDirectory }: Host): Promise<Gateway> {
  return startGateway(scope, {
    env: { STATE_DIRECTORY: stateDirectory },
    config: { http_server: { port }, channel: CHANNELS },
  });
}

async function publish(gateway: Gateway, ...numbers: readonly number[]): Promise<void> {
  for (const n of numbers) await gateway.api('publish', { channel: 'news', data: { n } });
}

async function untilSeen(subscription: OfficialSubscription, count: number): Promise<void> {
  await waitFor(`${count} publications`, () => subscription.publications.length >= count);
}

t.test('a client recovers over a planned restart, with its epoch and offset', async (t) => {
  const host = await newHost(t);
  const first = await start(t, host);
  const options = FAST_RECONNECT;
  const client = await new OfficialClient(t, first.wsUrl, { options }).connect();
  const subscription = await client.subscribe('news');
  await publish(first, 1, 2, 3);
  await untilSeen(subscription, 3);
  client.client.disconnect();
  await client.next('disconnected');
  await publish(first, 4, 5);
  t.same(await first.stop(), { code: 0, signal: null });
  const [kept] = first.logged('history kept for the next run');
  t.hasStrict(kept, { level: 'info' });
  t.same(await readdir(host.stateDirectory), [`history-${host.port}.snapshot`]);

  const second = await start(t, host);
  const [takenUp] = second.logged('history of the last run taken up');
  t.match(takenUp, { streams: kept?.['streams'], publications: kept?.['publications'] });
  t.same(await readdir(host.stateDirectory), [], 'after a crash it is not used a second time');
  await publish(second, 6);
  client.client.connect();
  t.hasStrict(await subscription.next('subscribed'), { wasRecovering: true, recovered: true });
  await untilSeen(subscription, 6);
  t.same(
    subscription.publications,
    [1, 2, 3, 4, 5, 6].map((n) => ({ n })),
  );
});

t.test('a damaged file is set aside with a warning, and clients are told', async (t) => {
  const host = await newHost(t);
  const first = await start(t, host);
  const client = await new OfficialClient(t, first.wsUrl, { options: FAST_RECONNECT }).connect();
  const subscription = await client.subscribe('news');
  await publish(first, 1);
  await untilSeen(subscription, 1);
  await first.stop();
  const bytes = await readFile(host.file);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await writeFile(host.file, bytes);

  const second = await start(t, host);
  t.match(second.logged('history of the last run cannot be used: it was set aside'), [
    { level: 'warn', reason: 'its checksum is wrong' },
  ]);
  const [setAside = ''] = await readdir(host.stateDirectory);
  t.match(setAside, /^history-\d+\.snapshot\.damaged-\d{8}T\d{6}\.\d{3}Z$/);
  t.same(await readFile(join(host.stateDirectory, setAside)), bytes);
  const again = await subscription.next('subscribed');
  t.hasStrict(again, { wasRecovering: true, recovered: false });
  t.same((await second.stop()).code, 0);
});

t.test('a start that fails loses nothing', async (t) => {
  const port = await freePort();
  const file = join(await tempDir(t), 'kept.snapshot');
  const config = {
    http_server: { port },
    channel: CHANNELS,
    engine: { memory: { snapshot_file: file } },
  };
  const first = await startGateway(t, { config });
  await publish(first, 1, 2);
  await first.stop();
  const other = createServer().listen(port, '127.0.0.1');
  await once(other, 'listening');
  const { exit, output } = await first.command(t, 'serve');
  t.not(exit.code, 0, output.slice(-200));
  other.close();
  await once(other, 'close');
  const second = await startGateway(t, { config });
  t.match(await second.api('history', { channel: 'news', limit: 10 }), {
    result: { offset: 2, publications: [{ data: { n: 1 } }, { data: { n: 2 } }] },
  });
  // A crash is no planned end: what was read at the start is of the past.
  second.child.signal('SIGKILL');
  await second.child.exited;
  await t.rejects(readFile(file), { code: 'ENOENT' });
});

t.test('without a place to keep it, history ends with the process', async (t) => {
  const first = await startGateway(t, { config: { channel: CHANNELS } });
  await publish(first, 1);
  await first.stop();
  t.same(first.logged('history kept for the next run'), []);
});
