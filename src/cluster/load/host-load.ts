// How busy the processors of this host are, and how much memory there is for us.
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

/** Several HAProxys ask at the same moment: a shorter time says nothing. */
const MIN_PERIOD_MS = 500;

interface CpuTimes {
  readonly busy: number;
  readonly all: number;
}

export class HostLoad {
  readonly #nowMs: () => number;
  #readMs: number;
  #times: CpuTimes;
  #share = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#readMs = nowMs();
    this.#times = readTimes();
  }

  /** Busy share since the last question, 0 to 1. */
  get cpuShare(): number {
    const nowMs = this.#nowMs();
    if (nowMs - this.#readMs < MIN_PERIOD_MS) return this.#share;
    const times = readTimes();
    const all = times.all - this.#times.all;
    // A unit with ProcSubset=pid hides /proc/stat: the load average is told by a system call.
    this.#share =
      all > 0
        ? (times.busy - this.#times.busy) / all
        : Math.min(1, (loadavg()[0] ?? 0) / availableParallelism());
    this.#readMs = nowMs;
    this.#times = times;
    return this.#share;
  }

  get memoryBytes(): number {
    return memoryBytes();
  }
}

/** Of the host, or of the control group when that has less. */
export function memoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

function readTimes(): CpuTimes {
  let busy = 0;
  let all = 0;
  for (const { times } of cpus()) {
    const { user, nice, sys, idle, irq } = times;
    busy += user + nice + sys + irq;
    all += user + nice + sys + irq + idle;
  }
  return { busy, all };
}
