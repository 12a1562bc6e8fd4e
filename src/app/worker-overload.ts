// What a worker may have, and who is told when it has too much: ties the overload guard to the rest of the worker.
import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { AcceptRate } from '../cluster/admission/accept-rate.ts';
import { memoryBytes } from '../cluster/load/host-load.ts';
import type { WorkerLink } from '../cluster/worker-link.ts';
import type { Config } from '../config/schema.ts';
import type { OpenConnections } from '../gateway/open-connections.ts';
import { type LoadReport, type MemoryLimits, OverloadGuard } from '../gateway/overload-guard.ts';
import type { Logger } from '../observe/logger.ts';
import type { Metrics } from '../observe/metrics.ts';
import { systemClock } from '../util/clock.ts';
import { externalBytes } from '../util/memory.ts';

export interface WorkerOverloadDeps {
  readonly link: WorkerLink;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly open: OpenConnections;
  readonly onReading: (load: LoadReport) => void;
}

/** Of the heap limit: what is left is for the collection of garbage itself. */
const HEAP_SHARE = 0.85;
/** Young objects have room of their own, which counts in the limit that V8 tells. */
const YOUNG_BYTES = 48 * 1024 * 1024;
/** Of a worker's share of the memory there is: the rest is code, stacks, and the kernel's buffers. */
const MEMORY_SHARE = 0.75;
const LEVELS = { normal: 0, refusing: 1, shedding: 2 } as const;

export function overloadGuard(deps: WorkerOverloadDeps, config: Config): OverloadGuard {
  const { link, log, metrics, open, onReading } = deps;
  const { slot, slots } = link.start;
  const limits = memoryLimits(config.admission.max_memory, slots);
  const guard = new OverloadGuard(
    {
      log,
      connections: open,
      opened: () => open.opened,
      memory: () => ({ heapUsed: oldHeapBytes(), external: externalBytes() }),
      collectGarbage: garbageCollector(),
      report: (load) => link.reportLoad(load),
      onReading,
      counters: metrics.hot,
    },
    { maxLagMs: config.admission.max_loop_lag, limits },
  );
  metrics.read('overload', () => [[[String(slot)], LEVELS[guard.level]]]);
  return guard;
}

/** What this worker says of itself to other nodes. */
export interface OwnAcceptRate {
  readonly perSecond: number | undefined;
  learn(load: LoadReport): void;
}

export function ownAcceptRate(link: WorkerLink, { admission }: Config): OwnAcceptRate {
  const { slot, slots } = link.start;
  const rate = new AcceptRate(() => systemClock.monotonicMs());
  const share = admission.accept_rate > 0 ? admission.accept_rate / slots : undefined;
  return {
    get perSecond() {
      if (link.draining) return 0;
      return share === undefined ? rate.perSecond : Math.min(share, rate.perSecond ?? share);
    },
    learn: (load) => rate.busy(slot, load, load.overMs),
  };
}

function memoryLimits(configuredBytes: number, slots: number): MemoryLimits {
  const { heap_size_limit: heapLimit } = getHeapStatistics();
  return {
    heapBytes: Math.max(heapLimit - YOUNG_BYTES, heapLimit / 2) * HEAP_SHARE,
    allBytes: configuredBytes > 0 ? configuredBytes : (memoryBytes() * MEMORY_SHARE) / slots,
  };
}

/** What has survived two collections: when this reaches the limit, the process ends. */
function oldHeapBytes(): number {
  let sum = 0;
  for (const { space_name: name, space_used_size: used } of getHeapSpaceStatistics()) {
    if (!name.startsWith('new_') && !name.startsWith('read_only')) sum += used;
  }
  return sum;
}

/** Node hides it behind a flag, which may be set at any time. */
function garbageCollector(): () => void {
  let collect: unknown;
  return () => {
    if (collect === undefined) {
      setFlagsFromString('--expose-gc');
      collect = runInNewContext('gc');
    }
    if (typeof collect === 'function') Reflect.apply(collect, undefined, []);
  };
}
