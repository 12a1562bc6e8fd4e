// The real pm2 with the shipped ecosystem.config.js: start waits until clients are served, SIGHUP moves them, stop drains.
import { spawnSync } from 'node:child_process';
import { copyFile, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { z } from 'zod';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { Child } from '../helpers/child.ts';
import { logLines } from '../helpers/gateway.ts';
import { freePort } from '../helpers/ports.ts';
import { childPids, residentBytes } from '../helpers/processes.ts';
import { BUILT } from '../helpers/program.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

// Tests run from the root of the repository.
const ROOT = process.cwd();
const BIN = join(ROOT, 'node_modules/pm2/bin');
/** pm2 starts a daemon of its own first, perhaps on a machine that does other things. */
const START_DEADLINE_MS = 60_000;

/** What pm2 gives a process by default before it kills it. */
const PM2_PATIENCE_MS = 1600;
/** Their leaving takes longer, at the pace of `admission.accept_rate`: 2.5 s. */
const CLIENTS = 20;

/** Of pm2's list as JSON, which also holds the environment. */
const processSchema = z
  .tuple([z.object({ pid: z.number(), monit: z.object({ memory: z.number() }) })])
  .transform(([{ pid, monit }]) => ({ pid, memory: monit.memory }));

interface Place {
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  readonly url: string;
}

/** A directory as users have it: the configuration, the built program, and a pm2 that knows nothing else. */
async function project(t: Test): Promise<Place> {
  const directory = await tempDir(t);
  const port = await freePort();
  await copyFile(join(ROOT, 'ecosystem.config.js'), join(directory, 'ecosystem.config.js'));
  await copyFile(join(ROOT, 'package.json'), join(directory, 'package.json'));
  await symlink(BUILT, join(directory, 'dist'));
  const config = {
    workers: 1,
    http_server: { address: '127.0.0.1', port },
    client: { insecure: true },
    control: { socket: join(directory, 'control.sock') },
    shutdown: { timeout: '5s' },
    admission: { accept_rate: CLIENTS / 2.5 },
  };
  await writeFile(join(directory, 'holdfast.json'), JSON.stringify(config));
  return {
    directory,
    env: {
      PM2_HOME: join(directory, 'pm2'),
      PM2_DISABLE_VERSION_CHECK: 'true',
      FORCE_COLOR: '0',
      HOLDFAST_CONFIG: join(directory, 'holdfast.json'),
    },
    url: `ws://127.0.0.1:${port}/connection/websocket`,
  };
}

t.test('start, SIGHUP, stop', async (t) => {
  const { directory, env, url } = await project(t);
  const pm2 = async (...args: string[]): Promise<string> => {
    const child = new Child(t, process.execPath, [join(BIN, 'pm2'), ...args], { cwd: directory, env });
    t.same(await child.exited, { code: 0, signal: null }, `pm2 ${args.join(' ')}`);
    return child.output;
  };
  // The daemon is in a session of its own.
  t.teardown(() => {
    spawnSync(process.execPath, [join(BIN, 'pm2'), 'kill'], {
      env: { ...process.env, ...env },
      stdio: 'ignore',
    });
  });
  const log = (): Promise<string> => readFile(join(directory, 'pm2/logs/holdfast-out.log'), 'utf8');
  const logged = async (message: string): Promise<number> =>
    logLines(await log()).filter(({ msg }) => msg === message).length;

  await pm2('start');
  const client = await new OfficialClient(t, url).connect();
  t.equal(await logged('listening'), 1, 'start returns when clients are served');

  await pm2('sendSignal', 'SIGHUP', 'holdfast');
  await waitFor('the new worker', async () => (await logged('worker ready')) === 2);
  const subscription = await client.subscribe('room');
  await client.client.publish('room', 1);
  await waitFor('the publication', () => subscription.publications.length > 0);
  t.equal(client.count('connected'), 1, 'the connection has moved');

  // It counts the memory of the primary alone: restarting by it would not find a worker that grows.
  const { pid, memory } = processSchema.parse(JSON.parse(await pm2('jlist')));
  const [primaryBytes, allBytes] = [
    await residentBytes([pid]),
    await residentBytes([pid, ...(await childPids(pid))]),
  ];
  t.ok(memory < (primaryBytes + allBytes) / 2, `${memory} of ${allBytes}, the primary ${primaryBytes}`);

  // No overlap: the host is out while it drains.
  await pm2('reload', 'holdfast');
  t.equal(await logged('drained'), 1, 'it leaves');
  t.equal(await logged('listening'), 2, 'and comes');
  await waitFor('the client to come back', () => client.count('connected') === 2, START_DEADLINE_MS);

  await Promise.all(Array.from({ length: CLIENTS }, () => new OfficialClient(t, url).connect()));
  await pm2('stop', 'holdfast');
  t.equal(await logged('drained'), 2, 'stop returns after the drain');
  const [, { tookMs } = {}] = logLines(await log()).filter(({ msg }) => msg === 'drained');
  t.ok(Number(tookMs) > PM2_PATIENCE_MS, `kill_timeout lets it finish: ${String(tookMs)} ms`);
  // Of pm2's own words: its list as JSON also holds the environment, which is nobody's business.
  t.match(await pm2('describe', 'holdfast'), /status\s+│ stopped[^]*unstable restarts\s+│ 0 /);
  const lines = (await log()).trim().split('\n');
  t.equal(logLines(await log()).length, lines.length, 'every line is JSON');
});

t.test('pm2-runtime, for containers', async (t) => {
  const { directory, env, url } = await project(t);
  const runtime = new Child(t, process.execPath, [join(BIN, 'pm2-runtime'), 'start', 'ecosystem.config.js'], {
    cwd: directory,
    env,
  });
  await runtime.waitUntil('the gateway', () => runtime.output.includes('"listening"'), START_DEADLINE_MS);
  await new OfficialClient(t, url).connect();
  t.same(await runtime.stop('SIGTERM'), { code: 0, signal: null }, runtime.output);
  t.match(runtime.output, '"msg":"drained"');
});
