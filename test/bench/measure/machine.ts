// Facts about the machine and the versions that a figure belongs to; nothing that names the host.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { descriptorLimit } from '../load/group.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  readonly descriptorsPerProcess: number;
  readonly loadAverage: number;
  readonly versions: Readonly<Record<string, string>>;
}

const PACKAGES = [
  'ws',
  'socket.io',
  '@socket.io/sticky',
  '@socket.io/cluster-adapter',
  '@socket.io/redis-adapter',
  '@socket.io/redis-streams-adapter',
  'ioredis',
];

export function machine(): Machine {
  return {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release().split('-')[0] ?? ''}`,
    node: process.version,
    descriptorsPerProcess: descriptorLimit(),
    loadAverage: os.loadavg()[0] ?? 0,
    versions: {
      ...Object.fromEntries(PACKAGES.map((name) => [name, installed(name)])),
      redis: redisVersion(),
      holdfast: commit(),
    },
  };
}

function installed(name: string): string {
  const require = createRequire(import.meta.url);
  const folder = require.resolve.paths(name)?.map((path) => `${path}/${name}/package.json`) ?? [];
  for (const file of folder) {
    try {
      const { version }: { version: string } = JSON.parse(readFileSync(file, 'utf8'));
      return version;
    } catch {
      continue;
    }
  }
  return 'not installed';
}

function redisVersion(): string {
  try {
    return (
      /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
    );
  } catch {
    return 'not installed';
  }
}

function commit(): string {
  try {
    const head = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
    const changed = execFileSync('git', ['status', '--porcelain', 'src'], { encoding: 'utf8' }).trim() !== '';
    return changed ? `${head} with changes` : head;
  } catch {
    return 'unknown';
  }
}
