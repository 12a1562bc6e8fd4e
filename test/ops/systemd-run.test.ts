// The shipped units, really started: by a systemd of their own where this machine can boot one.
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { stepsOf } from '../helpers/blue-green.ts';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { generateConfig, makeCertificate } from '../helpers/haproxy.ts';
import {
  installBelow,
  type PrivateSystemd,
  startPrivateSystemd,
  whyNoSystemd,
} from '../helpers/private-systemd.ts';
import { waitFor } from '../helpers/wait-for.ts';

const COLOURS = ['blue', 'green'] as const;
const DEADLINE_MS = 60_000;
const why = whyNoSystemd();
if (why !== undefined) {
  t.comment(`the units are not started here: ${why}. systemd.test.ts still verifies them`);
  t.pass('nothing to start');
}

async function boot(t: Test, files: Readonly<Record<string, string>>): Promise<PrivateSystemd> {
  const installed = await installBelow(t);
  for (const [name, content] of Object.entries(files)) await writeFile(join(installed, name), content);
  return startPrivateSystemd(t, installed);
}

async function dropIn(systemd: PrivateSystemd, unit: string, lines: readonly string[]): Promise<void> {
  const directory = `/etc/systemd/system/${unit}.d`;
  await systemd.run('mkdir', '-p', directory);
  await writeFile(systemd.path(`${directory}/test.conf`), ['[Service]', ...lines, ''].join('\n'));
  await systemd.run('systemctl', 'daemon-reload');
}

const connected = (t: Test, systemd: PrivateSystemd, socket: string): Promise<OfficialClient> =>
  new OfficialClient(t, `ws+unix:${systemd.path(socket)}:/connection/websocket`, {
    options: { minReconnectDelay: 50, maxReconnectDelay: 500 },
  }).connect();

async function heard(client: OfficialClient, channel: string): Promise<boolean> {
  const subscription = client.client.getSubscription(channel) ?? client.client.newSubscription(channel);
  const arrived = new Promise<boolean>((resolve) => {
    subscription.once('publication', () => resolve(true));
  });
  subscription.subscribe();
  await subscription.ready();
  await subscription.publish(1);
  return arrived;
}

if (why === undefined) {
  t.test('starts, moves its connections, is watched, and drains', async (t) => {
    const systemd = await boot(t, {
      'etc/holdfast/holdfast.yaml': [
        'workers: 1',
        'client: { insecure: true }',
        'http_server: { unix_socket: /run/holdfast/gateway.sock }',
        'shutdown: { timeout: 3s }',
      ].join('\n'),
    });
    const unit = 'holdfast.service';
    await dropIn(systemd, unit, ['StandardOutput=append:/run/holdfast.log', 'WatchdogSec=8']);
    const logged = (word: string): Promise<boolean> =>
      systemd.run('grep', '-c', word, '/run/holdfast.log').then(
        () => true,
        () => false,
      );

    // Type=notify: it returns when clients are served.
    await systemd.run('systemctl', 'start', unit);
    t.equal(await systemd.show(unit, 'ActiveState'), 'active');
    t.match(await systemd.show(unit, 'StatusText'), /^serving at .*gateway\.sock/);
    const mainPid = await systemd.show(unit, 'MainPID');
    const client = await connected(t, systemd, '/run/holdfast/gateway.sock');
    t.equal(await heard(client, 'room'), true);
    const control = 'HOLDFAST_CONTROL_SOCKET=/run/holdfast/control.sock';
    t.match(await systemd.run('env', control, 'node', '/opt/holdfast/dist/main.js', 'status'), /serving/);

    // ExecReload: new workers, the same connections.
    const before = await systemd.processes(unit);
    await systemd.run('systemctl', 'reload', unit);
    await waitFor(
      'other workers',
      async () => {
        const now = await systemd.processes(unit);
        return now.length === before.length && now.some((pid) => !before.includes(pid));
      },
      DEADLINE_MS,
    );
    await waitFor('an end of RELOADING', async () => (await systemd.show(unit, 'ActiveState')) === 'active');
    t.equal(await systemd.show(unit, 'MainPID'), mainPid, 'the same primary');
    t.equal(await heard(client, 'room'), true);
    t.equal(client.count('connected'), 1, 'nobody has noticed');

    // Another primary, which systemd follows from now on.
    await systemd.run('env', control, 'node', '/opt/holdfast/dist/main.js', 'upgrade');
    const nextPid = await systemd.show(unit, 'MainPID');
    t.not(nextPid, mainPid);
    await waitFor(
      'the end of the old one',
      async () => !(await systemd.processes(unit)).some((pid) => String(pid) === mainPid),
      DEADLINE_MS,
    );
    t.equal(await systemd.show(unit, 'ActiveState'), 'active');
    t.equal(await systemd.show(unit, 'NRestarts'), '0');
    t.equal(await heard(client, 'room'), true);
    t.equal(client.count('connected'), 1, 'nobody has noticed that either');

    // The watchdog is fed only while workers answer.
    const worker = (await systemd.processes(unit)).find((pid) => String(pid) !== nextPid);
    await systemd.run('kill', '-STOP', String(worker));
    await waitFor(
      'systemd to start it again',
      async () => (await systemd.show(unit, 'NRestarts')) === '1',
      DEADLINE_MS,
    );
    await waitFor('the client to be back', () => client.count('connected') === 2, DEADLINE_MS);

    // KillMode=mixed: the primary alone is asked, and drains.
    const leaving = systemd.run('systemctl', 'stop', unit);
    await client.next('connecting', DEADLINE_MS);
    await leaving;
    t.equal(await systemd.show(unit, 'Result'), 'success');
    t.equal(await logged('"msg":"drained"'), true);
    t.same(await systemd.processes(unit), []);
  });

  t.test('`holdfast deploy` with the template as it is: sockets of systemd, no network', async (t) => {
    const colour = [
      'workers: 1',
      'client: { insecure: true }',
      'http_api: { key: secret }',
      'engine: { type: redis, redis: { address: "unix:///run/redis.sock" } }',
      'shutdown: { timeout: 3s }',
    ].join('\n');
    const systemd = await boot(t, { 'etc/holdfast/blue.yaml': colour, 'etc/holdfast/green.yaml': colour });
    const redis = '--port 0 --unixsocket /run/redis.sock --unixsocketperm 777'.split(' ');
    systemd.begin('redis-server', ...redis, '--save', '');
    const { certificate, siteFile } = await makeCertificate(t);
    const pair = COLOURS.map((each) => `unix:/run/holdfast-sockets/${each}.sock`).join(',');
    const place = ['--no-privileged', '--maxconn=500', '--certificate=/run/site.pem'];
    const configFile = await generateConfig(t, [`a=${pair}`, '--no-ops-bind'], place);
    const written = await readFile(configFile, 'utf8');
    const opened = 'global\n    stats socket /run/haproxy/admin.sock level admin\n';
    await writeFile(systemd.path('/run/haproxy.cfg'), written.replace('global\n', opened));
    await writeFile(systemd.path('/run/site.pem'), await readFile(siteFile, 'utf8'));
    await writeFile(systemd.path('/run/ca.pem'), certificate);
    const haproxy = systemd.begin('haproxy', '-db', '-f', '/run/haproxy.cfg');
    await haproxy.waitUntil('its socket', () => existsSync(systemd.path('/run/haproxy/admin.sock')));

    const program = ['node', '/opt/holdfast/dist/main.js', 'deploy', '--ca=/run/ca.pem', '--settle=500ms'];
    const states = (of: string): Promise<string> =>
      systemd.run(
        'sh',
        '-c',
        `systemctl is-active holdfast@${of}.socket holdfast@${of}; systemctl is-enabled holdfast@${of} || true`,
      );
    for (const [serving, stopped] of [COLOURS, COLOURS.toReversed()] as const) {
      const output = await systemd.run(...program, '--json');
      t.equal(stepsOf(output).at(-1), 'deployed', output);
      t.equal(await states(serving), 'active\nactive\nenabled', serving);
      t.equal(await states(stopped), 'inactive\ninactive\ndisabled', stopped);
    }
    const status = await systemd.run(...program, '--status');
    t.match(status, /blue: stopped\ngreen: serving[^]*a-blue: MAINT[^]*a-green: UP/);
  });
}
