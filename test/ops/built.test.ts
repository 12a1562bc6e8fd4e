// What `npm run build` makes, as somebody has it who installed the package: their application imports `holdfast/app`, and what
// goes wrong is told in lines of the sources.
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Child } from '../helpers/child.ts';
import { startGateway } from '../helpers/gateway.ts';
import { childPids } from '../helpers/processes.ts';
import { BUILT, BUILT_MAIN } from '../helpers/program.ts';
import { ProtocolClient } from '../helpers/protocol-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

// Tests run from the root of the repository.
const MANIFEST = join(process.cwd(), 'package.json');

const APP = `
import { AppError, defineApp } from 'holdfast/app';
export default defineApp({
  rpc: {
    refuse: () => { throw new AppError(1000, 'not today'); },
    fail: () => { throw new Error('broken'); },
  },
});
`;

t.test('an application, its answers and its traces', async (t) => {
  const directory = await tempDir(t);
  const installed = join(directory, 'node_modules/holdfast');
  await mkdir(installed, { recursive: true });
  await copyFile(MANIFEST, join(installed, 'package.json'));
  await symlink(BUILT, join(installed, 'dist'));
  const module = join(directory, 'app.mjs');
  await writeFile(module, APP);
  const gateway = await startGateway(t, {
    workers: 1,
    env: { NODE_OPTIONS: '--enable-source-maps' },
    config: { app: { module } },
  });
  const client = await ProtocolClient.connected(t, gateway.wsUrl);
  t.hasStrict(await client.command('rpc', { method: 'refuse' }), {
    error: { code: 1000, message: 'not today' },
  });
  t.hasStrict(await client.command('rpc', { method: 'fail' }), { error: { code: 100 } });
  const trace = await waitFor(
    'the trace',
    () => /"stack":"[^"]*broken[^"]*"/.exec(gateway.child.output)?.[0],
  );
  t.match(trace, join(directory, 'app.mjs:6'));
  t.match(trace, /\/src\/hooks\/app\/[\w-]+\.ts:\d+/);
  const { output } = await gateway.command(t, 'reload');
  t.match(output, /reloaded/);
});

t.test('on a terminal it logs for people', async (t) => {
  const directory = await tempDir(t);
  const command = `exec '${process.execPath}' '${BUILT_MAIN}' serve --dev --port 0 --workers 1`;
  const gateway = new Child(t, 'script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { HOLDFAST_CONTROL_SOCKET: join(directory, 'control.sock') },
  });
  // In a session of its own: the end of the terminal means nothing to it.
  t.teardown(async () => {
    if (gateway.exit !== undefined) return;
    for (const pid of await childPids(gateway.pid)) process.kill(pid, 'SIGKILL');
  });
  await gateway.waitUntil('a worker', () => /INFO[^\n]*worker ready/.test(gateway.output));
  t.notMatch(gateway.output, '{"level"');
  const [primary = 0] = await childPids(gateway.pid);
  process.kill(primary, 'SIGTERM');
  t.match(await gateway.exited, { code: 0 });
});

t.test('says which version it is, and how to use it', async (t) => {
  const run = async (...args: string[]): Promise<string> => {
    const child = new Child(t, process.execPath, [BUILT_MAIN, ...args]);
    t.match(await child.exited, { code: 0 });
    return child.output;
  };
  t.match(await run('--version'), /^\d+\.\d+\.\d+\n$/);
  t.match(await run('--help'), /serve[^]*drain[^]*doctor/);
  t.match(await run('defaults'), /^http_server:/m);
});
