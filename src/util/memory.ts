// What this process holds, told even when it has no descriptor left to read it through.
import { getHeapStatistics } from 'node:v8';

/** Bytes; the most it has ever held where the current figure cannot be had. */
export function residentBytes(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

export function heapUsedBytes(): number {
  return getHeapStatistics().used_heap_size;
}

/** Outside the heap, of objects in it: buffers above all. */
export function externalBytes(): number {
  return getHeapStatistics().external_memory;
}
