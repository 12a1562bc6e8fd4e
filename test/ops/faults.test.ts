// Deploys and faults as chance has them, on a gateway in use: where no worker is killed nobody notices, and where there is
// history nobody misses anything. The seed is in the name of each test: `npm run proof:faults` takes it, and a longer time.
import { readdir } from 'node:fs/promises';
import t from 'tap';
import {
  cutFromRedis,
  type Deploy,
  type Fault,
  FAULT_RUN_CHANNELS,
  FaultRun,
  killWorker,
  stopPrimary,
  stopRedis,
  stopWorker,
} from '../helpers/fault-run.ts';
import { startGateway } from '../helpers/gateway.ts';
import { type RedisServer, startRedis } from '../helpers/redis.ts';
import type { Scope } from '../helpers/scope.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { stopCurrent } from '../helpers/upgrading.ts';

const SECONDS = Number(process.env['TEST_SECONDS'] ?? 4);
const SEED = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);
const CLIENTS = 12;
/** Characters of the log that are printed when something is wrong. */
const LOG_SHOWN = 20_000;

interface Case {
  readonly name: string;
  readonly workers: number;
  readonly deploys: readonly Deploy[];
  readonly faults: readonly Fault[];
  readonly redis?: RedisServer;
  readonly losesPassed?: boolean;
}

const ALL: readonly Deploy[] = ['reload', 'upgrade', 'rebalance'];

const EMBEDDED: readonly Case[] = [
  { name: 'deploys alone', workers: 2, deploys: ALL, faults: [] },
  { name: 'processes stand still', workers: 3, deploys: ALL, faults: [stopWorker, stopPrimary] },
  {
    name: 'one worker, killed',
    workers: 1,
    deploys: ['reload', 'upgrade'],
    faults: [killWorker, stopWorker],
  },
  { name: 'of three, killed', workers: 3, deploys: ALL, faults: [killWorker, stopWorker, stopPrimary] },
];

async function withRedis(scope: Scope): Promise<readonly Case[]> {
  const redis = await startRedis(scope);
  const trouble = [stopRedis(redis), cutFromRedis(redis)];
  return [
    { name: 'Redis: deploys and kills', workers: 2, deploys: ALL, faults: [killWorker, stopWorker], redis },
    { name: 'Redis itself', workers: 2, deploys: ALL, faults: trouble, redis, losesPassed: true },
    {
      name: 'all together',
      workers: 3,
      deploys: ALL,
      faults: [...trouble, killWorker, stopWorker, stopPrimary],
      redis,
      losesPassed: true,
    },
  ];
}

for (const each of [...EMBEDDED, ...(await withRedis(t))]) {
  const { name, workers, redis, losesPassed = false } = each;
  // Nothing that a deploy would have to give up for.
  const isDeployable = !losesPassed && !each.faults.includes(killWorker);
  t.test(`${name} (seed ${SEED})`, async (t) => {
    const temporary = await tempDir(t);
    const engine = redis && {
      type: 'redis',
      redis: { address: `unix://${redis.path}`, prefix: name.replaceAll(' ', '-') },
    };
    const gateway = await startGateway(t, {
      workers,
      config: { channel: FAULT_RUN_CHANNELS, ...(engine && { engine }) },
      env: { TMPDIR: temporary },
    });
    const run = new FaultRun(t, { ...each, gateway, losesPassed, seed: SEED, clients: CLIENTS });
    t.teardown(() => {
      if (!t.passing()) t.comment(`${run.diary.join('\n')}\n${gateway.child.output.slice(-LOG_SHOWN)}`);
    });
    const wrong = await run.last(SECONDS, (line) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${name}: ${line}   `);
    });
    t.same(wrong.slice(0, 20), []);
    t.comment(`${run.deployed} deploys, ${run.failures.length} failed, ${run.breaks} workers killed`);
    if (isDeployable) {
      t.ok(run.deployed > 0);
      t.same(run.failures, []);
    }
    await stopCurrent(gateway);
    t.same(await readdir(temporary), [], 'nothing is left');
    t.notOk((await readdir(gateway.directory)).includes('control.sock'));
  });
}
