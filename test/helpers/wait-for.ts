// Waiting for a condition, always with a deadline that says what did not happen.
import { setTimeout as delay } from 'node:timers/promises';

export const DEADLINE_MS = 30_000;
const POLL_MS = 10;

export type Maybe<T> = T | false | null | undefined;

/** Polls until the probe gives something other than false, null or undefined, and resolves to it. */
export async function waitFor<T>(
  what: string,
  probe: () => Maybe<T> | Promise<Maybe<T>>,
  deadlineMs: number = DEADLINE_MS,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const value: Maybe<T> = await probe();
    if (value !== false && value !== null && value !== undefined) return value;
    if (performance.now() > endMs) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await delay(POLL_MS);
  }
}

/** The promise itself, or an error that says what did not come. */
export async function within<T>(
  what: string,
  promise: Promise<T>,
  deadlineMs: number = DEADLINE_MS,
): Promise<T> {
  const aborter = new AbortController();
  const late = delay(deadlineMs, undefined, { signal: aborter.signal }).then(() => {
    throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    late.catch(() => undefined);
    aborter.abort();
  }
}
