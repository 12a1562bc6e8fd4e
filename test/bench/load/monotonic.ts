// Microseconds of the machine's monotonic clock: the same in every process of the machine.

const offsetUs = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000;

export function monotonicUs(): number {
  return performance.now() * 1000 + offsetUs;
}
