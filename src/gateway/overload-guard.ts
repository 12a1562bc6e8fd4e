// Watches what a worker has to do: tells the primary while connections are opened or it is too much, and closes those who
// keep most of the memory when that runs out. Owns one timer.
import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { Connection } from '../connection/connection.ts';
import type { Logger } from '../observe/logger.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import {
  heaviest,
  initialOverload,
  MEMORY_SHARES,
  nextOverload,
  type OverloadLevel,
  type OverloadState,
} from './overload-state.ts';

export interface LoadReport {
  readonly overMs: number;
  readonly lagMs: number;
  readonly busyShare: number;
  readonly opened: number;
  readonly overloaded: boolean;
}

/** What a process holds, in bytes. */
export interface MemoryUse {
  readonly heapUsed: number;
  /** Buffers, among them all that waits to be written. */
  readonly external: number;
}

export interface MemoryLimits {
  /** Of the JavaScript heap alone, at which Node gives up. */
  readonly heapBytes: number;
  /** Of heap and buffers together. */
  readonly allBytes: number;
}

export interface OverloadGuardDeps {
  readonly log: Logger;
  readonly connections: { all(): readonly Connection[] };
  /** Connections opened since the start. */
  readonly opened: () => number;
  readonly memory: () => MemoryUse;
  /** Frees what nobody uses; takes its time. */
  readonly collectGarbage: () => void;
  readonly report: (load: LoadReport) => void;
  /** Every reading, for those who pace their work by it. */
  readonly onReading: (load: LoadReport) => void;
  readonly counters: { shed: number };
}

export interface OverloadGuardOptions {
  readonly maxLagMs: number;
  readonly limits: MemoryLimits;
}

const READING_MS = 200;
const RESOLUTION_MS = 20;
/** Lag that is worth a report even when nothing is opened. */
const NOTABLE_LAG_MS = 50;
/** Who has less unread frees nothing by going. */
const MIN_SHED_BYTES = 16_384;
/** A reading later what that freed is known. */
const MAX_SHED_AT_ONCE = 256;
/** What was let go stays in the figures until Node collects it, which an idle process does not for minutes. */
const COLLECT_EVERY_MS = 5_000;

export class OverloadGuard {
  readonly #deps: OverloadGuardDeps;
  readonly #options: OverloadGuardOptions;
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #state: OverloadState = initialOverload;
  #timer: NodeJS.Timeout | undefined;
  #opened = 0;
  #readMs = 0;
  #collectedMs = 0;
  #utilization = performance.eventLoopUtilization();
  #reported = false;
  #isShedding = false;
  #worstLagMs = 0;

  constructor(deps: OverloadGuardDeps, options: OverloadGuardOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Connections are being closed for want of memory: what would fill others is not taken meanwhile. */
  get isShedding(): boolean {
    return this.#isShedding;
  }

  get level(): OverloadLevel {
    return this.#state.level;
  }

  /** Takes nobody new. */
  get isOverloaded(): boolean {
    return this.#state.level !== 'normal';
  }

  /** The longest time that the event loop was late since this was asked last. */
  takeWorstLagMs(): number {
    const worstMs = Math.max(this.#worstLagMs, worstOf(this.#delay));
    this.#worstLagMs = 0;
    return worstMs;
  }

  start(): void {
    this.#delay.enable();
    this.#readMs = performance.now();
    this.#timer ??= setInterval(this.#read, READING_MS);
  }

  /** May be called twice. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#delay.disable();
  }

  readonly #read = (): void => {
    const nowMs = performance.now();
    const opened = this.#deps.opened();
    const utilization = performance.eventLoopUtilization();
    const lagMs = this.#delay.count === 0 ? 0 : lateMs(this.#delay.percentile(50));
    this.#worstLagMs = Math.max(this.#worstLagMs, worstOf(this.#delay));
    const reading: LoadReport = {
      overMs: nowMs - this.#readMs,
      lagMs,
      busyShare: performance.eventLoopUtilization(utilization, this.#utilization).utilization,
      opened: opened - this.#opened,
      overloaded: false,
    };
    this.#delay.reset();
    this.#readMs = nowMs;
    this.#opened = opened;
    this.#utilization = utilization;
    this.#judge(lagMs);
    this.#tell({ ...reading, overloaded: this.isOverloaded });
  };

  #tell(load: LoadReport): void {
    const { report, onReading } = this.#deps;
    onReading(load);
    const isNotable = load.opened > 0 || load.overloaded || load.lagMs >= NOTABLE_LAG_MS;
    // Once more when it is over, so that nobody acts on what was.
    if (isNotable || this.#reported) report(load);
    this.#reported = isNotable;
  }

  #judge(lagMs: number): void {
    const { log, memory } = this.#deps;
    const { maxLagMs, limits } = this.#options;
    const use = memory();
    const memoryShare = memoryShareOf(use, limits);
    const before = this.#state;
    this.#state = nextOverload(before, { lagMs, memoryShare }, { maxLagMs });
    const { level, reason } = this.#state;
    if (level !== before.level) {
      const facts = {
        level,
        reason,
        lagMs: Math.round(lagMs),
        memoryShare: Math.round(memoryShare * 100) / 100,
      };
      if (level === 'normal') log.info({ ...facts, was: before.level }, 'overload is over');
      else log.warn(facts, 'overloaded');
    }
    this.#isShedding = level === 'shedding' && this.#shed(use);
    if (level === 'normal' || memoryShare < MEMORY_SHARES.calm) return;
    const nowMs = performance.now();
    if (nowMs - this.#collectedMs < COLLECT_EVERY_MS) return;
    this.#collectedMs = nowMs;
    this.#deps.collectGarbage();
  }

  /** False when there is nobody whose end would help. */
  #shed({ heapUsed, external }: MemoryUse): boolean {
    const { log, connections, counters } = this.#deps;
    const { allBytes, heapBytes } = this.#options.limits;
    const bytesToFree = Math.max(
      heapUsed + external - allBytes * MEMORY_SHARES.calm,
      heapUsed - heapBytes * MEMORY_SHARES.calm,
    );
    const chosen = heaviest(connections.all(), bytesToFree, {
      minBytes: MIN_SHED_BYTES,
      most: MAX_SHED_AT_ONCE,
    });
    if (chosen.length === 0) return false;
    const bytes = chosen.reduce((sum, { unsentBytes }) => sum + unsentBytes, 0);
    log.warn({ connections: chosen.length, bytes }, 'connections that do not read are closed');
    counters.shed += chosen.length;
    for (const connection of chosen) connection.close(CloseCauses.slow);
    return true;
  }
}

function memoryShareOf({ heapUsed, external }: MemoryUse, { heapBytes, allBytes }: MemoryLimits): number {
  return Math.max(heapUsed / heapBytes, (heapUsed + external) / allBytes);
}

function worstOf(delay: IntervalHistogram): number {
  return delay.count === 0 ? 0 : lateMs(delay.max);
}

function lateMs(intervalNs: number): number {
  return Math.max(0, intervalNs / 1e6 - RESOLUTION_MS);
}
