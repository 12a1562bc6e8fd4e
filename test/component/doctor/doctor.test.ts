import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import { connectControl } from '../../../src/cluster/control/control-client.ts';
import { RULES } from '../../../src/doctor/diagnose.ts';
import type { Finding } from '../../../src/doctor/finding.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { isFields } from '../../../src/util/fields.ts';
import { processLives } from '../../../src/util/process-lives.ts';
import { Child } from '../../helpers/child.ts';
import { cliRun } from '../../helpers/cli-run.ts';
import { HAPROXY_TEXT, UNIT_TEXT } from '../../helpers/healthy-host.ts';
import { MAIN } from '../../helpers/program.ts';
import { startRedis } from '../../helpers/redis.ts';
import type { Scope } from '../../helpers/scope.ts';
import { tempDir } from '../../helpers/temp-dir.ts';
import { waitFor } from '../../helpers/wait-for.ts';

/** Rules about what no shipped file decides. */
const OF_THIS_MACHINE = ['node-version', 'clock'];

/** A machine as the doctor reads it: a directory with /proc and /etc. */
async function machine(scope: Scope, over: Readonly<Record<string, string>> = {}): Promise<string> {
  const root = await tempDir(scope);
  const files = {
    'proc/sys/net/core/somaxconn': '16384\n',
    'proc/sys/net/ipv4/tcp_max_syn_backlog': '16384\n',
    'proc/sys/net/ipv4/ip_local_port_range': '32768\t60999\n',
    'proc/sys/net/ipv4/ip_local_reserved_ports': '\n',
    'proc/sys/net/netfilter/nf_conntrack_max': '1048576\n',
    'proc/sys/fs/nr_open': '1048576\n',
    'proc/sys/fs/file-max': '9000000\n',
    'proc/meminfo': 'MemTotal:       64000000 kB\nMemAvailable:   60000000 kB\n',
    'etc/haproxy/haproxy.cfg': HAPROXY_TEXT,
    'etc/systemd/system/holdfast.service': UNIT_TEXT,
    'lib/systemd/system/haproxy.service': '[Service]\nLimitNOFILE=200000\n',
    ...over,
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

interface Report {
  readonly worst: string;
  readonly findings: readonly Finding[];
  readonly capacity: {
    readonly totalBytes: number;
    readonly figures: { readonly connectionBytes: number };
  } | null;
}

t.test('the real command on a host with faults, with a real Redis', async (t) => {
  const redis = await startRedis(t, {
    'client-output-buffer-limit': 'pubsub 1mb 512kb 10',
    'tcp-keepalive': 300,
  });
  const root = await machine(t, {
    'proc/sys/net/core/somaxconn': '128\n',
    'etc/haproxy/haproxy.cfg': HAPROXY_TEXT.replace('tunnel 75s', 'tunnel 20s'),
    'etc/systemd/system/holdfast.service.d/stop.conf': '[Service]\nTimeoutStopSec=10\n',
  });
  const child = new Child(t, process.execPath, [MAIN, 'doctor', '--root', root, '--json'], {
    env: {
      HOLDFAST_ENGINE_TYPE: 'redis',
      HOLDFAST_ENGINE_REDIS_ADDRESS: `unix://${redis.path}`,
      HOLDFAST_CLIENT_CONNECTION_LIMIT: '20000',
      HOLDFAST_CONTROL_SOCKET: join(root, 'nobody.sock'),
    },
  });
  t.match(await child.exited, { code: 4 }, child.output);
  t.match(child.output, /holdfast: the worst finding is critical \(\d+ of them\)/);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked below
  const report = JSON.parse(child.output.slice(0, child.output.lastIndexOf('}') + 1)) as Report;
  t.equal(report.worst, 'critical');
  t.equal(report.capacity, null);
  const critical = report.findings.filter(({ severity }) => severity === 'critical').map(({ rule }) => rule);
  t.same(critical.toSorted(), ['backlog', 'redis-output-buffer', 'stop-timeout', 'tunnel-timeout']);
  const warnings = report.findings.filter(({ severity }) => severity === 'warning').map(({ rule }) => rule);
  t.ok(warnings.includes('redis-keepalive'), warnings.join(' '));
  for (const { id } of RULES)
    t.ok(
      report.findings.some(({ rule }) => rule === id),
      id,
    );
});

t.test('a host in order, and the arithmetic of its connections', async (t) => {
  const root = await machine(t);
  const clock = { ...systemClock, wallMs: () => Date.parse('2026-01-01') };
  const { PATH = '' } = process.env;
  const environment = {
    PATH,
    HOLDFAST_WORKERS: '1',
    HOLDFAST_CLIENT_CONNECTION_LIMIT: '20000',
    HOLDFAST_CLIENT_CONNECTION_RATE_LIMIT: '500',
    HOLDFAST_CONTROL_SOCKET: join(root, 'nobody.sock'),
  };
  const run = await cliRun(['doctor', '--root', root, '--connections', '20000', '--sample', '200'], {
    environment,
    clock,
  });
  t.notOk(/CRITICAL/.test(run.out), run.out);
  t.match(run.out, /memory for 20000 connections/);
  t.match(run.out, /20000 × \d+\.\d kB \(measured\)/);
  t.match(run.out, 'Measured with 200 connections to one worker');
  t.match(run.out, 'all are back within 40s');
});

t.test('interrupted while it measures, it leaves neither process nor file behind', async (t) => {
  const root = await machine(t);
  const child = new Child(
    t,
    process.execPath,
    [MAIN, 'doctor', '--root', root, '--connections', '10', '--sample', '100000'],
    { env: { TMPDIR: root, HOLDFAST_CONTROL_SOCKET: join(root, 'nobody.sock') } },
  );
  const places = async (): Promise<readonly string[]> =>
    (await readdir(root)).filter((name) => name.startsWith('holdfast-'));
  let place: string | undefined;
  // Its control socket: the gateway of the measurement runs.
  await waitFor('the measurement', async () => {
    [place] = await places();
    return place !== undefined && (await readdir(join(root, place))).includes('control.sock');
  });
  const control = await connectControl(join(root, place ?? '', 'control.sock'));
  const status = await control.request('status');
  control.close();
  t.match(await child.stop('SIGTERM'), { code: 75 }, child.output);
  t.match(child.output, /interrupted/);
  t.same(await places(), []);
  const pid = isFields(status) ? Number(status['pid']) : 0;
  t.ok(pid > 0);
  t.notOk(processLives(pid));
});

t.test('what this project ships is in order', async (t) => {
  t.same(await faultsWith(t, await readFile('haproxy/haproxy.cfg', 'utf8')), []);
});

t.test('and so is what it prints with a way to the API for back ends', async (t) => {
  const args = [
    'a=10.0.0.1:8000,10.0.0.1:8001',
    'b=10.0.0.2:8000,10.0.0.2:8001',
    '--api-bind=10.0.0.9:9080',
    '--ticket-keys=/etc/haproxy/ticket.keys',
  ];
  const printed = await cliRun(['haproxy', ...args], { environment: LIMITED });
  t.match(printed.out, 'backend holdfast_api');
  t.same(await faultsWith(t, printed.out), []);
});

const LIMITED = { HOLDFAST_CLIENT_CONNECTION_LIMIT: '20000' };

/** Rules that find a fault where this is the haproxy.cfg, and everything else is as shipped. */
async function faultsWith(t: Scope, haproxyText: string): Promise<readonly string[]> {
  const files: Record<string, string> = {
    'etc/haproxy/haproxy.cfg': haproxyText,
    'etc/systemd/system/holdfast.service': await readFile('systemd/holdfast.service', 'utf8'),
    'lib/systemd/system/haproxy.service': '[Service]\nType=notify\n',
    'etc/systemd/system/haproxy.service.d/holdfast.conf': await readFile(
      'systemd/haproxy.service.d/holdfast.conf',
      'utf8',
    ),
  };
  const settings = await readFile('systemd/sysctl.d/90-holdfast.conf', 'utf8');
  for (const [, name = '', value = ''] of settings.matchAll(/^-?([a-z0-9_.]+) = (.+)$/gm)) {
    files[`proc/sys/${name.replaceAll('.', '/')}`] = `${value}\n`;
  }
  const root = await machine(t, files);
  const { out } = await cliRun(['doctor', '--root', root, '--json'], {
    environment: {
      HOLDFAST_WORKERS: '1',
      ...LIMITED,
      HOLDFAST_CONTROL_SOCKET: join(root, 'nobody.sock'),
    },
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is compared below
  const { findings } = JSON.parse(out) as Report;
  const bad = findings.filter(({ rule, severity }) => {
    return (severity === 'warning' || severity === 'critical') && !OF_THIS_MACHINE.includes(rule);
  });
  return bad.map(({ rule }) => rule);
}

t.test('without anything to read it says what it does not know', async (t) => {
  const root = await tempDir(t);
  const run = await cliRun(['doctor', '--root', root, '--all'], {
    environment: { HOLDFAST_CONTROL_SOCKET: join(root, 'nobody.sock') },
  });
  t.match(run.out, /not known {2}tunnel-timeout: .*haproxy\.cfg cannot be read \(--haproxy FILE\)/);
  t.match(run.out, /not known {2}kill-mode: no unit holdfast\.service is installed here/);
  t.match(run.out, /not known {2}backlog: net\.core\.somaxconn cannot be read here/);
  t.match(run.out, /in order {2}workers/);
  const environment = { HOLDFAST_CONTROL_SOCKET: join(root, 'nobody.sock') };
  for (const [flag, value, message] of [
    ['--haproxy', join(root, 'x.cfg'), /x\.cfg cannot be read \(--haproxy FILE\): ENOENT/],
    ['--unit', './y.service', /\.\/y\.service cannot be read/],
    ['--unit', 'nobody', /no unit nobody\.service is installed here/],
    ['--root', join(root, 'z'), /there is no such directory/],
  ] as const) {
    // What was named has to be there, and nothing is measured before that is known.
    const named = await cliRun(['doctor', '--root', root, flag, value, '--connections', '1'], {
      environment,
    });
    t.match(named, { code: 78, out: '', err: message }, flag);
    t.notMatch(named.err, /measuring/);
  }
  t.match(await cliRun(['doctor', '--connections', 'many']), { code: 2, err: /Write a whole number from 1/ });
  t.match(await cliRun(['doctor'], { environment: { HOLDFAST_WORKERS: 'x' } }), { code: 78 });
});
