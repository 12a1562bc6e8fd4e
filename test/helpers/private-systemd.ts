// The shipped units under a systemd of their own: process 1 of its own namespaces, which end with the test.
import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Child } from './child.ts';
import { childPids } from './processes.ts';
import { BUILT } from './program.ts';
import type { Scope } from './scope.ts';
import { tempDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

// Tests run from the root of the repository.
const ROOT = process.cwd();
const SCRIPT = join(ROOT, 'test/helpers/private-systemd.sh');
const BOOT_DEADLINE_MS = 60_000;

/** What this machine lacks to boot one; undefined when it can. */
export function whyNoSystemd(): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root';
  const probe = [
    'test -x /lib/systemd/systemd || { echo systemd; exit 1; }',
    'test -x /usr/bin/node || { echo /usr/bin/node; exit 1; }',
    'mount -t cgroup2 cgroup2 /mnt && mount -t proc proc /proc && mount -t sysfs sysfs /sys',
  ].join(' && ');
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', '--pid', '--net', '--ipc', '--uts', '--cgroup', '--fork', 'sh', '-c', probe],
    { encoding: 'utf8' },
  );
  return status === 0 ? undefined : `it needs ${stdout.trim() || stderr.trim() || 'unshare of util-linux'}`;
}

/** What `npm run build` gives, installed by the shipped script below a directory of its own. */
export async function installBelow(scope: Scope): Promise<string> {
  const [source, installed] = [await tempDir(scope), await tempDir(scope)];
  for (const name of ['systemd', 'docs', 'package.json', 'package-lock.json'])
    await cp(join(ROOT, name), join(source, name), { recursive: true });
  await cp(BUILT, join(source, 'dist'), { recursive: true });
  const install = new Child(scope, join(source, 'systemd/install.sh'), ['--root', installed]);
  const { code } = await install.exited;
  if (code !== 0) throw new Error(install.output);
  return installed;
}

export class PrivateSystemd {
  readonly #scope: Scope;
  readonly #boot: Child;
  readonly #pid: number;

  constructor(scope: Scope, boot: Child, pid: number) {
    this.#scope = scope;
    this.#boot = boot;
    this.#pid = pid;
  }

  /** How this machine sees a file of its root. */
  path(name: string): string {
    return `/proc/${this.#pid}/root${name}`;
  }

  /** What a command in there prints; it must succeed. */
  async run(...command: string[]): Promise<string> {
    const begun = this.begin(...command);
    const { code } = await begun.exited;
    if (code !== 0) {
      throw new Error(`${command.join(' ')}: ${code}\n${begun.output}\n${this.#boot.output.slice(-2000)}`);
    }
    return begun.output.trim();
  }

  begin(...command: string[]): Child {
    // Without what the test runner would load into Node.
    const environment = ['env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'];
    return new Child(this.#scope, 'nsenter', [`--target=${this.#pid}`, '--all', ...environment, ...command]);
  }

  /** A property of a unit, as `systemctl show` prints it. */
  show(unit: string, property: string): Promise<string> {
    return this.run('systemctl', 'show', unit, `--property=${property}`, '--value');
  }

  /** Numbers of a unit's processes, as this machine counts them. */
  async processes(unit: string): Promise<number[]> {
    const group = await this.show(unit, 'ControlGroup');
    if (group === '') return [];
    const listed = await this.run('sh', '-c', `cat /sys/fs/cgroup${group}/cgroup.procs 2>/dev/null || true`);
    return listed.split('\n').filter(Boolean).map(Number);
  }
}

export async function startPrivateSystemd(scope: Scope, installed: string): Promise<PrivateSystemd> {
  const place = await tempDir(scope);
  const modules = realpathSync(join(ROOT, 'node_modules'));
  const boot = new Child(scope, SCRIPT, [place, installed, modules]);
  const pid = await boot.waitUntil(
    'process 1',
    () => child(boot.pid, 'unshare').then((pid) => pid && child(pid, 'systemd')),
    BOOT_DEADLINE_MS,
  );
  // Before the shell is ended, which removes the control group.
  scope.teardown(async () => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has not come up.
    }
    await boot.exited;
  });
  const systemd = new PrivateSystemd(scope, boot, pid);
  await waitFor(
    'systemd to be up',
    async () => {
      const asked = systemd.begin('systemctl', 'is-system-running');
      await asked.exited;
      return /^(?:running|degraded)$/m.test(asked.output);
    },
    BOOT_DEADLINE_MS,
  );
  return systemd;
}

/** The child with this name, once it has it. */
async function child(parent: number, name: string): Promise<number | undefined> {
  for (const pid of await childPids(parent).catch(() => [])) {
    const comm = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
    if (comm.trim() === name) return pid;
  }
  return undefined;
}
