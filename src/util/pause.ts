// Waiting for some time, and nothing else.
import { setTimeout as delay } from 'node:timers/promises';

/** Ends early, and quietly, when the signal aborts. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal && { signal }).catch(() => undefined);
}
