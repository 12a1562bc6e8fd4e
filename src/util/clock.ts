// Time as the rest of the program may know it: injected, so that tests own it.

export interface Clock {
  /** Milliseconds on CLOCK_MONOTONIC, comparable between processes of one host. */
  monotonicMs(): number;
  /** Unix time in milliseconds. */
  wallMs(): number;
}

export const systemClock: Clock = {
  monotonicMs: () => Number(process.hrtime.bigint() / 1000n) / 1000,
  wallMs: () => Date.now(),
};
