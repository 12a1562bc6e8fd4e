// Rules about the machine itself: Node, cores, clock.
import { fault, fine, type Rule, rule, type Verdict } from '../finding.ts';

const LEAST_NODE = [20, 19] as const;

/** Last day with security fixes, by major version: https://github.com/nodejs/Release */
const NODE_ENDS: ReadonlyMap<number, string> = new Map([
  [18, '2025-04-30'],
  [20, '2026-04-30'],
  [22, '2027-04-30'],
  [24, '2028-04-30'],
  [26, '2029-04-30'],
]);

/** Of the clock of Redis against ours: what leases and tokens bear. */
const MAX_CLOCK_OFFSET_MS = 1_000;

const nodeVersion = rule('node-version', ['node'], ({ node }) => {
  const [major = 0, minor = 0] = node.version.replace(/^v/, '').split('.').map(Number);
  const [leastMajor, leastMinor] = LEAST_NODE;
  if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {
    return fault('critical', `Node ${node.version}`, {
      why: `Holdfast is tested from Node ${leastMajor}.${leastMinor} on`,
      change: 'install the current LTS version of Node',
    });
  }
  const end = NODE_ENDS.get(major);
  if (end === undefined && major % 2 === 1) {
    return fault('warning', `Node ${node.version}`, {
      why: 'odd versions of Node have no long-term support',
      change: 'install the current LTS version of Node',
    });
  }
  if (end !== undefined && node.todayMs > Date.parse(`${end}T23:59:59Z`)) {
    return fault('warning', `Node ${node.version}`, {
      why: `it gets no security fixes since ${end}`,
      change:
        'install the current LTS version of Node; then `holdfast upgrade` moves the gateway to it (--node PATH when it lies elsewhere)',
    });
  }
  return fine(`Node ${node.version}`);
});

const workerCount = rule('workers', ['config', 'cores'], ({ config, cores }) => {
  if (config.workers > cores) {
    return fault('warning', `${config.workers} workers on ${cores} cores`, {
      why: 'workers that share a core make each other late',
      change: `workers: ${cores} (or 0, which is that) in the Holdfast config`,
    });
  }
  return fine(`${config.workers} workers on ${cores} cores`);
});

const clockSync = rule('clock', ['clock'], ({ clock }) =>
  clock.synchronised
    ? fine('the clock is synchronised')
    : fault('warning', 'the clock is not synchronised', {
        why: 'tokens are refused too early or accepted too long, and logs of two hosts cannot be laid side by side',
        change: 'apt-get install systemd-timesyncd && timedatectl set-ntp true',
      }),
);

const clockOffset = rule('clock-offset', ['redis'], ({ redis }) =>
  redis.map((server): Verdict => {
    const what = `the clock of Redis at ${server.name} differs by ${Math.abs(server.clockOffsetMs)} ms`;
    if (Math.abs(server.clockOffsetMs) <= MAX_CLOCK_OFFSET_MS) return fine(what);
    return fault('warning', what, {
      why: 'one of the two machines has no synchronised clock: times in publications and logs do not fit together',
      change: 'timedatectl set-ntp true, on both',
    });
  }),
);

export const machineRules: readonly Rule[] = [nodeVersion, workerCount, clockSync, clockOffset];
