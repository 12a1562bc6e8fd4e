// The units: valid, as closed as promised, in step with the configuration; installed and removed again; sockets from systemd.
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parseDuration } from '../../src/config/duration.ts';
import { defaultTree } from '../../src/config/reference.ts';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { Child } from '../helpers/child.ts';
import { freePort } from '../helpers/ports.ts';
import { BUILT, MAIN } from '../helpers/program.ts';
import type { Scope } from '../helpers/scope.ts';
import { tempDir } from '../helpers/temp-dir.ts';

// Tests run from the root of the repository.
const FOLDER = join(process.cwd(), 'systemd');
/** What a stop takes beyond the drain. */
const STOP_GRACE_S = 15;

async function run(scope: Scope, command: string, ...args: string[]): Promise<string> {
  const child = new Child(scope, command, args);
  const exit = await child.exited;
  if (exit.code !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${JSON.stringify(exit)}\n${child.output}`);
  return child.output;
}

t.test('exposure as measured by systemd', async (t) => {
  for (const [unit, most] of [
    ['holdfast.service', 1.2],
    ['holdfast@.service', 0.5],
  ] as const) {
    const output = await run(
      t,
      'systemd-analyze',
      'security',
      '--offline=true',
      '--no-pager',
      join(FOLDER, unit),
    );
    const level = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(output)?.[1]);
    t.ok(level <= most, `${unit}: ${level}`);
  }
});

t.test('systemd understands every line', async (t) => {
  const directory = await tempDir(t);
  const keys = ['holdfast-ticket-keys.service', 'holdfast-ticket-keys.timer'];
  const names = ['holdfast.service', 'holdfast@.service', 'holdfast@.socket', ...keys];
  for (const name of names) await copyFile(join(FOLDER, name), join(directory, name));
  const units = ['holdfast.service', 'holdfast@blue.service', 'holdfast@blue.socket', ...keys];
  const output = await run(t, 'systemd-analyze', 'verify', ...units.map((name) => join(directory, name)));
  t.notMatch(output, /holdfast.*(?:Unknown|ignoring|Failed|Invalid)/i);
});

t.test('the stop time-out covers the drain', async (t) => {
  const tree: { shutdown?: { timeout?: unknown } } = defaultTree();
  const drainS = (parseDuration(String(tree.shutdown?.timeout)) ?? 0) / 1000;
  for (const unit of ['holdfast.service', 'holdfast@.service']) {
    const text = await readFile(join(FOLDER, unit), 'utf8');
    t.equal(Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1]), drainS + STOP_GRACE_S, unit);
    t.match(text, /^KillMode=mixed$/m);
  }
});

t.test('every kernel setting has its reason', async (t) => {
  const lines = (await readFile(join(FOLDER, 'sysctl.d/90-holdfast.conf'), 'utf8')).split('\n').slice(2);
  const groups = lines
    .join('\n')
    .trim()
    .split(/(?<=^[^#\n].*)\n(?=#)/m);
  for (const group of groups) t.match(group, /^# .+[.?]/m, group);
  t.ok(groups.length > 8);
});

t.test('installs, installs again without a change, and uninstalls', async (t) => {
  const root = await tempDir(t);
  // A tree of its own: other tests may build the program at the same time.
  const source = await tempDir(t);
  for (const name of ['systemd', 'docs', 'package.json', 'package-lock.json'])
    await cp(join(process.cwd(), name), join(source, name), { recursive: true });
  await cp(BUILT, join(source, 'dist'), { recursive: true });
  const install = (...args: string[]): Promise<string> =>
    run(t, join(source, 'systemd/install.sh'), '--root', root, ...args);
  const unit = join(root, 'etc/systemd/system/holdfast.service');
  t.match(await install('--dry-run'), /^\+ install .*holdfast\.service$/m);
  t.notOk(existsSync(join(root, 'etc')), 'a dry run does nothing');
  await install();
  t.equal(await readFile(unit, 'utf8'), await readFile(join(FOLDER, 'holdfast.service'), 'utf8'));
  const { mode } = await stat(join(root, 'opt/holdfast/dist/main.js'));
  t.equal(mode & 0o777, 0o755, 'a program for everybody');
  const config = join(root, 'etc/holdfast/holdfast.yaml');
  await writeFile(config, 'workers: 2\n');
  t.notMatch(await install(), /^\+/m, 'nothing to do');
  t.equal(await readFile(config, 'utf8'), 'workers: 2\n');
  await writeFile(unit, 'changed');
  t.equal((await install()).match(/^\+/gm)?.length, 1, 'one thing to do');

  // Both colours share the program until one is given a version of its own.
  const main = (colour: string): string => join(root, `opt/holdfast-${colour}/dist/main.js`);
  const linked = await readlink(join(root, 'opt/holdfast-green'));
  t.equal(linked, 'holdfast');
  const built = await readFile(main('green'), 'utf8');
  await writeFile(join(source, 'dist/main.js'), 'newer');
  await install('--colour', 'green');
  t.equal(await readFile(main('green'), 'utf8'), 'newer');
  t.equal(await readFile(main('blue'), 'utf8'), built, 'blue is as it was');
  t.notMatch(await install('--colour', 'green'), /^\+/m, 'nothing to do');
  await t.rejects(install('--colour', 'red'), /--colour is blue or green\nusage/);
  await t.rejects(install('--colour'), /"code":2.*\n.*--colour is blue or green/);
  await t.rejects(install('--frob'), /unknown argument --frob\nusage/);
  await t.rejects(install('--uninstall', '--colour', 'green'), /leave --colour out/);
  t.ok(existsSync(unit), 'nothing is taken away then');

  await install('--uninstall');
  for (const path of [
    unit,
    join(root, 'opt/holdfast'),
    join(root, 'opt/holdfast-green'),
    join(root, 'etc/sysctl.d/90-holdfast.conf'),
  ]) {
    t.notOk(existsSync(path), path);
  }
  t.ok(existsSync(config), 'the configuration stays');
});

/** Programs of the system that an installation calls, and an npm that is told whether it has a network. */
const STAND_INS = `
cd "$1" && mkdir bin && PATH=$PWD/bin:$PATH
for name in systemctl sysctl useradd chown; do ln -s /bin/true bin/$name; done
printf '%s\\n' '#!/bin/sh' '[ -n "$NETWORK" ] && mkdir -p "$3/node_modules/ws"' > bin/npm && chmod +x bin/npm
for place in /opt /etc; do mount -t tmpfs none $place; done
umask 077
systemd/install.sh > log 2>&1 && exit 1
[ ! -e /opt/holdfast/dist ] || exit 2
NETWORK=1 systemd/install.sh > log 2>&1 || exit 3
[ -d /opt/holdfast/node_modules/ws ] && [ -x /opt/holdfast/dist/main.js ] || exit 4
[ "$(stat -c %a /opt/holdfast /opt/holdfast/node_modules/ws | sort -u)" = 755 ] || exit 5
! NETWORK=1 systemd/install.sh | grep npm || exit 6
echo >> package-lock.json
NETWORK=1 systemd/install.sh | grep npm || exit 7
`;

t.test('packages come whole or not at all, and anew only when they are others', async (t) => {
  const source = await tempDir(t);
  for (const name of ['systemd', 'docs', 'package.json', 'package-lock.json'])
    await cp(join(process.cwd(), name), join(source, name), { recursive: true });
  await mkdir(join(source, 'dist'));
  await writeFile(join(source, 'dist/main.js'), '');
  const asRoot = ['--mount', '--map-root-user'];
  const may = await new Child(t, 'unshare', [...asRoot, 'mount', '-t', 'tmpfs', 'none', '/opt']).exited;
  if (may.code !== 0) {
    t.comment('not gone through here: this user may not mount');
    return;
  }
  const child = new Child(t, 'unshare', [...asRoot, 'bash', '-c', STAND_INS, 'bash', source]);
  t.match(await child.exited, { code: 0 }, child.output);
});

t.test('serves at a socket that systemd opened', async (t) => {
  const directory = await tempDir(t);
  const [port, unused] = [await freePort(), await freePort()];
  const args = ['--set', 'client.insecure=true', '--set', 'workers=1', '--set', `http_server.port=${unused}`];
  const control = join(directory, 'control.sock');
  const service = new Child(t, 'systemd-socket-activate', [
    `--listen=127.0.0.1:${port}`,
    '--fdname=public',
    process.execPath,
    MAIN,
    'serve',
    ...args,
    '--set',
    `control.socket=${control}`,
  ]);
  await service.waitUntil('the socket', () => service.output.includes('Listening on'));
  // Comes before the gateway does, and is not refused.
  const client = await new OfficialClient(t, `ws://127.0.0.1:${port}/connection/websocket`).connect();
  const subscription = await client.subscribe('room');
  await client.client.publish('room', 1);
  await service.waitUntil('the publication', () => subscription.publications.length > 0);
  t.match(service.output, `"listening":["127.0.0.1:${port}"]`);
  t.same(await service.stop('SIGTERM'), { code: 0, signal: null });
});
