// Chance that can be repeated: the seed is in the name of whatever fails.

export type Roll = () => number;

/** Uniform in [0, 1) (mulberry32). */
export function seeded(seed: number): Roll {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A whole number in [0, below). */
export function below(roll: Roll, limit: number): number {
  return Math.floor(roll() * limit);
}

export function pick<T>(roll: Roll, from: readonly T[]): T {
  const chosen = from[below(roll, from.length)];
  if (chosen === undefined) throw new Error('nothing to choose from');
  return chosen;
}
