// Whether a worker has too much to do, with what it takes to come back from there: pure. First nobody new is taken; when
// memory is what runs short, those who keep most of it are closed as well.

export type OverloadLevel = 'normal' | 'refusing' | 'shedding';

export interface OverloadReading {
  /** Median lateness of the event loop since the last reading. */
  readonly lagMs: number;
  /** Of what this worker may have: 1 is all of it. */
  readonly memoryShare: number;
}

export interface OverloadPolicy {
  /** 0: lag is no reason. */
  readonly maxLagMs: number;
}

export interface OverloadState {
  readonly level: OverloadLevel;
  /** What made it leave `normal`. */
  readonly reason: 'lag' | 'memory' | undefined;
  /** Readings in a row that ask for another level than this. */
  readonly readings: number;
}

export const initialOverload: OverloadState = { level: 'normal', reason: undefined, readings: 0 };

/** Shares of memory at which nobody new is taken, at which connections are closed, and below which all is well again. */
export const MEMORY_SHARES = { refuse: 0.9, shed: 1, calm: 0.8 } as const;
/** Of the lag that is too much: below it all is well again. */
const CALM_LAG = 0.5;
/** Garbage comes and goes, and one late turn may be anything. */
const READINGS = { up: 2, down: 5 } as const;
const ORDER: readonly OverloadLevel[] = ['normal', 'refusing', 'shedding'];

export function nextOverload(
  state: OverloadState,
  reading: OverloadReading,
  policy: OverloadPolicy,
): OverloadState {
  const wanted = wantedLevel(state, reading, policy);
  const direction = ORDER.indexOf(wanted) - ORDER.indexOf(state.level);
  if (direction === 0) return state.readings === 0 ? state : { ...state, readings: 0 };
  const readings = state.readings + 1;
  if (readings < (direction > 0 ? READINGS.up : READINGS.down)) return { ...state, readings };
  if (wanted === 'normal') return initialOverload;
  const reason = reading.memoryShare >= MEMORY_SHARES.calm ? 'memory' : 'lag';
  return { level: wanted, reason, readings: 0 };
}

function wantedLevel(
  { level }: OverloadState,
  { lagMs, memoryShare }: OverloadReading,
  { maxLagMs }: OverloadPolicy,
): OverloadLevel {
  if (memoryShare >= MEMORY_SHARES.shed) return 'shedding';
  // Once begun it goes on until all is well: who keeps the rest may keep it for ever.
  if (level === 'shedding' && memoryShare >= MEMORY_SHARES.calm) return 'shedding';
  if (memoryShare >= MEMORY_SHARES.refuse) return 'refusing';
  const isLate = maxLagMs > 0 && lagMs >= maxLagMs;
  if (isLate) return 'refusing';
  if (level === 'normal') return 'normal';
  const isCalm = memoryShare < MEMORY_SHARES.calm && (maxLagMs === 0 || lagMs < maxLagMs * CALM_LAG);
  return isCalm ? 'normal' : 'refusing';
}

/** The connections to close so that about so many bytes come free: those with most to read, none with little. */
export function heaviest<C extends { readonly unsentBytes: number }>(
  connections: readonly C[],
  bytesToFree: number,
  { minBytes, most }: { readonly minBytes: number; readonly most: number },
): readonly C[] {
  const heavy = connections
    .map((connection) => ({ connection, bytes: connection.unsentBytes }))
    .filter(({ bytes }) => bytes >= minBytes)
    .toSorted((one, other) => other.bytes - one.bytes)
    .slice(0, most);
  let freed = 0;
  const chosen: C[] = [];
  for (const { connection, bytes } of heavy) {
    if (freed >= bytesToFree) break;
    freed += bytes;
    chosen.push(connection);
  }
  return chosen;
}
