// Microseconds of the machine's monotonic clock, the same in every process of the machine, without an allocation a call.

const OFFSET_TRIES = 50;

/** Distance of `performance.now` from the clock that all share, from the try that was interrupted least. */
function measureOffsetUs(): number {
  let narrowestUs = Number.POSITIVE_INFINITY;
  let offsetUs = 0;
  for (let i = 0; i < OFFSET_TRIES; i++) {
    const before = process.hrtime.bigint();
    const ownUs = performance.now() * 1000;
    const after = process.hrtime.bigint();
    const widthUs = Number(after - before) / 1000;
    if (widthUs < narrowestUs) {
      narrowestUs = widthUs;
      offsetUs = Number(before) / 1000 + widthUs / 2 - ownUs;
    }
  }
  return offsetUs;
}

const offsetUs = measureOffsetUs();

export function monotonicUs(): number {
  return performance.now() * 1000 + offsetUs;
}
