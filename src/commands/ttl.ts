// How long something lasts, in the terms of tokens, hooks and clients.

/** Timers of some clients overflow beyond it. */
const MAX_TTL_S = 365 * 24 * 3600;

/** Seconds until a client must refresh, at least 1; undefined when it need not. */
export function ttlSeconds(expireAtWallMs: number, nowWallMs: number): number | undefined {
  if (expireAtWallMs === Infinity) return undefined;
  return Math.min(Math.max(Math.ceil((expireAtWallMs - nowWallMs) / 1000), 1), MAX_TTL_S);
}

/** 0 stands for "never" in tokens and hooks. */
export function expiryOf(expiresAtMs: number): number {
  return expiresAtMs === 0 ? Infinity : expiresAtMs;
}
